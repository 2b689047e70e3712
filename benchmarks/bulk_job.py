"""Whether a bulk job loses, doubles or misreads anything, and what it takes.

    python benchmarks/bulk_job.py FOLDER --check | --memory | --throughput | --kill
        [--inputs N] [--rounds 3] [--json FILE]

Runs bulk.py over the pictures of FOLDER's truth sets, listed again and again, on a Ray of its own.

--check: N inputs (2,000): line crops, small pictures, whole pages and PDFs made of them, one in 50
  damaged. Each distinct one is also read by the service: every row has to be there once, with the
  service's texts to the character, or its error.
--memory: line crops and small pictures, N (2,000) and ten times as many: the most memory at one
  moment, summed over all processes. It may differ by 10 %.
--throughput: the pictures of throughput.py, at least N (540), and the pipeline in one process over
  the same, in turns: each job is compared with the mean of that before and after it. Pages a second
  of the bulk job over its whole time, and without its start: of all pages but one, over the time
  that it takes longer than a job of one page.
--kill: N inputs (2,000), none damaged; kills the driver (SIGKILL) when half of the rows are there
  and starts the job again at once. Every row has to be there once.

Ends with 1 if anything is not as it should be.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import bulk_inputs
import bulk_runs
import contestants
import machine
import serving
import throughput
from arguments import count
from bulk_inputs import Inputs
from bulk_runs import Memory, MemoryWatch
from tables import table
from throughput import IN_PROCESS, spread

from ocr.client import Client
from ocr.errors import FileUnreadable, OcrError

ENDED_WELL = 0  # bulk.py, with what could not be read
CLIENTS = 8
TIMES = 10  # as many inputs, for the memory
MOST_GROWTH, MOST_LOSS = 0.1, 0.1
SHOWN = 20  # of what is amiss
MEGABYTE = 1e6
KEY = ("source", "occurrence", "page")
COLUMNS = (*KEY, "error_code", "text", "lines")

Key = tuple[str, int, int]


@dataclass(frozen=True)
class PageText:
    """A page's text, and that of each of its lines."""

    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the service makes of a file: pages, or the code of an error."""

    pages: tuple[PageText, ...] = ()
    code: str | None = None


@dataclass
class Result:
    """What came out, as JSON has it, lines to print, and what must not be."""

    found: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def check(options: argparse.Namespace, made: Path) -> Result:
    """Compare the rows of a job with what the service says."""
    inputs = bulk_inputs.mixed(options.folder, made, options.inputs, damaged=True)
    output = made / "texts"
    with bulk_runs.running(inputs.write(made / "list.txt"), output) as run:
        run.wait(ENDED_WELL)
    answers = ask_the_service(inputs.counts)
    rows = bulk_runs.rows(output, COLUMNS).to_pylist()
    codes = Counter(row["error_code"] for row in rows if row["error_code"])
    faults = compare(inputs, answers, rows)
    found = {
        "inputs": len(inputs.listed),
        "distinct": len(answers),
        "rows": len(rows),
        "codes": codes,
        "characters": sum(len(row["text"] or "") for row in rows),
        "seconds": run.seconds,
    }
    line = (
        f"{found['inputs']} inputs, {found['distinct']} of them distinct: {len(rows)} rows, "
        f"{codes.total()} of them errors ({_listed(codes)}), {found['characters']} characters, "
        f"in {run.seconds:.0f} s"
    )
    return Result(found, [line], faults)


def ask_the_service(paths: Iterable[Path]) -> dict[Path, Answer]:
    """What the service makes of each file, one a request."""
    with (
        serving.served() as (url, _),
        Client(url) as client,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        listed = list(paths)
        return dict(zip(listed, threads.map(lambda path: _ask(client, path), listed), strict=True))


def _ask(client: Client, path: Path) -> Answer:
    try:
        document = client.read(path)
    except FileNotFoundError:  # nothing to send: the service has no such error
        return Answer(code=FileUnreadable.code)
    except OcrError as error:
        return Answer(code=error.code)
    pages = (
        PageText(page.text, tuple(line.text for line in page.lines)) for page in document.pages
    )
    return Answer(tuple(pages))


def compare(
    inputs: Inputs, answers: Mapping[Path, Answer], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What is wrong with a job's rows."""
    by_input: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_input.setdefault((row["source"], row["occurrence"]), []).append(row)
    faults = []
    for path, often in inputs.counts.items():
        answer = answers[path]
        if (answer.code is not None) != (path in inputs.damaged):
            faults.append(f"{path}: the service says {answer.code or 'nothing is wrong with it'}")
        for occurrence in range(often):
            own = by_input.pop((str(path), occurrence), [])
            if wrong := differing(answer, own):
                faults.append(f"{path}, occurrence {occurrence}: {wrong}")
    faults += [f"{source}, occurrence {number}: nobody asked" for source, number in by_input]
    return faults


