"""The way of one file: from where it is, through the limits, page by page."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ocr import decode, page_picture, pdf
from ocr.budget import Budget
from ocr.decode import DecodeLimits, File, Frame
from ocr.document import Document, Page, Picture, Pixels
from ocr.formats.catalogue import FORMATS
from ocr.pipeline import Pipeline, page_of
from ocr.sources import Sources
from ocr.wanted import Wanted

VIEWED = 1600  # pixels of the longer side of a picture that is only looked at

T = TypeVar("T")


class Reader:
    """Reads files within limits. `budget` is in pixels, over all pages held at a time."""

    def __init__(
        self, pipeline: Pipeline, sources: Sources, limits: DecodeLimits, budget: Budget
    ) -> None:
        self.pipeline = pipeline
        self._without_words = pipeline.without_words()
        self.sources = sources
        self.limits = limits
        self.budget = budget

    async def read(self, entry: str) -> Document:
        """Read a URL, a data URI or base64. Raises SourceError, PictureError, InferenceFailed."""
        return await self.read_bytes(await self.sources.load(entry))

    async def read_bytes(self, data: bytes) -> Document:
        """Read a file's bytes as nobody asked otherwise. Raises PictureError, InferenceFailed."""
        return await self.read_file(data, Wanted())

    async def read_file(self, data: bytes, wanted: Wanted, source: str = "") -> Document:
        """Read the wanted pages of a file. Raises PictureError, InferenceFailed."""
        async with aclosing(self.pages(data, wanted)) as found:
            pages = [page async for page in found]
        own = data if wanted.format == "pdf" and decode.is_pdf(data) else None
        return Document(pages, source, own)

    def count(self, data: bytes, wanted: Wanted) -> list[int]:
        """The numbers of the pages that `pages` reads. Takes a moment. Raises PictureError."""
        with closing(decode.opened(data, self.limits)) as file:
            return decode.numbers(file, wanted, self.limits)

    async def pages(self, data: bytes, wanted: Wanted) -> AsyncGenerator[Page, None]:
        """Read the wanted pages of a file, one by one, in the order in which they were asked for.

        While one is read the next one is made ready, and keeps its part of the budget until it is
        asked for: who takes no more pages closes the iterator. Pages that are not wanted cost next
        to nothing. Raises PictureError, InferenceFailed.
        """
        threads = pdf.RENDERER if decode.is_pdf(data) else None
        file = await _in_thread(threads, lambda: decode.opened(data, self.limits))
        following: asyncio.Task[_Ready] | None = None
        try:
            numbers = decode.numbers(file, wanted, self.limits)
            for number in [*numbers[1:], None]:
                if following is None:
                    following = self._start(file, numbers[0], wanted)
                ready = await following
                following = None
                async with ready.room:
                    if number is not None:
                        following = self._start(file, number, wanted)
                    page = await self._read(ready, wanted)
                yield page
        finally:
            if following is not None:
                await _drop(following)
            await _in_thread(threads, file.close)

    def _start(self, file: File, number: int, wanted: Wanted) -> "asyncio.Task[_Ready]":
        return asyncio.create_task(self._make_ready(file, number, wanted))

    async def _make_ready(self, file: File, number: int, wanted: Wanted) -> "_Ready":
        """Look at a page and, if it is to be read or shown, make its pixels within the budget."""
        frame = await _in_thread(file.executor, lambda: file.frame(number, wanted))
        ready = _Ready(frame)
        if frame.lines is not None and not _with_picture(wanted):
            return ready
        decode.check_size(frame, self.limits)
        async with AsyncExitStack() as room:
            await room.enter_async_context(self.budget.hold(frame.width * frame.height))
            ready.pixels.append(await _in_thread(file.executor, frame.pixels))
            ready.room = room.pop_all()
            ready.room.callback(ready.pixels.clear)
        return ready

    async def _read(self, ready: "_Ready", wanted: Wanted) -> Page:
        frame, picture = ready.frame, None
        if frame.lines is None:
            with_words = wanted.words or FORMATS[wanted.format].words
            pipeline = self.pipeline if with_words else self._without_words
            page = await pipeline.read(ready.pixels[0])
        else:
            page = await asyncio.to_thread(page_of, frame.width, frame.height, frame.lines)
            page = replace(page, text_layer=True)
        if _with_picture(wanted):
            picture = await asyncio.to_thread(_picture, frame, ready.pixels[0], wanted)
        return replace(page, number=frame.number, dpi=frame.dpi, picture=picture)


@dataclass
class _Ready:
    """A page that can be read. Leaving its room gives back its pixels, if it needs any."""

    frame: Frame
    room: AsyncExitStack = field(default_factory=AsyncExitStack)
    pixels: list[Pixels] = field(default_factory=list)


async def _in_thread(executor: Executor | None, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)


async def _drop(task: "asyncio.Task[_Ready]") -> None:
    """Give back what a page that nobody waits for holds."""
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, _Ready):
        await outcome.room.aclose()


def _with_picture(wanted: Wanted) -> bool:
    return wanted.pictures or FORMATS[wanted.format].pictures


def _picture(frame: Frame, pixels: Pixels, wanted: Wanted) -> Picture:
    longest = None if FORMATS[wanted.format].pictures else VIEWED
    if frame.original is not None and max(frame.width, frame.height) <= (longest or float("inf")):
        return Picture(frame.original, "image/jpeg")
    return page_picture.encode(pixels, longest)
