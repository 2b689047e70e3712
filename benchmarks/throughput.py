"""Measures how fast the service reads, and what it uses, under N clients at once.

    python benchmarks/throughput.py ../shared/data [--set en_pdf ...] [--clients 1,8]
        [--url http://127.0.0.1:9533 [--pid PID]] [--rounds 3] [--in-process]
        [--rapidocr [NAME=VALUE ...]] [--rapidocr-api]
        [--modelscope PYTHON DETECTION RECOGNITION] [--lines-of-truth] [--limit N] [--json FILE]

Each client sends one picture a request over a connection of its own. Without --url the service
of this repository is started for the run and stopped after it. --rapidocr runs the rapidocr
library on the same pictures, one after the other, with its defaults or with these parameters, and
can be given several times; --rapidocr-api the server of that package; --in-process the same
pipeline without HTTP and runners, as many pages at once as there are clients; --modelscope runs
ModelScope's two pipelines, in a Python that has them, over two folders of models (from which the
store was filled, so that the weights are the same). Each runs in a process of its own.
--lines-of-truth leaves the service out and lets the others detect, but then read the lines of the
truth: weights that were never trained find no lines. Contestants take turns, --rounds times;
medians are shown, with the lowest and the highest in brackets.
"""

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import contestants
import machine
import serving
import truths
from arguments import count, counts
from contestants import Contestant, Run
from metrics import TextLine
from tables import table
from truths import PageSet

SETS = ("en_receipt_sroie", "en_form_funsd", "zh_pdf", "zh_web_mtwi", "zh_mixed_agent")
SEED = 20
MEGABYTE = 1e6
CORNERS = 4

SERVICE, IN_PROCESS, MODELSCOPE = "service", "in-process", "modelscope"
RAPIDOCR, RAPIDOCR_API = "rapidocr", "rapidocr-api"


@dataclass(frozen=True)
class Figures:
    """One run in numbers: pictures and lines a second, milliseconds, seconds, bytes.

    CPU and memory are None where the process is not known. Only pictures that were read count.
    """

    images_a_second: float
    lines_a_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_seconds_an_image: float | None
    peak_bytes: int | None
    peak_process_bytes: int | None
    failed: int


@dataclass
class Record:
    """A contestant with a number of clients, and its run in each round.

    One that reads one picture at a time, `alone`, is compared with any number of clients.
    """

    name: str
    contestant: Contestant
    clients: int
    runs: list[Run] = field(default_factory=list)
    alone: bool = False

    @property
    def figures(self) -> list[Figures]:
        return [figures(run) for run in self.runs]


def figures(run: Run) -> Figures:
    """Raises ValueError if not one picture was read."""
    read = [answer for answer in run.drive.answers if answer.lines is not None]
    if not read:
        raise ValueError(f"no picture was read: {run.drive.answers[0].error}")
    times = sorted(1000 * answer.seconds for answer in read)
    usage = run.usage
    return Figures(
        images_a_second=len(read) / run.drive.seconds,
        lines_a_second=sum(answer.lines or 0 for answer in read) / run.drive.seconds,
        p50_ms=statistics.median(times),
        p95_ms=times[math.ceil(0.95 * len(times)) - 1],
        p99_ms=times[math.ceil(0.99 * len(times)) - 1],
        cpu_seconds_an_image=usage.cpu_seconds / len(read) if usage else None,
        peak_bytes=usage.peak_bytes if usage else None,
        peak_process_bytes=usage.peak_process_bytes if usage else None,
        failed=len(run.drive.answers) - len(read),
    )


def changed(records: Sequence[Record], record: Record) -> list[int]:
    """Positions of pictures, one an answer, whose number of lines was another one the first time
    that this contestant read them, with however many clients."""
    first: dict[int, int] = {}
    positions = []
    for other in records:
        for run in other.runs if other.name == record.name else ():
            for i, answer in enumerate(run.drive.answers):
                if answer.lines is None or answer.lines == first.setdefault(i, answer.lines):
                    continue
                if other is record:
                    positions.append(i)
    return positions


