"""Many files, some at a time: each is read or says why not, and none costs another its turn."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from ocr import progress
from ocr.command.engines import Engine
from ocr.command.inputs import Input
from ocr.command.outputs import Output
from ocr.errors import OcrError
from ocr.progress import FilePages, Pages


@dataclass
class Tally:
    """What came of the inputs so far."""

    read: int = 0
    failed: int = 0
    done_before: int = 0
    left: int = 0

    def __str__(self) -> str:
        counts = {
            "read": self.read,
            "failed": self.failed,
            "done before": self.done_before,
            "not tried": self.left,
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


class Batch:
    """Reads inputs by an engine, puts what comes of them into an output, and keeps the tally.

    Failures are told on standard error, a line each, and so is progress where that is a terminal.
    """

    def __init__(self, engine: Engine, output: Output, tally: Tally, quiet: bool = False) -> None:
        self._engine = engine
        self._output = output
        self._tally = tally
        self._quiet = quiet
        self._broken = False  # and the rest is not tried

    async def run(self, inputs: Sequence[Input], jobs: int) -> None:
        """Read inputs, so many at a time. Raises BrokenPipeError if nobody takes them."""
        waiting = iter(inputs)
        with closing(Pages(len(inputs), quiet=self._quiet)) as pages:
            await _all([self._work(waiting, pages) for _ in range(min(jobs, len(inputs)))])

    async def _work(self, waiting: Iterator[Input], pages: Pages) -> None:
        while not self._broken and (each := next(waiting, None)) is not None:
            self._tally.left -= 1
            told = pages.file()
            await self._put(each, await self._read(each, told))
            told.end()

    async def _read(self, each: Input, told: FilePages) -> bytes | None:
        try:
            data = await asyncio.to_thread(each.load)
            return await self._engine.render(data, each.source, told)
        except OcrError as error:
            self._fail(each, error)
        except Exception as error:  # a fault of this program is no reason to leave out the rest
            self._fail(each, OcrError(f"{type(error).__name__}: {error}"))
        return None

    async def _put(self, each: Input, data: bytes | None) -> None:
        try:
            await self._output.put(each, data)
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, say
            self._broken = True
            self._fail(each, OcrError(f"cannot be written: {error}"))
        else:
            self._tally.read += data is not None

    def _fail(self, each: Input, error: OcrError) -> None:
        self._tally.failed += 1
        self._broken |= isinstance(error, self._engine.hopeless)
        progress.tell(f"{each}: {error.code}: {' '.join(error.message.split())}")


async def _all(works: Sequence[Awaitable[None]]) -> None:
    """Wait for all; if one raises, or the waiting is ended, the others are ended as well."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
