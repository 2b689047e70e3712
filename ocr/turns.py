"""Turns at the networks: how many pages are in work, how many images may wait, and who is next."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from ocr.errors import Busy
from ocr.request import Request, current

SMOOTHING = 0.1  # of the pace, by each page


class Turns:
    """Turns that the requests of one event loop share; whose a turn is, ocr.request says.

    `at_once` pages are in work. Of the requests that wait each gets one turn after the other, so
    one image is not kept waiting by sixty-four that came before. `most` images may wait, and no
    more than can be read within `time_limit_s`.
    """

    def __init__(self, at_once: int, most: int = 2**31, time_limit_s: float = float("inf")) -> None:
        self.at_once = at_once
        self.most = most
        self.time_limit_s = time_limit_s
        self._in_work = 0
        self._waiting: dict[Request | None, deque[asyncio.Future[None]]] = {}
        self._admitted: dict[Request | None, int] = {}  # images that are not read yet
        self._pace_s = 0.0  # from one page that is done to the next one

    @property
    def images(self) -> int:
        """All images that wait or are in work."""
        return sum(self._admitted.values())

    @contextmanager
    def admitted(self, images: int) -> Iterator[None]:
        """Have so many images of the current request wait for their turns; `done` counts them off.

        Raises Busy where they are too many, beside others; alone a request may bring any number.
        """
        others = self.images
        expected_s = self._expected_s(images)
        if others and others + images > self.most + self.at_once:
            raise Busy(f"{others} images are waiting", self._pace_s * images)
        if others and expected_s > self.time_limit_s:
            raise Busy(
                f"{others} images are waiting, which takes too long",
                expected_s - self.time_limit_s,
            )
        request = current.get() or Request()
        current.set(request)
        self._admitted[request] = self._admitted.get(request, 0) + images
        try:
            yield
        finally:
            del self._admitted[request]

    def done(self) -> None:
        """Say that one of the current request's images has been read, or cannot be."""
        request = current.get()
        if self._admitted.get(request):
            self._admitted[request] -= 1

    def _expected_s(self, images: int) -> float:
        """How long a request would take: as long as it has images, all others have a share."""
        ahead = sum(min(left, images) for left in self._admitted.values())
        return self._pace_s * (images + ahead)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and give it on at the end."""
        if self._in_work < self.at_once:
            self._in_work += 1
        else:
            await self._wait()
        start, beside = time.perf_counter(), self._in_work
        try:
            yield
        finally:
            seconds = (time.perf_counter() - start) / max(beside, self._in_work)
            self._pace_s += (seconds - self._pace_s) * (SMOOTHING if self._pace_s else 1)
            self._give_on()

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(current.get(), deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_on()
            raise

    def _give_on(self) -> None:
        """Give a turn to the request that has waited longest for one, if any."""
        while self._waiting:
            request, turns = next(iter(self._waiting.items()))
            del self._waiting[request]
            turn = turns.popleft()
            if turns:
                self._waiting[request] = turns  # behind all others
            if not turn.done():  # one that was cancelled has left its place behind
                turn.set_result(None)
                return
        self._in_work -= 1