def pictures(options: argparse.Namespace) -> dict[Path, list[TextLine]]:
    """The pictures of the sets with their lines, shuffled the same way each time."""
    names = options.set or SETS
    sets = truths.truth_sets(options.folder, names)
    found = [
        (truth.folder / image, lines)
        for truth in sets
        if isinstance(truth, PageSet)
        for image, lines in truth.truth.items()
    ]
    random.Random(SEED).shuffle(found)
    return dict(found[: options.limit])


def enter(
    stack: ExitStack, options: argparse.Namespace, found: Mapping[Path, Sequence[TextLine]]
) -> list[Record]:
    """Start all contestants, in the order in which they take turns; `stack` stops them."""
    paths = list(found)
    lines = [write_lines(stack, list(found.values()))] if options.lines_of_truth else []
    records = [] if lines else _enter_service(stack, options, paths)
    if options.in_process or lines:
        pipeline = stack.enter_context(contestants.worker(IN_PROCESS, paths, *lines))
        records += [Record(IN_PROCESS, pipeline, clients) for clients in options.clients]
    if options.rapidocr_api:
        url, pid = stack.enter_context(serving.served_by_rapidocr())
        server = contestants.rapidocr_api(url, pid, paths)
        records += [Record(RAPIDOCR_API, server, clients) for clients in options.clients]
    for parameters in options.rapidocr:
        library = stack.enter_context(contestants.worker(RAPIDOCR, paths, *parameters))
        records.append(Record(" ".join([RAPIDOCR, *parameters]), library, 1, alone=True))
    if options.modelscope:
        python, *models = options.modelscope
        pipelines = contestants.worker(MODELSCOPE, paths, *models, *lines, python=python)
        records.append(Record(MODELSCOPE, stack.enter_context(pipelines), 1, alone=True))
    return records


def _enter_service(
    stack: ExitStack, options: argparse.Namespace, paths: Sequence[Path]
) -> list[Record]:
    url, pid = options.url, options.pid
    if url is None:
        url, pid = stack.enter_context(serving.served())
    service = contestants.service(url, pid, paths)
    return [Record(SERVICE, service, clients) for clients in options.clients]


def write_lines(stack: ExitStack, found: Sequence[Sequence[TextLine]]) -> str:
    """A file of the quads of each picture's lines that goes when `stack` ends; gives its name."""
    quads = [[line.polygon for line in lines if len(line.polygon) == CORNERS] for lines in found]
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    file = Path(folder) / "lines.json"
    file.write_text(json.dumps(quads), "utf-8")
    return str(file)


def compete(records: Sequence[Record], rounds: int) -> None:
    """Let the contestants take turns."""
    for number in range(1, rounds + 1):
        for record in records:
            run = record.contestant.run(record.clients)
            record.runs.append(run)
            print(
                f"round {number}, {record.name}, {record.clients} clients: "
                f"{figures(run).images_a_second:.2f} images/s",
                file=sys.stderr,
            )


