"""What takes part in the throughput benchmark: the service, and readers it is compared with."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol

import aiohttp
import client
from driving import Answer, Drive, drive
from machine import Meter, Usage
from metrics import TextLine

Read = Callable[[aiohttp.ClientSession, bytes], Awaitable[list[TextLine]]]

WARM_UP = 4  # requests, or one a client if there are more


@dataclass(frozen=True)
class Run:
    """One contestant's way through all pictures, and what its processes used on it."""

    drive: Drive
    usage: Usage | None


class Contestant(Protocol):
    """Reads all pictures with so many clients at once, after a warm-up that is not timed."""

    def run(self, clients: int) -> Run: ...


class Server:
    """A server that reads pictures; what it uses is measured if the process `pid` is known.

    `read` sends one of `bodies`, one a picture, over a session of its own. All are sent once, and
    then over and over until so many `seconds` are gone.
    """

    def __init__(
        self, pid: int | None, bodies: Sequence[bytes], read: Read, seconds: float = 0
    ) -> None:
        self._pid, self._bodies, self._read, self._seconds = pid, bodies, read, seconds

    def run(self, clients: int) -> Run:
        return asyncio.run(self._run(clients))

    async def _run(self, clients: int) -> Run:
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(client.connect()) for _ in range(clients)]
            readers = [partial(self._read, session) for session in sessions]
            await drive(readers, list(islice(cycle(self._bodies), max(WARM_UP, clients))))
            with _meter(self._pid) as meter:
                driven = await drive(readers, self._requests())
            return Run(driven, None if meter is None else meter.usage())

    def _requests(self) -> Iterator[bytes]:
        end = time.perf_counter() + self._seconds
        for number, body in enumerate(cycle(self._bodies)):
            if number >= len(self._bodies) and time.perf_counter() >= end:
                return
            yield body


def service(url: str, pid: int | None, paths: Sequence[Path], seconds: float = 0) -> Server:
    """The service at `url`."""
    bodies = [client.body(path.read_bytes()) for path in paths]
    return Server(pid, bodies, lambda session, body: client.read(session, url, body), seconds)


def rapidocr_api(url: str, pid: int | None, paths: Sequence[Path]) -> Server:
    """The server of the package rapidocr_api at `url`."""
    bodies = [path.read_bytes() for path in paths]
    return Server(pid, bodies, lambda session, body: client.read_by_rapidocr(session, url, body))


class Worker:
    """A reader in a process of its own; `kind` is one that worker.py knows."""

    def __init__(self, process: "subprocess.Popen[str]", count: int) -> None:
        self._process = process
        self._count = count

    def run(self, clients: int) -> Run:
        warm_up = islice(cycle(range(self._count)), max(WARM_UP, clients))
        self._drive(list(warm_up), clients)
        with Meter(self._process.pid) as meter:
            driven = self._drive(list(range(self._count)), clients)
        return Run(driven, meter.usage())

    def _drive(self, order: list[int], clients: int) -> Drive:
        answer = _ask(self._process, {"order": order, "clients": clients})
        assert isinstance(answer, dict)
        return Drive(answer["seconds"], [Answer(**item) for item in answer["answers"]])


@contextmanager
def worker(
    kind: str, paths: Sequence[Path], *options: str, python: str = sys.executable
) -> Iterator[Worker]:
    """Start a worker over these pictures and wait until it has loaded; ends it at last."""
    command = [python, str(Path(__file__).with_name("worker.py")), kind, *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:  # closes its input, which ends it
        try:
            _ask(process, [str(path.resolve()) for path in paths])
            yield Worker(process, len(paths))
        except BaseException:
            process.kill()
            raise


def _meter(pid: int | None) -> "Meter | nullcontext[None]":
    return nullcontext() if pid is None else Meter(pid)


def _ask(process: "subprocess.Popen[str]", question: object) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    answer = ""
    with suppress(BrokenPipeError):  # it has ended, as below
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"a worker ended too soon: {process.args!r}")
    parsed: object = json.loads(answer)
    return parsed
