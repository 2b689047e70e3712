"""Keeps what is held in memory at a time below a limit, first come, first served."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Budget:
    """A number of units that coroutines of one event loop share.

    A claim that is larger than the whole budget is served alone.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, units: int) -> AsyncIterator[None]:
        """Wait for `units`, and give them back at the end."""
        units = min(units, self.total)
        if self._waiting or self.used + units > self.total:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((units, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release(units)
                raise
        else:
            self.used += units
        try:
            yield
        finally:
            self._release(units)

    def _release(self, units: int) -> None:
        self.used -= units
        while self._waiting and (
            self._waiting[0][1].done() or self.used + self._waiting[0][0] <= self.total
        ):
            claim, turn = self._waiting.popleft()
            if not turn.done():  # a waiter that was cancelled has left its place behind
                self.used += claim
                turn.set_result(None)
