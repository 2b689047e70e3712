"""Whether the service answers many clients exactly as it answers one.

    python benchmarks/consistency.py FOLDER [--requests 2000] [--clients 16] [--url URL]

Draws a random mix of the pictures of FOLDER's truth sets and of its robustness.jsonl, mostly line
crops and small pictures; sends each picture of it once, one after the other, and then the whole mix
from many clients at a time.
Counts the answers that differ from the serial one in any character, the 5xx, and the pages that the
runners' batches held.
"""

import argparse
import asyncio
import random
import re
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import client
import serving
from machine import Meter, write_json
from mixture import CROPS, ODD, PAGES, SMALL, draw, pictures

SEED = 1
SHARES = {CROPS: 0.75, SMALL: 0.12, ODD: 0.08, PAGES: 0.05}
BATCH = re.compile(r'adaptive_batch_size_(sum|count)\{method_name="(\w+)".*\} ([\d.]+)')

Outcome = tuple[int, str]  # status and body


@dataclass
class Report:
    """What came out; `batches` holds, for each runner's method, pages a batch on average."""

    requests: int
    clients: int
    seconds: float
    statuses: dict[int, int]
    server_errors: int
    differing: list[str]
    batches: dict[str, float]
    largest_process_mb: float | None


def mix(kinds: dict[str, list[Path]], count: int) -> list[Path]:
    """A random sequence in which each kind has its share."""
    chance = random.Random(SEED)
    return [draw(kinds, SHARES, chance) for _ in range(count)]


async def ask(session: aiohttp.ClientSession, url: str, request: bytes) -> Outcome:
    async with session.post(url + client.PATH, data=request) as response:
        return response.status, await response.text()


async def ask_all(url: str, paths: list[Path], clients: int) -> list[Outcome]:
    """The answers in order; each client sends its next request when it has an answer."""
    requests = {path: client.body(path.read_bytes()) for path in set(paths)}
    outcomes: dict[int, Outcome] = {}
    waiting = iter(enumerate(paths))

    async def work(session: aiohttp.ClientSession) -> None:
        for number, path in waiting:
            outcomes[number] = await ask(session, url, requests[path])

    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(client.connect()) for _ in range(clients)]
        await asyncio.gather(*(work(session) for session in sessions))
    return [outcomes[number] for number in range(len(paths))]


async def batches(url: str) -> dict[str, Counter[str]]:
    """For each runner's method the number of its batches so far, and of the pages in them."""
    async with client.connect() as session, session.get(url + "/metrics") as response:
        return count_batches(await response.text())


def count_batches(metrics: str) -> dict[str, Counter[str]]:
    """The same out of the text of /metrics: `count` of the batches, `sum` of the pages."""
    counts: dict[str, Counter[str]] = {}
    for what, method, value in BATCH.findall(metrics):
        counts.setdefault(method, Counter())[what] += int(float(value))
    return counts


async def measure(url: str, folder: Path, requests: int, clients: int) -> Report:
    kinds = pictures(folder)
    order = mix(kinds, requests)
    distinct = sorted(set(order))
    serial = dict(zip(distinct, await ask_all(url, distinct, 1), strict=True))
    before = await batches(url)
    start = time.perf_counter()
    together = await ask_all(url, order, clients)
    seconds = time.perf_counter() - start
    after = await batches(url)
    return Report(
        requests,
        clients,
        seconds,
        dict(Counter(status for status, _ in together)),
        sum(status >= 500 for status, _ in [*serial.values(), *together]),
        [str(p) for p, found in zip(order, together, strict=True) if found != serial[p]],
        {
            method: (after[method] - before[method])["sum"]
            / max(1, (after[method] - before[method])["count"])
            for method in after
        },
        None,
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--url", help="of a running service; without it one is started")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    with ExitStack() as stack:
        url, meter = options.url, None
        if url is None:
            url, pid = stack.enter_context(serving.served())
            meter = stack.enter_context(Meter(pid))
        report = asyncio.run(measure(url, options.folder, options.requests, options.clients))
        if meter is not None:
            report.largest_process_mb = meter.usage().peak_process_bytes / 1e6
    for name, value in asdict(report).items():
        print(f"{name.replace('_', ' '):20} {value}")
    if options.json:
        write_json(options.json, asdict(report))
    return 1 if report.server_errors or report.differing else 0


if __name__ == "__main__":
    sys.exit(main())
