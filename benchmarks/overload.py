"""What the service does when it is offered several times the load that it can carry.

    python benchmarks/overload.py FOLDER [--factor 4] [--seconds 120] [--measure 20] [--pages]
        [--url URL] [--json FILE]

Measures first how many of FOLDER's line crops and small pictures (or, with --pages, whole pages)
the service reads a second when 8 clients each send one as soon as they have an answer. Then sends
`factor` times as many a second, for `seconds`, whether they are answered or not; and at last again
as at first, until the service is as fast as it was.

Ends with 1 if an accepted request took longer than the service's own limit; if a refusal had no
Retry-After, or more than one in a hundred took 50 ms or longer; if there was any other answer, or
none; or if the service needed more than 5 s to read nine tenths of what it can again. By how much
this client itself was late while a refusal was on its way is taken off; both figures are shown.
"""

import argparse
import asyncio
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count, cycle, takewhile
from pathlib import Path

import aiohttp
import client
import serving
from latencies import Latencies, latencies
from machine import describe, facts, write_json
from mixture import CROPS, PAGES, SMALL, draw, pictures
from tables import table

SEED = 3
SHARES = {CROPS: 0.9, SMALL: 0.1}
BODIES = 200  # distinct requests
CLIENTS = 8
WARM_UP_S = 3.0
PAUSE_S = 0.25  # of one of them after another answer than a picture's
TICK_S = 0.005  # between two looks at how late this client is
REFUSALS = (429, 503)
PROMPT_S = 0.05  # in which a request is to be refused
PROMPT_SHARE = 0.99  # of the refusals have to be
RECOVERED = 0.9  # of what the service could carry before
RECOVERY_S = 5.0  # that it may need for that
GIVE_UP_S = 60.0  # on waiting for it
WINDOW_IMAGES = 10  # at least, in a window in which the rate is measured
IDLE_S = 2.0  # for which a connection is kept: the server closes it after 5


@dataclass(frozen=True)
class Answer:
    """One request: seconds that it took, and its status, 0 if there was no answer.

    `lag` is by how many seconds at most this client was late meanwhile.
    """

    seconds: float
    status: int
    retry_after: bool
    lag: float

    @property
    def refused(self) -> bool:
        return self.status in REFUSALS


@dataclass(frozen=True)
class Report:
    """What came of it; rates in requests a second."""

    capacity: float
    limit_s: float
    offered: float
    requests: int
    seconds: float
    accepted: Latencies
    late: int  # of the accepted, those that took longer than `limit_s`
    refused: Latencies
    without_retry_after: int
    prompt_share: float  # of the refusals, as this client saw them
    served_prompt_share: float  # the same without the time that this client was late
    others: dict[int, int]
    client_lag: Latencies
    client_cores: float  # that this client used
    recovery_s: float | None  # after the last request was offered; None if it never was as fast

    @property
    def faults(self) -> list[str]:
        """All that must not be."""
        slow = self.recovery_s is None or self.recovery_s > RECOVERY_S
        found = {
            f"{self.late} accepted requests took longer than {self.limit_s:g} s": self.late,
            "nothing was accepted": not self.accepted.count,
            f"{self.without_retry_after} refusals without Retry-After": self.without_retry_after,
            f"{1 - self.served_prompt_share:.1%} of the refusals took {1000 * PROMPT_S:.0f} ms "
            "or longer": self.served_prompt_share < PROMPT_SHARE,
            f"other answers: {self.others}": self.others,
            f"full speed after {self.recovery_s} s": slow,
        }
        return [text for text, wrong in found.items() if wrong]


class Lag:
    """How late this client's event loop was, and when."""

    def __init__(self) -> None:
        self._ends: list[float] = []  # of the ticks that came late,
        self._late: list[float] = []  # and by how much
        self.all: list[float] = []

    async def watch(self) -> None:
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.all.append(now - due)
            if now - due > TICK_S:
                self._ends.append(now)
                self._late.append(now - due)

    def between(self, start: float, end: float) -> float:
        """The most that a tick was late of those which were due before `end` and came later than
        `start`."""
        first = bisect_right(self._ends, start)
        after = zip(self._ends[first:], self._late[first:], strict=True)
        return max(
            (late for _, late in takewhile(lambda tick: tick[0] - tick[1] < end, after)),
            default=0.0,
        )


class Client:
    """Sends requests to the service at a URL, the same ones in turn."""

    def __init__(self, session: aiohttp.ClientSession, url: str, bodies: Sequence[bytes]) -> None:
        self.lag = Lag()
        self.read: list[float] = []  # the moments at which a picture was, whoever asked for it
        self._session = session
        self._url = url + client.PATH
        self._bodies = cycle(bodies)

    async def ask(self) -> Answer:
        start = time.perf_counter()
        status, retry_after = 0, False
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(self._url, data=next(self._bodies)) as response:
                await response.read()
                status, retry_after = response.status, "Retry-After" in response.headers
        end = time.perf_counter()
        if status == 200:
            self.read.append(end)
        return Answer(end - start, status, retry_after, self.lag.between(start, end))

    @asynccontextmanager
    async def saturate(self) -> AsyncIterator[None]:
        """CLIENTS send one request after the other, as long as the context lasts."""

        async def work() -> None:
            while True:
                answer = await self.ask()
                if answer.status != 200:
                    await asyncio.sleep(PAUSE_S)

        async with _running(*(work() for _ in range(CLIENTS))):
            yield

    async def offer(self, rate: float, seconds: float) -> "list[asyncio.Task[Answer]]":
        """Send so many a second, whether they are answered or not."""
        sent = []
        start = time.perf_counter()
        for number in range(round(rate * seconds)):
            left = start + number / rate - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
            sent.append(asyncio.create_task(self.ask()))
        return sent


