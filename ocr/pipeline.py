"""The story of one page: locate the lines, crop them, read them, put them in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ocr import geometry
from ocr.document import Line, Page, Pixels, most_turns
from ocr.line_reader import LineReader, Recognise
from ocr.locator import Detect, Locator
from ocr.model import DetectionModel, RecognitionModel
from ocr.order import reading_order

QUARTER = 90  # degrees


@dataclass(frozen=True)
class Pipeline:
    """Reads pages with two callables, which may be servers or networks of this process.

    Lines read with less than `min_confidence` are noise more often than text and are left out.
    Their words are found only `with_words`.
    """

    detection: DetectionModel
    recognition: RecognitionModel
    detect: Detect
    recognise: Recognise
    min_confidence: float = 0.5
    with_words: bool = True

    @property
    def locator(self) -> Locator:
        return Locator(self.detection, self.detect)

    @property
    def line_reader(self) -> LineReader:
        return LineReader(self.recognition, self.recognise, self.min_confidence, self.with_words)

    def without_words(self) -> "Pipeline":
        """The same, but it leaves words out."""
        return replace(self, with_words=False)

    async def read(self, page: Pixels) -> Page:
        """Read one upright page, (height, width, 3) uint8 RGB.

        Raises InferenceFailed if a network fails on it.
        """
        height, width = page.shape[:2]
        kept = await self.line_reader.read(page, await self.locate(page))
        return await asyncio.to_thread(page_of, width, height, kept)

    async def read_line(self, picture: Pixels) -> Line:
        """As LineReader.read_line."""
        return await self.line_reader.read_line(picture)

    async def locate(self, page: Pixels) -> npt.NDArray[np.float32]:
        """As Locator.locate."""
        return await self.locator.locate(page)


def page_of(width: int, height: int, found: Sequence[Line]) -> Page:
    """A page of these lines, which are put into reading order. Sizes are in pixels."""
    turns = most_turns(found)
    quads = np.array([line.quad for line in found], np.float32).reshape(-1, 4, 2)
    order = reading_order(geometry.held(quads, turns))
    return Page(width, height, [found[i] for i in order], rotation=QUARTER * turns)
