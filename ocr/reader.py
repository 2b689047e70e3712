"""The way of one file: from where it is, through the limits, page by page."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing, closing
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from ocr import decode, page_picture
from ocr.budget import Budget
from ocr.decode import DecodeLimits, File, Frame
from ocr.document import Document, Line, Page, Picture, Pixels
from ocr.formats.catalogue import FORMATS
from ocr.pipeline import Pipeline, page_of
from ocr.sources import Sources
from ocr.stages import stage
from ocr.turns import Turns
from ocr.wanted import Wanted

VIEWED = 1600  # pixels of the longer side of a picture that is only looked at
AHEAD = 4  # pages of one file that are in work or wait for their turn

Opened = Callable[[bytes, DecodeLimits], File]
T = TypeVar("T")


class Reader:
    """Reads files within limits.

    `budget` is in pixels, over all pages held at a time, `turns` are those of all pages. Files are
    opened by `opened`, in `executor`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        sources: Sources,
        limits: DecodeLimits,
        budget: Budget,
        turns: Turns | None = None,
        opened: Opened = decode.opened,
        executor: Executor | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._without_words = pipeline.without_words()
        self.sources = sources
        self.limits = limits
        self.budget = budget
        self.turns = turns or Turns(AHEAD)
        self.told: Callable[[Page], None] = lambda page: None  # of each page that was read
        self._opened = opened
        self._executor = executor

    async def read(self, entry: str) -> Document:
        """Read a URL, a data URI or base64. Raises SourceError, PictureError, InferenceFailed."""
        with stage("fetch"):
            data = await self.sources.load(entry)
        return await self.read_bytes(data)

    async def read_bytes(self, data: bytes) -> Document:
        """Read a file's bytes as nobody asked otherwise. Raises PictureError, InferenceFailed."""
        return await self.read_file(data, Wanted())

    async def read_file(self, data: bytes, wanted: Wanted, source: str = "") -> Document:
        """Read the wanted pages of a file. Raises PictureError, InferenceFailed."""
        file = await self._open(data)
        own = data if wanted.format == "pdf" and file.is_pdf else None
        async with aclosing(self.pages_of(file, wanted)) as found:
            pages = [page async for page in found]
        return Document(pages, source, own)

    async def count(self, data: bytes, wanted: Wanted) -> list[int]:
        """The numbers of the pages that `pages` reads. Raises PictureError."""
        file = await self._open(data)
        with closing(file):
            return decode.numbers(file, wanted, self.limits)

    async def pages(self, data: bytes, wanted: Wanted) -> AsyncGenerator[Page, None]:
        """Read the wanted pages of a file, in the order in which they were asked for.

        Some are read ahead: who takes no more pages closes the iterator. Pages that are not wanted
        cost next to nothing. Raises PictureError, InferenceFailed.
        """
        async with aclosing(self.pages_of(await self._open(data), wanted)) as found:
            async for page in found:
                yield page

    async def _open(self, data: bytes) -> File:
        with stage("decode"):
            return await _in_thread(self._executor, lambda: self._opened(data, self.limits))

    async def pages_of(self, file: File, wanted: Wanted) -> AsyncGenerator[Page, None]:
        """The pages of a file, which is closed at the end."""
        reading: deque[asyncio.Task[Page]] = deque()
        try:
            numbers = iter(decode.numbers(file, wanted, self.limits))
            for number in islice(numbers, AHEAD):
                reading.append(asyncio.create_task(self._page(file, number, wanted)))
            while reading:
                page = await reading[0]
                reading.popleft()
                self.told(page)
                for number in islice(numbers, 1):
                    reading.append(asyncio.create_task(self._page(file, number, wanted)))
                yield page
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
            await _in_thread(file.executor, file.close)

    async def _page(self, file: File, number: int, wanted: Wanted) -> Page:
        """Look at a page and, if it is to be read or shown, make its pixels within the budget."""
        async with self.turns.turn():
            with stage("decode"):
                frame = await _in_thread(file.executor, lambda: file.frame(number, wanted))
            if frame.lines is not None and not _with_picture(wanted):
                return await _own_text(frame, frame.lines)
            decode.check_size(frame, self.limits)
            async with self.budget.hold(frame.width * frame.height):
                with stage("decode"):
                    pixels = await _in_thread(file.executor, frame.pixels)
                return await self._read(frame, pixels, wanted)

    async def _read(self, frame: Frame, pixels: Pixels, wanted: Wanted) -> Page:
        if frame.lines is None:
            with_words = wanted.words or FORMATS[wanted.format].words
            pipeline = self.pipeline if with_words else self._without_words
            page = await pipeline.read(pixels)
            page = replace(page, number=frame.number, dpi=frame.dpi)
        else:
            page = await _own_text(frame, frame.lines)
        if not _with_picture(wanted):
            return page
        return replace(page, picture=await asyncio.to_thread(_picture, frame, pixels, wanted))


async def _in_thread(executor: Executor | None, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, work)


async def _own_text(frame: Frame, lines: list[Line]) -> Page:
    page = await asyncio.to_thread(page_of, frame.width, frame.height, lines)
    return replace(page, text_layer=True, number=frame.number, dpi=frame.dpi)


def _with_picture(wanted: Wanted) -> bool:
    return wanted.pictures or FORMATS[wanted.format].pictures


def _picture(frame: Frame, pixels: Pixels, wanted: Wanted) -> Picture:
    longest = None if FORMATS[wanted.format].pictures else VIEWED
    if frame.original is not None and max(frame.width, frame.height) <= (longest or float("inf")):
        return Picture(frame.original, "image/jpeg")
    return page_picture.encode(pixels, longest)