@asynccontextmanager
async def _running(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Does endless work until the context ends."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def capacity(asker: Client, seconds: float) -> float:
    """Requests a second that the service answers when it always has some to do.

    Raises RuntimeError if it reads none.
    """
    async with asker.saturate():
        await asyncio.sleep(WARM_UP_S)
        before = len(asker.read)
        await asyncio.sleep(seconds)
        read = len(asker.read) - before
    if not read:
        raise RuntimeError(f"the service read nothing in {seconds:g} s")
    return read / seconds


async def recovery(asker: Client, rate: float) -> float | None:
    """Seconds until a window of time in which the service reads nine tenths of this rate again."""
    window = max(1.0, WINDOW_IMAGES / rate)
    start = time.perf_counter()
    async with asker.saturate():
        for number in count(1):
            end = start + number * window
            await asyncio.sleep(end - time.perf_counter())
            if sum(end - window <= each < end for each in asker.read) >= RECOVERED * rate * window:
                return end - start
            if end - start > GIVE_UP_S:
                return None
    raise AssertionError


async def measure(url: str, bodies: Sequence[bytes], options: argparse.Namespace) -> Report:
    """Find what the service carries, offer it more, and wait until it carries as much again."""
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        async with session.get(url + "/capabilities") as response:
            limit_s = (await response.json())["limits"]["timeout_s"]
        asker = Client(session, url, bodies)
        carried = await capacity(asker, options.measure)
        print(f"it reads {carried:.1f} pictures a second", flush=True)
        async with _running(asker.lag.watch()):
            start, cpu = time.perf_counter(), time.process_time()
            sent = await asker.offer(options.factor * carried, options.seconds)
            seconds, used = time.perf_counter() - start, time.process_time() - cpu
            recovered = await recovery(asker, carried)
            answers = await asyncio.gather(*sent)
    return report(answers, asker.lag.all, carried, limit_s, seconds, used / seconds, recovered)


def report(
    answers: Sequence[Answer],
    lag: Sequence[float],
    carried: float,
    limit_s: float,
    seconds: float,
    cores: float,
    recovered: float | None,
) -> Report:
    """Sum up answers that were sent for within so many seconds; `cores` were used for that."""
    accepted = [each.seconds for each in answers if each.status == 200]
    refused = [each for each in answers if each.refused]
    others = Counter(each.status for each in answers if each.status != 200 and not each.refused)
    return Report(
        capacity=carried,
        limit_s=limit_s,
        offered=len(answers) / seconds,
        requests=len(answers),
        seconds=seconds,
        accepted=latencies(accepted),
        late=sum(each > limit_s for each in accepted),
        refused=latencies(each.seconds for each in refused),
        without_retry_after=sum(not each.retry_after for each in refused),
        prompt_share=_share([each.seconds < PROMPT_S for each in refused]),
        served_prompt_share=_share([each.seconds - each.lag < PROMPT_S for each in refused]),
        others=dict(others),
        client_lag=latencies(lag),
        client_cores=cores,
        recovery_s=recovered,
    )


def _share(those: Sequence[bool]) -> float:
    """Of those that are so; all if there are none."""
    return sum(those) / len(those) if those else 1.0


def requests(folder: Path, pages: bool) -> list[bytes]:
    """Bodies of requests for one picture each: line crops and small pictures, or whole pages."""
    found = pictures(folder)
    shares = {PAGES: 1.0} if pages else SHARES
    kinds = {kind: found[kind] for kind in shares if kind in found}
    chance = random.Random(SEED)
    return [client.body(draw(kinds, shares, chance).read_bytes()) for _ in range(BODIES)]


def show(found: Report) -> None:
    """Print what came out."""
    print(
        f"{found.requests} requests in {found.seconds:.0f} s: {found.offered:.1f} a second, where "
        f"it reads {found.capacity:.1f}; a request may take {found.limit_s:g} s\n"
    )
    rows = [
        (what, *(f"{value:.0f}" for value in asdict(each).values()))
        for what, each in (
            ("accepted", found.accepted),
            ("refused", found.refused),
            ("this client's lag", found.client_lag),
        )
    ]
    print(table(("", "number", "p50 ms", "p95 ms", "p99 ms", "max ms"), rows))
    print(
        f"\nrefused in under {1000 * PROMPT_S:.0f} ms: {found.prompt_share:.2%}, "
        f"{found.served_prompt_share:.2%} without this client's lag; "
        f"{found.without_retry_after} without Retry-After"
    )
    print(
        f"other answers: {found.others or 'none'}; this client used {found.client_cores:.2f} cores"
    )
    again = "not" if found.recovery_s is None else f"after {found.recovery_s:.1f} s"
    print(f"at full speed again: {again}")
    print("; ".join(found.faults) or "within all bounds")


def parse(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--factor", type=float, default=4.0)
    parser.add_argument("--seconds", type=float, default=120.0, help="of overload")
    parser.add_argument("--measure", type=float, default=20.0, help="seconds of normal load before")
    parser.add_argument("--pages", action="store_true", help="whole pages, not crops")
    parser.add_argument("--url", help="of a running service; without it one is started")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    options = parse(given)
    bodies = requests(options.folder, options.pages)
    with ExitStack() as stack:
        url = options.url or stack.enter_context(serving.served())[0]
        found = asyncio.run(measure(url.rstrip("/"), bodies, options))
    print(describe())
    show(found)
    if options.json:
        write_json(options.json, asdict(found) | {"faults": found.faults, "machine": facts()})
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
