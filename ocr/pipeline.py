"""The story of one page: locate the lines, crop them, read them, put them in order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ocr import geometry
from ocr.detection import tiles
from ocr.detection.detector import Boxes
from ocr.document import Line, Page, Pixels, Quad
from ocr.model import DetectionModel, RecognitionModel
from ocr.order import reading_order
from ocr.recognition import lines
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.stages import stage
from ocr.words import words

Detect = Callable[[Pixels], Awaitable[Boxes]]
Recognise = Callable[[PackedLines], Awaitable[list[Reading]]]

UNSURE = 0.8  # a line read with less confidence is read once more, turned
UPSIDE_DOWN = 2  # quarter turns
QUARTER = 90  # degrees
SURE = 0.85  # what a reading must reach to be believed that speaks against the first look
LABEL_SIDES = range(8, 97)  # pixels of the shorter side of a picture that may be just one line,
LABEL_RATIO = 32  # and how many times longer the other one may be


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

    def without_words(self) -> "Pipeline":
        """The same, but it leaves words out."""
        return replace(self, with_words=False)

    async def read(self, page: Pixels) -> Page:
        """Read one upright page, (height, width, 3) uint8 RGB.

        Raises InferenceFailed if a network fails on it.
        """
        height, width = page.shape[:2]
        found = await self._read_lines(page, await self.locate(page))
        kept = [line for line in found if line.text and line.confidence >= self.min_confidence]
        if not kept and _may_be_a_label(width, height):
            kept = await self._read_as_label(page)
        return await asyncio.to_thread(page_of, width, height, kept)

    async def _read_as_label(self, page: Pixels) -> list[Line]:
        """Take a small picture for one line: text that fills a picture is often not detected."""
        found = await self._read_lines(page, np.array([_whole(page)]))
        return [line for line in found if line.text and line.confidence >= SURE]

    async def read_line(self, picture: Pixels) -> Line:
        """Read a picture, (height, width, 3) uint8 RGB, that is one line, once and as it is.

        Raises InferenceFailed if the network fails on it.
        """
        (line,) = await self._read(picture, [_as_it_stands(_whole(picture))])
        return line

    async def locate(self, page: Pixels) -> npt.NDArray[np.float32]:
        """All lines of a page that detection finds, as (n, 4, 2) quads in pixels of the page.

        Raises InferenceFailed if the network fails on it.
        """
        height, width = page.shape[:2]
        plan = tiles.first_look(width, height, self.detection)
        quads = await self._look(page, plan)
        closer = tiles.closer_look(width, height, quads, plan, self.detection)
        return quads if closer is None else await self._look(page, closer)

    async def _look(self, page: Pixels, plan: tiles.Plan) -> npt.NDArray[np.float32]:
        height, width = page.shape[:2]
        with stage("detect"):
            shown = await asyncio.to_thread(tiles.prepare, page, plan, self.detection)
            found = await asyncio.gather(*(self.detect(tile.pixels) for tile in shown))
            return await asyncio.to_thread(tiles.restore, shown, found, plan, width, height)

    async def _read_lines(self, page: Pixels, quads: npt.NDArray[np.float32]) -> list[Line]:
        """Read lines, and those that are read badly once more as they may have been meant."""
        found = await self._read(page, [_as_it_stands(quad) for quad in quads])
        await self._retry(page, found, [i for i, line in enumerate(found) if _unsure(line)])
        wrong = (_most_turns(found) + 2) % 4
        if wrong != UPSIDE_DOWN:  # what made sense the other way round makes more sense this way
            sure = [i for i, line in enumerate(found) if line.turns == wrong and not _unsure(line)]
            await self._retry(page, found, sure)  # the others were tried both ways already
        return found

    async def _retry(self, page: Pixels, found: list[Line], chosen: Sequence[int]) -> None:
        """Read the chosen lines in other directions and keep what is clearly better."""
        ways = [(i, turns) for i in chosen for turns in _other_turns(found[i])]
        again = await self._read(page, [(found[i].quad, turns) for i, turns in ways])
        for (i, _), line in zip(ways, again, strict=True):
            if line.confidence > max(SURE, found[i].confidence):
                found[i] = line

    async def _read(self, page: Pixels, wanted: Sequence[tuple[Quad, int]]) -> list[Line]:
        """Read quads, each with the number of the corner at which its text starts."""
        if not wanted:
            return []
        with stage("crop"):
            parts = await asyncio.to_thread(self._cut, page, wanted)
            packed = lines.pack([part for line in parts for part in line])
        with stage("recognise"):
            readings = iter(await self.recognise(packed))
        joined = [
            lines.join([next(readings) for _ in line], [part.shape[1] for part in line])
            for line in parts
        ]
        if self.with_words:
            return await asyncio.to_thread(_lines_with_words, wanted, joined, parts)
        return [_line(*each, reading) for each, reading in zip(wanted, joined, strict=True)]

    def _cut(self, page: Pixels, wanted: Sequence[tuple[Quad, int]]) -> list[list[Pixels]]:
        model = self.recognition
        crops = (geometry.crop(page, quad, model.height, turns) for quad, turns in wanted)
        return [lines.split(crop, model) for crop in crops]


def page_of(width: int, height: int, found: Sequence[Line]) -> Page:
    """A page of these lines, which are put into reading order. Sizes are in pixels."""
    turns = _most_turns(found)
    quads = np.array([line.quad for line in found], np.float32).reshape(-1, 4, 2)
    order = reading_order(geometry.held(quads, turns))
    return Page(width, height, [found[i] for i in order], rotation=QUARTER * turns)


def _lines_with_words(
    wanted: Sequence[tuple[Quad, int]],
    readings: Sequence[Reading],
    parts: Sequence[Sequence[Pixels]],
) -> list[Line]:
    found = []
    for (quad, turns), reading, crops in zip(wanted, readings, parts, strict=True):
        crop = crops[0] if len(crops) == 1 else np.concatenate(crops, axis=1)
        line = _line(quad, turns, reading)
        found.append(replace(line, words=words(quad, turns, reading.spans, crop)))
    return found


def _line(quad: Quad, turns: int, reading: Reading) -> Line:
    return Line(quad, reading.text, reading.confidence, turns)


def _unsure(line: Line) -> bool:
    return line.confidence < UNSURE


def _other_turns(line: Line) -> list[int]:
    """Upside down and, for a line that stands, as it is: it may be one tall letter."""
    opposite = (line.turns + 2) % 4
    return [opposite, 0] if geometry.stands(line.quad) else [opposite]


def _as_it_stands(quad: Quad) -> tuple[Quad, int]:
    """A quad and the corner at which its text starts: that of a line that stands runs down."""
    return quad, 1 if geometry.stands(quad) else 0


def _whole(page: Pixels) -> Quad:
    height, width = page.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def _may_be_a_label(width: int, height: int) -> bool:
    short, long = min(width, height), max(width, height)
    return short in LABEL_SIDES and long <= LABEL_RATIO * short


def _most_turns(found: Sequence[Line]) -> int:
    """The direction in which most of a page's characters run."""
    letters = np.zeros(4, int)
    for line in found:
        letters[line.turns] += len(line.text)
    return int(letters.argmax())