def spread(values: Sequence[float | None], form: Callable[[float], str]) -> str:
    """The median and, of several values, the lowest and the highest."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    middle = form(statistics.median(known))
    return middle if len(known) == 1 else f"{middle} [{form(min(known))}..{form(max(known))}]"


def show(records: Sequence[Record]) -> str:
    """A row a contestant and number of clients."""
    header = ["contestant", "clients", "images/s", "lines/s", "p50 ms", "p95 ms", "p99 ms"]
    header += ["CPU s/image", "peak MB", "largest MB", "failed", "changed"]
    return table(header, [_row(records, record) for record in records])


def _row(records: Sequence[Record], record: Record) -> list[str]:
    runs = record.figures
    return [
        record.name,
        str(record.clients),
        spread([run.images_a_second for run in runs], "{:.2f}".format),
        spread([run.lines_a_second for run in runs], "{:.1f}".format),
        spread([run.p50_ms for run in runs], "{:.0f}".format),
        spread([run.p95_ms for run in runs], "{:.0f}".format),
        spread([run.p99_ms for run in runs], "{:.0f}".format),
        spread([run.cpu_seconds_an_image for run in runs], "{:.3f}".format),
        spread([run.peak_bytes for run in runs], _megabytes),
        spread([run.peak_process_bytes for run in runs], _megabytes),
        str(sum(run.failed for run in runs)),
        str(len(changed(records, record))),
    ]


def _megabytes(size: float) -> str:
    return f"{size / MEGABYTE:.0f}"


def ratios(records: Sequence[Record]) -> dict[str, list[float]]:
    """How many times as many images a second the first contestant reads as others, by round."""
    found = {}
    first = records[0].name
    for service in (record for record in records if record.name == first):
        for other in records:
            alike = other.alone or other.clients == service.clients
            if other.name == first or not alike:
                continue
            found[f"{first} with {service.clients} clients / {other.name}"] = [
                ours.images_a_second / theirs.images_a_second
                for ours, theirs in zip(service.figures, other.figures, strict=True)
            ]
    return found


def show_troubles(records: Sequence[Record], paths: Sequence[Path]) -> None:
    """Name what failed and what was read differently, on stderr."""
    for record in records:
        for run in record.runs:
            for path, answer in zip(paths, run.drive.answers, strict=True):
                if answer.lines is None:
                    print(f"{record.name}: {path} failed: {answer.error}", file=sys.stderr)
        for i in changed(records, record):
            print(f"{record.name}: {paths[i]} had another number of lines", file=sys.stderr)


def content(
    options: argparse.Namespace, records: Sequence[Record], paths: Sequence[Path]
) -> dict[str, object]:
    """Everything, for a JSON file."""
    return {
        "machine": machine.facts(),
        "sets": list(options.set or SETS),
        "pictures": [str(path.relative_to(options.folder)) for path in paths],
        "url": options.url,
        "contestants": [
            {
                "name": record.name,
                "clients": record.clients,
                "changed": len(changed(records, record)),
                "rounds": [asdict(numbers) for numbers in record.figures],
                "runs": [asdict(run) for run in record.runs],
            }
            for record in records
        ],
        "images_a_second_ratios": ratios(records),
    }


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the truth files and their pictures")
    parser.add_argument("--set", nargs="+", metavar="NAME", help="default: " + " ".join(SETS))
    parser.add_argument("--clients", type=counts, default=(8,), help="at once, as 8 or 1,8")
    parser.add_argument("--url", help="of a service that runs already")
    parser.add_argument("--pid", type=int, help="of that service, to measure what it uses")
    parser.add_argument("--rounds", type=count, default=1)
    parser.add_argument(
        "--rapidocr", nargs="*", action="append", default=[], metavar="NAME=VALUE",
        help="compare with this library, with these parameters",
    )  # fmt: skip
    parser.add_argument("--rapidocr-api", action="store_true", help="compare with its server")
    parser.add_argument(
        "--modelscope", nargs=3, metavar=("PYTHON", "DETECTION", "RECOGNITION"),
        help="compare with ModelScope's pipelines over these folders",
    )  # fmt: skip
    parser.add_argument(
        "--lines-of-truth", action="store_true", help="in process only: read the truth's lines"
    )
    parser.add_argument("--in-process", action="store_true", help="compare with the pipeline")
    parser.add_argument("--limit", type=count, help="take only so many pictures")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    if options.pid is not None and options.url is None:
        parser.error("--pid goes with --url")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        found = pictures(options)
        paths = list(found)
        with ExitStack() as stack:
            records = enter(stack, options, found)
            compete(records, options.rounds)
    except (RuntimeError, ValueError) as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 1
    print(machine.describe())
    print(f"{len(paths)} pictures of {', '.join(options.set or SETS)}; rounds: {options.rounds}\n")
    print(show(records))
    for name, values in ratios(records).items():
        print(f"\n{name}, images/s: {spread(values, '{:.2f}'.format)}", end="")
    print()
    show_troubles(records, paths)
    if options.json is not None:
        machine.write_json(options.json, content(options, records, paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
