"""Measures the whole service on a GPU, over HTTP: first whether it reads right, then how fast.

    python benchmarks/gpu_service.py [--folder ../shared/data [--set en_form_funsd]]
        [--clients 8,16,32,64] [--workers N] [--runner-workers 2] [--seconds 20]
        [--device cuda] [--json FILE]

The service of this repository is started for the run, with the models that the OCR_* variables
select. It reads drawn forms (see forms.py) or, with --folder, the pages of a truth set. Nothing
else should use the GPU meanwhile.

Right means: the lines of all pages are those that the pipeline reads in this process on the CPU
and, with --folder, as many of them are true. If it is not, there are no timings. Then so many
clients at once send one page a request, over and over, each on a connection of its own. The exit
status is 1 if it is not right, fails or misses a goal, 2 without the device or the models.

--device cpu is a dry run of the script itself: few pages, no goals but that of being right.
"""

import argparse
import asyncio
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path

import client
import contestants
import forms
import inprocess
import machine
import serving
import throughput
import torch
import truths
from arguments import count, counts
from contestants import Run
from gpu import Figure
from gpu_usage import Busy, memory_in_use
from metrics import TextLine
from results import AT_ONCE, Result, read_set
from tables import table
from throughput import Figures
from truths import PageSet

from ocr.errors import OcrError
from ocr.runtime import check_device
from ocr.settings import available_cores

RIGHT = 0.99  # share of equal lines
APART = 0.005  # end-to-end F, at most
IMAGES_A_SECOND = 230
BUSY = 0.8  # share of the time
FLAT = 1.02  # memory after the last number of clients, of that after the first

PAGES = {"cuda": 12, "cpu": 2}  # drawn; in a dry run, no more of a set either
CLIENTS = {"cuda": (8, 16, 32, 64), "cpu": (2,)}
SECONDS = {"cuda": 20.0, "cpu": 0.0}  # for each number of clients, but all pages are read once
MEGABYTE = 1e6


@dataclass(frozen=True)
class Load:
    """A number of clients. `memory` is what of the GPU's was in use at the end, `changed` how many
    answers had another number of lines than the page had without load."""

    clients: int
    figures: Figures
    busy: float | None
    memory: int
    changed: int


@dataclass
class Report:
    """What was found, in the order in which it is: a wrong service is not timed."""

    checks: list[Figure] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    goals: list[Figure] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return all(figure.held for figure in self.checks + self.goals)


@contextmanager
def pages(options: argparse.Namespace) -> Iterator[PageSet]:
    """What is read. Raises ValueError if the folder has no such set of pages."""
    if options.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            yield forms.write(Path(folder), PAGES[options.device])
        return
    (chosen,) = truths.truth_sets(options.folder, [options.set])
    if not isinstance(chosen, PageSet):
        raise ValueError(f"{options.set} is a set of lines, not of pages")
    few = PAGES["cpu"] if options.device == "cpu" else None
    yield replace(chosen, truth=dict(islice(chosen.truth.items(), few)))


# Whether it is right


def read_on_cpu(chosen: PageSet) -> Result:
    pipeline = inprocess.pipeline("cpu")
    return asyncio.run(read_set(chosen, lambda picture: inprocess.read(pipeline, picture)))


async def read_by_service(chosen: PageSet, url: str) -> Result:
    async with client.connect(AT_ONCE) as session:
        return await read_set(
            chosen, lambda picture: client.read(session, url, client.body(picture))
        )


def check(expected: Result, found: Result, scored: bool) -> list[Figure]:
    """Compare the service with the CPU and, if the truth is to be scored, both with that."""
    failed = len(expected.failures) + len(found.failures)
    figures = [
        Figure("right: pages that failed", failed, bound=0, rule="<="),
        Figure("right: lines on the CPU", sum(map(len, expected.found.values()))),
        Figure("right: share of them", same(expected.found, found.found), bound=RIGHT),
    ]
    if scored:
        ours, theirs = found.scores()["e2e_f"], expected.scores()["e2e_f"]
        apart = round(abs(ours - theirs), 4)
        figures += [
            Figure("right: end-to-end F", ours),
            Figure("right: its difference to the CPU's", apart, bound=APART, rule="<="),
        ]
    return figures


def same(
    expected: Mapping[str, Sequence[TextLine]], found: Mapping[str, Sequence[TextLine]]
) -> float:
    """The share of equal texts, of the lines of each page as they are more."""
    equal = most = 0
    for image, lines in expected.items():
        one = Counter(line.text for line in lines)
        other = Counter(line.text for line in found.get(image, ()))
        equal += (one & other).total()
        most += max(one.total(), other.total())
    return equal / most if most else 0.0


# How fast it is


def time_loads(url: str, pid: int, read: Result, options: argparse.Namespace) -> list[Load]:
    """Each number of clients, for so long. `read` is what the service read without load."""
    paths = [read.truth.folder / image for image in read.found]
    lines = [len(found) for found in read.found.values()]
    if options.device == "cuda":  # first, all processes meet all shapes
        contestants.service(url, pid, paths, options.seconds / 4).run(max(options.clients))
    server = contestants.service(url, pid, paths, options.seconds)
    loads = []
    for clients in options.clients:
        with Busy(options.device) as busy:
            run = server.run(clients)
        in_use = memory_in_use(options.device)
        figures = throughput.figures(run)
        loads.append(Load(clients, figures, busy.share, in_use, changed(run, lines)))
        say(f"{clients} clients: {figures.images_a_second:.1f} images/s")
    return loads