def differing(answer: Answer, rows: Sequence[Mapping[str, Any]]) -> str:
    """Where the rows of one input are not what the service said, or nothing."""
    numbers = sorted(row["page"] for row in rows)
    if answer.code is not None:
        codes = [row["error_code"] for row in rows]
        return "" if codes == [answer.code] else f"{codes} instead of {answer.code}"
    if numbers != list(range(1, len(answer.pages) + 1)):
        return f"pages {numbers} instead of 1 to {len(answer.pages)}"
    for row in rows:
        page = answer.pages[row["page"] - 1]
        if row["error_code"] is not None:
            return f"page {row['page']} has {row['error_code']}"
        own = PageText(row["text"], tuple(line["text"] for line in row["lines"]))
        if own != page:
            return f"page {row['page']} reads {_other(own, page)}"
    return ""


def _other(own: PageText, page: PageText) -> str:
    """The first line, or with equal lines the text, that is another one in the job's page."""
    parts = zip_longest((*own.lines, own.text), (*page.lines, page.text))
    one, two = next((one, two) for one, two in parts if one != two)
    return f"{one!r}, by the service {two!r}"


def memory(options: argparse.Namespace, made: Path) -> Result:
    """Compare what a job takes with what one of ten times as many inputs does."""
    counts = (options.inputs, TIMES * options.inputs)
    few, many = (memory_of(bulk_inputs.light(options.folder, each), made) for each in counts)
    ratio = many.peak_bytes / few.peak_bytes
    rows = [
        (
            str(each),
            f"{taken.peak_bytes / MEGABYTE:.0f}",
            f"{taken.process_bytes / MEGABYTE:.0f}",
            taken.process,
        )
        for each, taken in zip(counts, (few, many), strict=True)
    ]
    lines = [
        table(("inputs", "peak MB", "largest MB", "which"), rows),
        f"{ratio:.3f} times as much memory for {TIMES} times as many inputs",
    ]
    found = {
        "inputs": counts,
        "memory": [asdict(few), asdict(many)],
        "ratio": ratio,
    }
    return Result(found, lines, ["memory grew"] if ratio > 1 + MOST_GROWTH else [])


def memory_of(inputs: Inputs, made: Path) -> Memory:
    """What a job of these inputs takes at most."""
    number = len(inputs.listed)
    listed = inputs.write(made / f"list-{number}.txt")
    with (
        bulk_runs.running(listed, made / f"texts-{number}") as run,
        MemoryWatch(run.pid) as watch,
    ):
        run.wait(ENDED_WELL)
    return watch.memory


@dataclass(frozen=True)
class Pace:
    """Pages a second: of all of a job, and beyond the `start` seconds of a job of one page."""

    whole: float
    running: float
    start: float


def pace(pages: int, seconds: float, one: float) -> Pace:
    """How fast a job was that took so many seconds, as a job of one page took `one`.

    Raises ValueError if it has no more pages or took no longer.
    """
    if pages < 2 or seconds <= one:
        raise ValueError("too few inputs: a job of one page takes as long")
    return Pace(pages / seconds, (pages - 1) / (seconds - one), one)


def compete(options: argparse.Namespace, made: Path) -> Result:
    """Let the pipeline in one process and the job take turns over the same pictures."""
    paths = pictures(options)
    inputs = bulk_inputs.repeated(paths, options.inputs)
    alone: list[float] = []
    paces: list[Pace] = []
    with contestants.worker(IN_PROCESS, paths) as worker:
        before = throughput.figures(worker.run(CLIENTS)).images_a_second
        for number in range(options.rounds):
            one = seconds_of(Inputs(tuple(paths[:1])), made / f"one-{number}")
            all_seconds = seconds_of(inputs, made / f"all-{number}")
            after = throughput.figures(worker.run(CLIENTS)).images_a_second
            alone.append((before + after) / 2)
            before = after
            paces.append(pace(len(inputs.listed), all_seconds, one))
            print(f"round {number + 1}: {alone[-1]:.2f} pages/s, {paces[-1]}", file=sys.stderr)
    return _standings(len(inputs.listed), alone, paces)


def seconds_of(inputs: Inputs, output: Path) -> float:
    """How long a job of these inputs takes."""
    with bulk_runs.running(inputs.write(output.with_suffix(".txt")), output) as run:
        run.wait(ENDED_WELL)
    return run.seconds


