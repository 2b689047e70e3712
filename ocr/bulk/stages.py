"""The stages as Ray runs them: read, decode, detect, crop, recognise, assemble.

Each takes a table and gives one, or several. What a page, or its input, fails of becomes a part of
its row. All that a stage gives is a matter of what it was given alone: Ray makes it anew if a
machine is lost, after some of it has gone on its way.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from ocr import decode
from ocr.bulk import files, rows
from ocr.bulk.inputs import DONE, OCCURRENCE, SOURCE
from ocr.bulk.models import Models
from ocr.bulk.work import Input, LoadedInput, PageWork, UnreadPage, guarded, pack, unpack
from ocr.decode import File
from ocr.decoders import Decoders
from ocr.errors import OcrError
from ocr.line_reader import LineReader
from ocr.locator import Locator
from ocr.pipeline import page_of
from ocr.settings import Settings
from ocr.sources import Sources
from ocr.wanted import Wanted

AHEAD = 8  # inputs of one task that are read side by side
URLS = ("http://", "https://")

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Stages:
    """The stages that need no network, and what they have in common. Goes to every machine.

    `wanted` says how PDFs are read.
    """

    settings: Settings
    models: Models
    wanted: Wanted = field(default_factory=Wanted)

    def read(self, table: pa.Table) -> Iterator[pa.Table]:
        """Inputs to bytes, of one input after the other."""
        inputs = [
            Input(row[SOURCE], row[OCCURRENCE], tuple(row[DONE])) for row in table.to_pylist()
        ]
        with ThreadPoolExecutor(AHEAD) as threads:
            for loaded in _ahead(threads, self._load, inputs):
                yield pack([loaded])

    def _load(self, each: Input) -> LoadedInput:
        try:
            with guarded():
                if each.source.startswith(URLS):
                    return LoadedInput(each, asyncio.run(self._fetch(each.source)))
                return LoadedInput(each, files.read(each.source))
        except OcrError as error:
            return LoadedInput(each, b"", error)

    async def _fetch(self, url: str) -> bytes:
        limits = self.settings.own_limits
        async with Sources(limits.bytes, files.READ_S, allow_private=True) as sources:
            return await sources.load(url)

    def decode(self, table: pa.Table) -> Iterator[pa.Table]:
        """Bytes to pages, one after the other, with what detection is shown of each."""
        for loaded in unpack(table, LoadedInput):
            if loaded.error is not None:
                yield pack([PageWork(loaded.input, error=loaded.error)])
                continue
            for work in self._pages(loaded):
                yield pack([work])

    def _pages(self, loaded: LoadedInput) -> Iterator[PageWork]:
        start = time.perf_counter()
        try:
            with guarded():
                file = _decoders(self.settings).opened(loaded.data, self.settings.own_limits)
        except OcrError as error:
            yield PageWork(loaded.input, error=error, seconds=time.perf_counter() - start)
            return
        with closing(file):
            for number in range(1, file.count + 1):
                if number not in loaded.input.done:
                    yield _timed(
                        partial(self._page, file), PageWork(loaded.input, number, file.count)
                    )

    def _page(self, file: File, work: PageWork) -> PageWork:
        frame = file.frame(work.number, self.wanted)
        if frame.lines is not None:
            page = page_of(frame.width, frame.height, frame.lines)
            return work.read(replace(page, text_layer=True, dpi=frame.dpi))
        decode.check_size(frame, self.settings.own_limits)
        pixels = frame.pixels()
        shown = Locator(self.models.detection.model, _nobody).prepare(pixels)
        return work.is_now(UnreadPage(pixels, frame.dpi, tuple(shown)))

    def crop(self, table: pa.Table) -> pa.Table:
        """The lines of pages to crops."""
        reader = LineReader(self.models.recognition.model, _nobody)

        def cut(work: PageWork) -> PageWork:
            if work.unread is None:
                return work
            return work.is_now(work.unread.cut(reader.cut(work.unread.pixels, work.unread.quads)))

        return pack([_timed(cut, work) for work in unpack(table, PageWork)])

    def assemble(self, table: pa.Table) -> pa.Table:
        """Pages to rows."""
        tags = self.models.detection.tag, self.models.recognition.tag
        return rows.table(unpack(table, PageWork), *tags)


@cache
def _decoders(settings: Settings) -> Decoders:
    """Of this process: a file that kills what opens it must not take Ray's process with it."""
    return Decoders(1, settings.decode_timeout_s, settings.decode_bytes)


def _timed(step: Callable[[PageWork], PageWork], work: PageWork) -> PageWork:
    """Take a step with a page, which may fail of it, and add its time."""
    start = time.perf_counter()
    try:
        with guarded():
            work = step(work)
    except OcrError as error:
        work = work.failed(error)
    return work.with_seconds(time.perf_counter() - start)


def _ahead(threads: ThreadPoolExecutor, work: Callable[[T], U], items: Sequence[T]) -> Iterator[U]:
    """What `work` gives of each item, in their order; some are worked on ahead."""
    waiting = iter(items)
    begun: deque[Future[U]] = deque(threads.submit(work, each) for each in islice(waiting, AHEAD))
    while begun:
        yield begun.popleft().result()
        begun.extend(threads.submit(work, each) for each in islice(waiting, 1))


async def _nobody(asked: Any) -> Any:
    raise AssertionError("this stage has no network")
