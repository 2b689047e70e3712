"""Whether the service keeps working for hours as it did in its first minute.

    python benchmarks/soak.py FOLDER [--requests 20000 | --hours H] [--clients 8]
        [--url URL [--pid PID]] [--sample SECONDS] [--json FILE] [--csv FILE]

Sends mixed requests of FOLDER's truth sets and of its robustness.jsonl from several clients: line
crops and small pictures in several formats, jobs, one whole page in fifty, odd files, and bad
requests throughout. Each distinct request is sent once before, alone: an answer has to be that one
again, byte for byte, with its status and the headers that tell of its content. The memory of each
process is sampled, and compared with what it was after the first 2,000 requests.

--hours goes on for so long, whatever the number of requests. With --url a running service is
asked; --pid is its first process, without which its memory is not known. --csv gets all samples.
Ends with 1 if a process's memory grew by more than 5 %, if one other than those that open files
had to be replaced, or if any request had a 5xx, another answer than alone or none at all. To
refuse a request with 503 or 429 and Retry-After is no error; it is counted.
"""

import argparse
import asyncio
import csv
import random
import sys
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, nullcontext
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path

import aiohttp
import cases
import client
import serving
from arguments import count
from cases import BAD, FORMS, JOBS, RAW, SEVERAL, Case, Outcome
from latencies import Latencies, latencies
from machine import describe, facts, write_json
from mixture import CROPS, ODD, PAGES, SMALL, draw
from processes import DECODER, Growth, Sample, Watch, cpu_seconds, growth
from tables import table

SEED = 7
# Of 20,000 these take two cores about an hour: a line crop takes a tenth of a second of one core, a
# small picture and an odd file one, a whole page two.
SHARES = {
    CROPS: 0.38,
    RAW: 0.12,
    SEVERAL: 0.06,
    SMALL: 0.10,
    FORMS: 0.14,
    JOBS: 0.02,
    PAGES: 0.02,
    ODD: 0.05,
    BAD: 0.11,
}
MOST = {
    CROPS: 80,
    RAW: 40,
    SEVERAL: 16,
    SMALL: 14,
    FORMS: 28,
    JOBS: 14,
    PAGES: 30,
    ODD: 140,
    BAD: 30,
}
WARM = 2000  # requests after which memory has to stay where it is
MOST_GROWTH = 0.05
SHOWN = 20  # of the differing answers
MEGABYTE = 1e6


@dataclass
class Traffic:
    """What the requests of the load met with, so far."""

    answered: int = 0
    refused: int = 0
    seconds: dict[str, "array[float]"] = field(default_factory=dict)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    server_errors: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def note(self, kind: str, case: Case, seconds: float, found: Outcome, alone: Outcome) -> None:
        self.answered += 1
        self.seconds.setdefault(kind, array("d")).append(seconds)
        self.statuses.setdefault(kind, Counter())[found.status] += 1
        if found.refused and not alone.refused:
            self.refused += 1
        elif found.status >= 500:
            self.server_errors.append(f"{case.name}: {found.status} {found.body[:200]!r}")
        elif found != alone:
            self.differing.append(f"{case.name}: {found.beside(alone)}")


@dataclass(frozen=True)
class Report:
    """What came out of it all."""

    requests: int
    distinct: int
    clients: int
    seconds: float
    cpu_seconds: float  # of all processes of the service; 0 if they are not known
    refused: int
    statuses: Mapping[str, Mapping[int, int]]
    latencies: Mapping[str, Latencies]
    growth: Sequence[Growth]
    server_errors: Sequence[str]
    differing: Sequence[str]
    unanswered: Sequence[str]

    @property
    def faults(self) -> list[str]:
        """All that must not be."""
        grown = [
            f"the memory of {each.process} grew by {each.share:.1%}"
            for each in self.growth
            if each.share > MOST_GROWTH
        ]
        replaced = [
            f"{each.process} was replaced {each.pids - 1} times"
            for each in self.growth
            if each.pids > 1 and not each.process.startswith(DECODER)
        ]
        lists = {
            "server errors": self.server_errors,
            "differing answers": self.differing,
            "requests without an answer": self.unanswered,
        }
        return [
            *grown,
            *replaced,
            *(f"{len(each)} {name}" for name, each in lists.items() if each),
        ]


Pools = Mapping[str, Sequence[Case]]
Serial = dict[Case, Outcome]


async def alone(session: aiohttp.ClientSession, url: str, pools: Pools) -> Serial:
    """The answer to each request, sent one after the other.

    Raises aiohttp.ClientError or TimeoutError if there is none.
    """
    distinct = dict.fromkeys(case for pool in pools.values() for case in pool)
    return {case: await cases.ask(session, url, case) for case in distinct}


def sequence(pools: Pools, requests: int | None, hours: float) -> Iterator[tuple[str, Case]]:
    """Random requests with their kinds: so many, or, without a number, for so many hours."""
    chance = random.Random(SEED)
    kinds = {kind: [(kind, case) for case in pool] for kind, pool in pools.items()}
    end = time.monotonic() + 3600 * hours
    sent = 0
    while sent < requests if requests is not None else time.monotonic() < end:
        yield draw(kinds, SHARES, chance)
        sent += 1


