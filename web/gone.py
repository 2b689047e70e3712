"""Callers that go away: what they asked for is given up."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive


class Attendance:
    """An ASGI `receive` that, after the last of the body, watches whether the caller is there.

    When it is not, `limit` ends at once, and `gone` is true. To be used as a context within it.
    """

    def __init__(self, receive: Receive, limit: asyncio.Timeout) -> None:
        self.gone = False
        self._receive = receive
        self._limit = limit
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def __call__(self) -> Message:
        if self._watch is not None:
            await asyncio.shield(self._watch)
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._watch = asyncio.create_task(self._wait())
        return message

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self.gone = True
        if not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
