"""Lines as invisible text: the content stream that a searchable page has on top of its picture.

A line is one text object, shown at once. Its words follow one another without a gap, each as wide
as it was seen, and the spaces of the line are written out: a reader of the PDF need not guess from
distances what belongs together, so that what is copied is what the line says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocr.document import Line, Page, Word
from ocr.formats import glyphless
from ocr.formats.glyphless import Glyphless, natural_width

Vector = npt.NDArray[np.float64]  # (2,)

INVISIBLE = 3  # text rendering mode
# Shares of their natural widths to which words and spaces are squeezed before all gets smaller. In
# narrower spaces some readers see none.
TIGHTEST, TIGHTEST_SPACE = 0.3, 0.5
NEAR = 0.75  # of a line's height from its middle: what starts there is on the line
SMALLEST = 0.01  # points: sides of a quad


@dataclass(frozen=True)
class Place:
    """Where an upright page lies in a PDF's coordinates, in points.

    `right` and `down` lead from the corner at its top left, `origin`, along its whole sides.
    """

    origin: Vector
    right: Vector
    down: Vector

    def points(self, pixels: npt.ArrayLike, page: Page) -> npt.NDArray[np.float64]:
        """Coordinates, (..., 2), for those in pixels of a page."""
        shares = np.asarray(pixels, np.float64) / (page.width, page.height)
        return self.origin + shares @ np.stack([self.right, self.down])


def content(page: Page, lines: Sequence[Line], place: Place, font: str, codes: Glyphless) -> bytes:
    """A content stream that writes lines of a page in the font of that name, leaving no trace."""
    objects = [_text_object(Baseline(page, line, place), line, font, codes) for line in lines]
    return "\n".join(["q", f"{INVISIBLE} Tr", *filter(None, objects), "Q"]).encode("ascii")


class Baseline:
    """Where a line's text lies, in points: from `start`, the middle of its left side, along."""

    def __init__(self, page: Page, line: Line, place: Place) -> None:
        top_left, top_right, bottom_right, bottom_left = place.points(_from_start(line), page)
        self._page, self._place, self._turns = page, place, line.turns
        self.start: Vector = (top_left + bottom_left) / 2
        way = (top_right + bottom_right) / 2 - self.start
        self.length = max(float(np.hypot(*way)), SMALLEST)
        self.along: Vector = way / self.length if way.any() else place.right / _length(place.right)
        self.up: Vector = np.array([-self.along[1], self.along[0]])
        side = (top_left + top_right - bottom_left - bottom_right) / 2
        self.height = max(abs(float(side @ self.up)), SMALLEST)

    def has(self, points: npt.NDArray[np.float64]) -> bool:
        """Whether any of the points, (n, 2), where other text starts, lies on the line."""
        steps = points - self.start
        along, up = steps @ self.along, steps @ self.up
        near = (along > -self.height / 2) & (along < self.length)
        return bool((near & (np.abs(up) < NEAR * self.height)).any())

    def reaches(self, words: Sequence[Word]) -> list[tuple[float, float]]:
        """Where on the line its words start and end."""
        quads = np.array([word.quad for word in words], np.float64).reshape(-1, 4, 2)
        corners = np.roll(self._place.points(quads, self._page), -self._turns, axis=1)
        reached = (corners - self.start) @ self.along
        starts, ends = reached[:, [0, 3]].mean(axis=1), reached[:, [1, 2]].mean(axis=1)
        return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _from_start(line: Line) -> npt.NDArray[np.float32]:
    """A line's corners from that on at which its text starts."""
    return np.roll(line.quad, -line.turns, axis=0)


def _text_object(base: Baseline, line: Line, font: str, codes: Glyphless) -> str:
    parts = _parts(line)
    if not parts:
        return ""
    natural = np.array([natural_width(character) for text, _ in parts for character in text])
    ends = np.cumsum([len(text) for text, _ in parts])
    reached = np.concatenate([[0.0], natural.cumsum()])
    least = [
        float(width) * (TIGHTEST_SPACE if text.isspace() else TIGHTEST)
        for (text, _), width in zip(parts, np.diff(reached[[0, *ends]]), strict=True)
    ]
    size = min(base.height, base.length / sum(least))
    edges = _edges(base, parts, [size * width for width in least])
    places = np.interp(reached, reached[[0, *ends]], edges)  # of all characters' edges
    step = size * glyphless.STEP / glyphless.EM
    steps = np.diff(np.round((places - places[0]) / step)).astype(int).tolist()
    text = codes.codes("".join(text for text, _ in parts), steps)
    # A character's box is as high as the font's size: its middle lies on the line's.
    below = (glyphless.ASCENT + glyphless.DESCENT) / 2 / glyphless.EM
    x, y = base.start + places[0] * base.along - below * size * base.up
    matrix = " ".join(number(value) for value in (*base.along, *base.up, x, y))
    return f"BT {font} {number(size)} Tf {matrix} Tm <{text.hex()}> Tj ET"


def _parts(line: Line) -> list[tuple[str, Word | None]]:
    """A line's text as its words and what is between them; whole if it has no such words."""
    parts: list[tuple[str, Word | None]] = []
    end = 0
    for word in line.words:
        start = line.text.find(word.text, end)
        if start < 0:
            return [(line.text, None)]
        parts += [(line.text[end:start], None), (word.text, word)]
        end = start + len(word.text)
    return [part for part in [*parts, (line.text[end:], None)] if part[0]]


def _edges(
    base: Baseline, parts: Sequence[tuple[str, Word | None]], least: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Where on the line its parts meet, of which each is at least so long: one more than parts.

    Words without a space between them meet half way. Together the parts fit on the line.
    """
    found = iter(base.reaches([word for _, word in parts if word]))
    reaches = [next(found) if word else None for _, word in parts]
    edges: list[float] = []
    for before, after in zip([None, *reaches], [*reaches, None], strict=True):
        known = [*([before[1]] if before else []), *([after[0]] if after else [])]
        elsewhere = base.length if edges else 0.0
        edges.append(sum(known) / len(known) if known else elsewhere)
    edges = [min(max(edge, 0.0), base.length) for edge in edges]
    for i, length in enumerate(least):
        edges[i + 1] = max(edges[i + 1], edges[i] + length)
    edges[-1] = min(edges[-1], base.length)
    for i in reversed(range(len(parts))):
        edges[i] = min(edges[i], edges[i + 1] - least[i])
    return np.array(edges)


def _length(vector: Vector) -> float:
    return float(np.hypot(*vector))


def number(value: float) -> str:
    """A number as PDF writes numbers, to a ten thousandth."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
