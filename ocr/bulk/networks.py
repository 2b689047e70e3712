"""The stages with a network: actors that hold what the service's runners hold."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pyarrow as pa

from ocr.bulk.models import ShippedModel
from ocr.bulk.together import Together
from ocr.bulk.work import PageWork, UnreadPage, guarded, pack, unpack
from ocr.detection.detector import Detector
from ocr.errors import InferenceFailed, OcrError
from ocr.line_reader import LineReader
from ocr.locator import Locator
from ocr.model import DetectionModel, RecognitionModel
from ocr.pipeline import page_of
from ocr.recognition.recogniser import Recogniser
from ocr.settings import Settings

Step = Callable[[PageWork, UnreadPage], Awaitable[PageWork]]

log = logging.getLogger(__name__)


class Detect:
    """Finds the lines of pages. Raises ModelError, DeviceUnavailable, InferenceFailed."""

    def __init__(
        self, model: ShippedModel[DetectionModel], settings: Settings, threads: int
    ) -> None:
        self._detector = Detector(model.folder(), settings.device, threads)
        self._detector.warm_up()

    def __call__(self, table: pa.Table) -> pa.Table:
        works = asyncio.run(self._all(unpack(table, PageWork)))
        _end_if_broken(works, self._detector.warm_up)
        return pack(works)

    async def _all(self, works: Sequence[PageWork]) -> list[PageWork]:
        locator = Locator(self._detector.model, Together(self._detector.detect).ask)

        async def locate(work: PageWork, page: UnreadPage) -> PageWork:
            return work.is_now(page.located(await locator.locate(page.pixels, page.shown)))

        return await _each(works, locate)


class Recognise:
    """Reads the lines of pages. Raises ModelError, DeviceUnavailable, InferenceFailed."""

    def __init__(
        self, model: ShippedModel[RecognitionModel], settings: Settings, threads: int
    ) -> None:
        self._recogniser = Recogniser(model.folder(), settings.device, threads)
        self._recogniser.warm_up()
        self._min_confidence = settings.min_confidence

    def __call__(self, table: pa.Table) -> pa.Table:
        works = asyncio.run(self._all(unpack(table, PageWork)))
        _end_if_broken(works, self._recogniser.warm_up)
        return pack(works)

    async def _all(self, works: Sequence[PageWork]) -> list[PageWork]:
        reader = LineReader(
            self._recogniser.model,
            Together(self._recogniser.recognise).ask,
            self._min_confidence,
            with_words=False,
        )

        async def read(work: PageWork, page: UnreadPage) -> PageWork:
            found = await reader.read(page.pixels, page.quads, page.parts())
            height, width = page.pixels.shape[:2]
            return work.read(replace(page_of(width, height, found), dpi=page.dpi))

        return await _each(works, read)


async def _each(works: Sequence[PageWork], step: Step) -> list[PageWork]:
    """Take a step with each unread page, all at once; they share the time that it took."""
    start = time.perf_counter()
    done = await asyncio.gather(*(_guarded(step, work) for work in works))
    share = (time.perf_counter() - start) / max(1, sum(work.unread is not None for work in works))
    return [
        after.with_seconds(share if before.unread else 0.0)
        for before, after in zip(works, done, strict=True)
    ]


async def _guarded(step: Step, work: PageWork) -> PageWork:
    if work.unread is None:
        return work
    try:
        with guarded():
            return await step(work, work.unread)
    except OcrError as error:
        return work.failed(error)


def _end_if_broken(works: Sequence[PageWork], warm_up: Callable[[], None]) -> None:
    """End this process if its network does not even run on what it ran on at its start.

    A GPU that has failed goes on failing in the process that has seen it. Ray starts another one,
    on another machine if there is none on this, and gives it the same pages.
    """
    if not any(isinstance(work.error, InferenceFailed) for work in works):
        return
    try:
        warm_up()
    except Exception as error:
        log.error("the network of this process is broken: %s", error)
        os._exit(1)
