"""Drawn pages as documents that were read without a mistake, and where each character is."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from ocr.document import Document, Line, Page, Picture, Quad
from ocr.recognition.ctc import Span
from ocr.words import words
from tests import pictures
from tests.pictures import Drawn


def document(*drawn: Drawn, dpi: float | None = 150, turns: int = 0, source: str = "") -> Document:
    """A page for each drawing, their texts starting at corner number `turns` of their quads."""
    return Document([page(each, dpi, turns, i) for i, each in enumerate(drawn, 1)], source)


def page(drawn: Drawn, dpi: float | None = 150, turns: int = 0, number: int = 1) -> Page:
    height, width = drawn.image.shape[:2]
    lines = [line(text, quad, turns) for text, quad in drawn.lines]
    picture = Picture(pictures.to_jpeg(drawn.image), "image/jpeg")
    return Page(width, height, lines, number, dpi, 90 * turns, picture=picture)


def line(text: str, quad: npt.ArrayLike, turns: int = 0) -> Line:
    """A line, of whose quad the text's own corner comes first, with its words."""
    seen: Quad = np.roll(np.asarray(quad, np.float32), turns, axis=0)
    return Line(seen, text, 1.0, turns, words(seen, turns, _spans(text)))


def without_words(document: Document) -> Document:
    pages = [
        replace(page, lines=[replace(line, words=()) for line in page.lines])
        for page in document.pages
    ]
    return replace(document, pages=pages)


def centres(line: Line) -> list[tuple[str, npt.NDArray[np.float64]]]:
    """Where in its picture the middle of each character is, spaces left out."""
    top_left, top_right, bottom_right, bottom_left = np.roll(
        np.asarray(line.quad, np.float64), -line.turns, axis=0
    )
    start, end = (top_left + bottom_left) / 2, (top_right + bottom_right) / 2
    return [
        (span.character, start + (span.start + span.end) / 2 * (end - start))
        for span in _spans(line.text)
        if not span.character.isspace()
    ]


def height(line: Line) -> float:
    """Of its quad, in pixels."""
    top_left, _, _, bottom_left = np.roll(np.asarray(line.quad, np.float64), -line.turns, axis=0)
    return float(np.hypot(*(bottom_left - top_left)))


def texts(page: Page) -> list[str]:
    return [line.text for line in page.lines]


def _spans(text: str) -> Sequence[Span]:
    """The characters as the drawings have them."""
    ends = np.array([_font().getlength(text[:count]) for count in range(len(text) + 1)])
    shares = ends / ends[-1]
    return [
        Span(character, float(start), float(end))
        for character, start, end in zip(text, shares[:-1], shares[1:], strict=True)
    ]


@cache
def _font() -> ImageFont.FreeTypeFont:
    path = pictures.FONTS / "NotoSansSC-subset.otf"
    return ImageFont.truetype(path, 100, layout_engine=ImageFont.Layout.BASIC)