def pictures(options: argparse.Namespace) -> list[Path]:
    """Those of throughput.py, but no more than there are to be inputs."""
    chosen = argparse.Namespace(folder=options.folder.resolve(), set=None, limit=options.inputs)
    return list(throughput.pictures(chosen))


def _standings(pages: int, alone: Sequence[float], paces: Sequence[Pace]) -> Result:
    whole = [each.whole / one for each, one in zip(paces, alone, strict=True)]
    running = [each.running / one for each, one in zip(paces, alone, strict=True)]
    form = "{:.3f}".format
    rows = [
        (IN_PROCESS, spread(alone, form), "1"),
        ("bulk job", spread([each.whole for each in paces], form), spread(whole, form)),
        (
            "without its start",
            spread([each.running for each in paces], form),
            spread(running, form),
        ),
    ]
    lines = [
        table((f"{pages} pages", "pages/s", "times as fast"), rows),
        f"a job of one page took {spread([each.start for each in paces], '{:.1f}'.format)} s",
    ]
    found = {
        "pages": pages,
        "in_process": list(alone),
        "bulk": [asdict(each) for each in paces],
        "ratios": whole,
        "ratios_without_start": running,
    }
    slow = sorted(running)[len(running) // 2] < 1 - MOST_LOSS
    return Result(found, lines, ["slower than the pipeline in one process"] if slow else [])


def kill(options: argparse.Namespace, made: Path) -> Result:
    """Kill a job at half, start it again, and look for rows that are lost or doubled."""
    inputs = bulk_inputs.mixed(options.folder, made, options.inputs, damaged=False)
    listed, output = inputs.write(made / "list.txt"), made / "texts"
    keys = inputs.keys()
    part_rows = max(1, min(100, len(keys) // 10))
    with bulk_runs.running(listed, output, part_rows) as first:
        first.kill_at(len(keys) // 2)
    before = first.marks()
    with bulk_runs.running(listed, output, part_rows) as second:
        second.wait(ENDED_WELL)
    rows = bulk_runs.rows(output, (*KEY, "error_code")).to_pylist()
    after = second.marks()
    unsaved, start = first.seconds - before[-1].seconds, after[0].seconds
    line = (
        f"killed after {first.seconds:.0f} s with {before[-1].rows} of {len(keys)} rows, the "
        f"second run took {second.seconds:.0f} s; lost: {unsaved + start:.0f} s, {unsaved:.0f} of "
        f"them since the last part and {start:.0f} to the first part of the second run"
    )
    found = {
        "rows": len(rows),
        "rows_when_killed": before[-1].rows,
        "seconds": [first.seconds, second.seconds],
        "seconds_lost": unsaved + start,
    }
    left = [f"{name} outlived its driver" for name in first.orphans()]
    return Result(found, [line], [*uneven(keys, rows), *left])


def uneven(keys: Counter[Key], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Which rows are lost, doubled, failed, or of something that nobody asked for."""
    found: Counter[Key] = Counter()
    faults = []
    for row in rows:
        found[row["source"], row["occurrence"], row["page"]] += 1
        if row["error_code"] is not None:
            faults.append(f"{row['source']}: {row['error_code']}")
    lost, more = keys - found, found - keys
    return (
        faults
        + [f"{key} is lost" for key in lost]
        + [f"{key} is there {often} times too often" for key, often in more.items()]
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


SHOWS: dict[str, tuple[Callable[[argparse.Namespace, Path], Result], int]] = {
    "check": (check, 2000),
    "memory": (memory, 2000),
    "throughput": (compete, 540),
    "kill": (kill, 2000),
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds the truth files and their pictures")
    what = parser.add_mutually_exclusive_group(required=True)
    for name in SHOWS:
        what.add_argument(f"--{name}", dest="show", action="store_const", const=name)
    parser.add_argument("--inputs", type=count)
    parser.add_argument("--rounds", type=count, default=3, help="of --throughput")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    options.inputs = options.inputs or SHOWS[options.show][1]
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    show, _ = SHOWS[options.show]
    with tempfile.TemporaryDirectory() as made:
        try:
            result = show(options, Path(made).resolve())
        except (RuntimeError, ValueError) as error:
            print(f"bulk_job: {error}", file=sys.stderr)
            return 1
    print(machine.describe())
    print("\n".join(result.lines))
    print("\n".join(result.faults[:SHOWN]) or "nothing amiss")
    if options.json is not None:
        content = result.found | {"show": options.show, "faults": result.faults}
        machine.write_json(options.json, content | {"machine": machine.facts()})
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