def changed(run: Run, lines: Sequence[int]) -> int:
    """How many answers have another number of lines than their pages, which come in turns."""
    answers = zip(run.drive.answers, cycle(lines), strict=False)
    return sum(answer.lines not in (None, expected) for answer, expected in answers)


def judge(loads: Sequence[Load], device: str) -> list[Figure]:
    """What it comes to, and the goals of a GPU; a number that nobody knows reaches none."""
    failures = sum(load.figures.failed for load in loads)
    failed = Figure("pages that failed", failures, bound=0, rule="<=")
    best = max(loads, key=lambda load: load.figures.images_a_second)
    rate = Figure("images/s at best", best.figures.images_a_second, best.clients)
    if device != "cuda":
        return [failed, rate]
    growth = loads[-1].memory / loads[0].memory
    return [
        failed,
        replace(rate, bound=IMAGES_A_SECOND),
        Figure("GPU busy there", math.nan if best.busy is None else best.busy, bound=BUSY),
        Figure("GPU's memory, last of first", growth, bound=FLAT, rule="<="),
    ]


# The run


def measure(options: argparse.Namespace) -> Report:
    """Check the service and, if it is right, time it."""
    check_device(options.device)
    report = Report()
    with pages(options) as chosen:
        expected = read_on_cpu(chosen)
        with serving.served(**environment(options)) as (url, pid):
            found = asyncio.run(read_by_service(chosen, url))
            report.checks = check(expected, found, options.folder is not None)
            say("right" if report.held else "wrong")
            if report.held:
                report.loads = time_loads(url, pid, found, options)
                report.goals = judge(report.loads, options.device)
    return report


def environment(options: argparse.Namespace) -> dict[str, str]:
    """Of the service: no client is refused, should one process have them all."""
    return {
        "OCR_DEVICE": options.device,
        "OCR_WORKERS": str(options.workers),
        "OCR_RUNNER_WORKERS": str(options.runner_workers),
        "OCR_MAX_CONCURRENCY": str(2 * max(options.clients)),
    }


def say(line: str) -> None:
    print(f"gpu_service: {line}", file=sys.stderr)


def show(report: Report) -> str:
    """A row a check, number of clients and goal."""
    header = ["figure", "clients", "value", "p50 ms", "p95 ms", "GPU busy", "GPU MB"]
    header += ["CPU ms/image", "failed", "changed", "goal", ""]
    checks, goals = ([_cells(each) for each in part] for part in (report.checks, report.goals))
    return table(header, [*checks, *map(_load_cells, report.loads), *goals])


def _cells(figure: Figure) -> list[str]:
    clients = "" if figure.at_once is None else str(figure.at_once)
    bound = "" if figure.bound is None else f"{figure.rule} {figure.bound:g}"
    missed = "" if figure.held else "MISSED"
    return [figure.what, clients, f"{figure.value:.4g}", *[""] * 7, bound, missed]


def _load_cells(load: Load) -> list[str]:
    figures, cpu = load.figures, load.figures.cpu_seconds_an_image
    return [
        "images/s",
        str(load.clients),
        f"{figures.images_a_second:.4g}",
        f"{figures.p50_ms:.0f}",
        f"{figures.p95_ms:.0f}",
        "" if load.busy is None else f"{load.busy:.0%}",
        f"{load.memory / MEGABYTE:.0f}" if load.memory else "",
        "" if cpu is None else f"{1000 * cpu:.1f}",
        str(figures.failed),
        str(load.changed),
        "",
        "",
    ]


def content(options: argparse.Namespace, report: Report) -> dict[str, object]:
    """Everything, for a JSON file."""
    judged = [*report.checks, *report.goals]
    return {
        "machine": machine.facts() | {"cuda": torch.version.cuda},
        "set": options.set if options.folder else "drawn forms",
        "service": environment(options),
        "figures": [asdict(figure) | {"held": figure.held} for figure in judged],
        "loads": [asdict(load) for load in report.loads],
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of truth files; without it, pages are drawn")
    parser.add_argument("--set", default="en_form_funsd", metavar="NAME", help="of that folder")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run")
    parser.add_argument("--clients", type=counts, help="at once; default: 8,16,32,64")
    parser.add_argument("--workers", type=count, help="OCR_WORKERS; default: what cores are left")
    parser.add_argument("--runner-workers", type=count, default=2, help="OCR_RUNNER_WORKERS")
    parser.add_argument("--seconds", type=float, help="for each number of clients; default: 20")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    options.clients = options.clients or CLIENTS[options.device]
    options.seconds = SECONDS[options.device] if options.seconds is None else options.seconds
    left = available_cores() - 2 * options.runner_workers
    options.workers = options.workers or max(1, left)
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        report = measure(options)
    except OcrError as error:
        say(str(error))
        return 2
    except (RuntimeError, ValueError) as error:
        say(str(error))
        return 1
    if options.json is not None:
        machine.write_json(options.json, content(options, report))
    print(machine.describe())
    print(f"processes in front: {options.workers}, of each runner: {options.runner_workers}\n")
    print(show(report))
    return 0 if report.held else 1


if __name__ == "__main__":
    sys.exit(main())