async def load(
    sessions: Sequence[aiohttp.ClientSession],
    url: str,
    requests: Iterator[tuple[str, Case]],
    serial: Serial,
    traffic: Traffic,
) -> None:
    """Send the requests; each client sends its next when it has an answer."""

    async def work(session: aiohttp.ClientSession) -> None:
        for kind, case in requests:  # one iterator for all
            start = time.perf_counter()
            try:
                found = await cases.ask(session, url, case)
            except (aiohttp.ClientError, TimeoutError) as error:
                traffic.unanswered.append(f"{case.name}: {type(error).__name__} {error}")
                continue
            traffic.note(kind, case, time.perf_counter() - start, found, serial[case])

    await asyncio.gather(*(work(session) for session in sessions))


@asynccontextmanager
async def connected(clients: int) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """A session with a connection of its own for each client."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client.connect()) for _ in range(clients)]


async def measure(url: str, pools: Pools, options: argparse.Namespace) -> Report:
    """Ask alone, then together, and look at the processes meanwhile."""
    traffic = Traffic()
    watch = Watch(options.pid, options.sample, lambda: traffic.answered) if options.pid else None
    async with connected(options.clients) as sessions:
        with watch or nullcontext():
            serial = await alone(sessions[0], url, pools)
            print(f"{len(serial)} distinct requests were answered alone", flush=True)
            before = len(watch.samples) if watch else 0
            start = time.perf_counter()
            requests = sequence(pools, None if options.hours else options.requests, options.hours)
            await load(sessions, url, requests, serial, traffic)
            seconds = time.perf_counter() - start
    samples = watch.samples if watch else []
    if options.csv:
        write_csv(options.csv, samples)
    warm = min(WARM, traffic.answered // 10)
    failed = [
        f"{case.name}, alone: {found.status} {found.body[:200]!r}"
        for case, found in serial.items()
        if found.status >= 500
    ]
    return Report(
        requests=traffic.answered,
        distinct=len(serial),
        clients=options.clients,
        seconds=seconds,
        cpu_seconds=cpu_seconds(samples[before:]),
        refused=traffic.refused,
        statuses={kind: dict(sorted(each.items())) for kind, each in traffic.statuses.items()},
        latencies={kind: latencies(each) for kind, each in traffic.seconds.items()},
        growth=growth(samples, warm, traffic.answered),
        server_errors=failed + traffic.server_errors,
        differing=traffic.differing,
        unanswered=traffic.unanswered,
    )


def write_csv(path: Path, samples: Sequence[Sample]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(each.name for each in fields(Sample))
        writer.writerows(astuple(each) for each in samples)


def show(report: Report) -> None:
    """Print what came out."""
    each = report.cpu_seconds / max(1, report.requests)
    print(
        f"{report.requests} requests, {report.distinct} of them distinct, by {report.clients} "
        f"clients in {report.seconds / 60:.1f} min ({report.requests / report.seconds:.1f} a "
        f"second, {each:.3f} s of a core each); {report.refused} refused with Retry-After\n"
    )
    rows = [
        (
            kind,
            *(f"{value:.0f}" for value in astuple(report.latencies[kind])),
            ", ".join(f"{status}: {number}" for status, number in statuses.items()),
        )
        for kind, statuses in sorted(report.statuses.items())
    ]
    print(table(("requests", "number", "p50 ms", "p95 ms", "p99 ms", "max ms", "statuses"), rows))
    rows = [
        (
            grown.process,
            *(f"{size / MEGABYTE:.1f}" for size in (grown.base, grown.end, grown.peak)),
            f"{grown.share:+.1%}",
            f"{grown.unshared_end / MEGABYTE:.1f}",
            str(grown.pids - 1),
        )
        for grown in report.growth
    ]
    header = ("process", "MB warm", "at the end", "peak", "growth", "its own", "replaced")
    if rows:
        print(f"\n{table(header, rows)}")
    for what in (report.server_errors, report.differing, report.unanswered):
        for line in what[:SHOWN]:
            print(line)
    print("\n" + ("; ".join(report.faults) or "nothing amiss"))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=count, default=20_000)
    parser.add_argument("--hours", type=float, default=0.0, help="instead of a number of requests")
    parser.add_argument("--clients", type=count, default=8)
    parser.add_argument("--url", help="of a running service; without it one is started")
    parser.add_argument("--pid", type=int, help="of the running service's first process")
    parser.add_argument("--sample", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--csv", type=Path, help="for the samples of the processes")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    pools = cases.cases(options.folder, MOST, SEED)
    with ExitStack() as stack:
        if options.url is None:
            options.url, options.pid = stack.enter_context(serving.served())
        options.url = options.url.rstrip("/")
        report = asyncio.run(measure(options.url, pools, options))
    print(describe())
    show(report)
    if options.json:
        rows = [asdict(each) | {"share": each.share} for each in report.growth]
        content = asdict(report) | {"growth": rows, "faults": report.faults, "machine": facts()}
        write_json(options.json, content)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
