"""Drives something that reads pictures, with a number of clients at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from client import ReadFailed
from metrics import TextLine

Request = TypeVar("Request")


@dataclass(frozen=True)
class Answer:
    """One picture: seconds until the answer, and its number of lines or, failed, why."""

    seconds: float
    lines: int | None
    error: str = ""


@dataclass(frozen=True)
class Drive:
    """All pictures: seconds from the first request to the last answer, answers in order."""

    seconds: float
    answers: list[Answer]


async def drive(
    clients: Sequence[Callable[[Request], Awaitable[list[TextLine]]]],
    requests: Iterable[Request],
) -> Drive:
    """Send each request once; each client sends its next as soon as it has an answer."""
    answers: dict[int, Answer] = {}
    waiting: Iterable[tuple[int, Request]] = iter(enumerate(requests))

    async def work(read: Callable[[Request], Awaitable[list[TextLine]]]) -> None:
        for i, request in waiting:  # one iterator for all
            answers[i] = await _timed(read(request))

    start = time.perf_counter()
    await asyncio.gather(*(work(read) for read in clients))
    seconds = time.perf_counter() - start
    return Drive(seconds, [answers[i] for i in sorted(answers)])


async def _timed(reading: Awaitable[list[TextLine]]) -> Answer:
    start = time.perf_counter()
    try:
        lines = await reading
    except ReadFailed as error:
        return Answer(time.perf_counter() - start, None, str(error))
    return Answer(time.perf_counter() - start, len(lines))
