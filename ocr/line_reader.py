"""What the lines of a page say: cut out, read and, where that makes no sense, read another way."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ocr import geometry
from ocr.document import Line, Pixels, Quad, most_turns
from ocr.model import RecognitionModel
from ocr.recognition import lines
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.stages import stage
from ocr.words import words

Recognise = Callable[[PackedLines], Awaitable[list[Reading]]]
Quads = npt.NDArray[np.float32]  # (n, 4, 2)
Parts = Sequence[Sequence[Pixels]]  # of each line its crop, or several if it is too wide for one
Start = tuple[Quad, int]  # a line, and the number of the corner at which its text starts

UNSURE = 0.8  # a line read with less confidence is read once more, turned
UPSIDE_DOWN = 2  # quarter turns
SURE = 0.85  # what a reading must reach to be believed that speaks against the first look
LABEL_SIDES = range(8, 97)  # pixels of the shorter side of a picture that may be just one line,
LABEL_RATIO = 32  # and how many times longer the other one may be


@dataclass(frozen=True)
class LineReader:
    """Reads lines with a callable, which may be a server or a network of this process.

    Lines read with less than `min_confidence` are noise more often than text and are left out.
    Their words are found only `with_words`.
    """

    model: RecognitionModel
    recognise: Recognise
    min_confidence: float = 0.5
    with_words: bool = True

    def cut(self, page: Pixels, quads: Quads) -> list[list[Pixels]]:
        """The crops of lines, as they are read at first."""
        return self._cut(page, [_as_it_stands(quad) for quad in quads])

    async def read(self, page: Pixels, quads: Quads, parts: Parts | None = None) -> list[Line]:
        """Read the lines of a page, (height, width, 3) uint8 RGB, in no set order.

        `parts` is what `cut` gave, if it has been called. Raises InferenceFailed if the network
        fails on it.
        """
        height, width = page.shape[:2]
        found = await self._read_lines(page, quads, parts)
        kept = [line for line in found if line.text and line.confidence >= self.min_confidence]
        if not kept and _may_be_a_label(width, height):
            kept = await self._read_as_label(page)
        return kept

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

    async def _read_lines(
        self, page: Pixels, quads: Quads, parts: Parts | None = None
    ) -> list[Line]:
        """Read lines, and those that are read badly once more as they may have been meant."""
        found = await self._read(page, [_as_it_stands(quad) for quad in quads], parts)
        await self._retry(page, found, [i for i, line in enumerate(found) if _unsure(line)])
        wrong = (most_turns(found) + 2) % 4
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

    async def _read(
        self, page: Pixels, wanted: Sequence[Start], parts: Parts | None = None
    ) -> list[Line]:
        if not wanted:
            return []
        with stage("crop"):
            if parts is None:
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

    def _cut(self, page: Pixels, wanted: Sequence[Start]) -> list[list[Pixels]]:
        crops = (geometry.crop(page, quad, self.model.height, turns) for quad, turns in wanted)
        return [lines.split(crop, self.model) for crop in crops]


def _lines_with_words(
    wanted: Sequence[Start], readings: Sequence[Reading], parts: Parts
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
