"""Calls that many pages make of a network at the same time, made as one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ocr.errors import OcrError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """Makes one call of all that is asked at once, or while the call before is being made.

    `call` gives an answer for each, or the error that it met. For one event loop.
    """

    def __init__(self, call: Callable[[Sequence[Asked]], Sequence[Answer | OcrError]]) -> None:
        self._call = call
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """Ask for one. Raises the error that it met, and what the call as a whole raises."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                answers = await asyncio.to_thread(self._call, [asked for asked, _ in waiting])
                settled = list(zip(waiting, answers, strict=True))
            except Exception as error:
                for _, answer in waiting:
                    _settle(answer, error)
            else:
                for (_, answer), found in settled:
                    _settle(answer, found)
        self._working = None


def _settle(answer: "asyncio.Future[Answer]", found: Answer | Exception) -> None:
    if answer.cancelled():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
