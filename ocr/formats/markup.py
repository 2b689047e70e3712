"""What the XML formats share: which characters and numbers they hold, and reading them safely."""

import re
from collections.abc import Iterable, Sequence
from html.entities import entitydefs
from math import isfinite
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import ElementTree

from ocr.document import Line, Quad, Word

SOFTWARE = "ocr-service"

_SPACES = re.compile(r"[\t\n\v\f\r]")
_NO_XML = re.compile(r"[\x00-\x1f\ud800-\udfff\ufffe\uffff]")  # not even as a character reference


def clean(text: str) -> str:
    """Text as XML can hold it: tabs and breaks become spaces, what it forbids becomes U+FFFD."""
    return _NO_XML.sub("\ufffd", _SPACES.sub(" ", text))


def number(coordinate: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{coordinate:.1f}".removesuffix(".0")


def value(text: str) -> float:
    """A number of a file. Raises ValueError if it is none, or not a finite one."""
    found = float(text)
    if not isfinite(found):
        raise ValueError(f"{text} is no number here")
    return found


def gaps(line: Line) -> list[str]:
    """The spaces before, between and after a line's words, so one more than there are words.

    Empty if the line has no words, or if its text has more than its words and spaces.
    """
    found, rest = [], line.text
    for word in line.words:
        text = rest.lstrip()
        if not text.startswith(word.text):
            return []
        found.append(rest[: len(rest) - len(text)])
        rest = text[len(word.text) :]
    return [] if rest.strip() or not found else [*found, rest]


def mean_confidence(words: Sequence[Word]) -> float:
    """That of a line, of which the confidences of words are known only; 1 without words."""
    letters = sum(len(word.text) for word in words)
    return sum(len(word.text) * word.confidence for word in words) / letters if letters else 1.0


def bounds(quads: Iterable[Quad]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what holds all these quads, of which there is one at least."""
    # Of a few points NumPy finds the least slower than Python, and this is done for every word.
    across, down = zip(*(point for quad in quads for point in quad.tolist()), strict=True)
    return min(across), min(down), max(across), max(down)


def rectangle(left: float, top: float, right: float, bottom: float) -> Quad:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def quad_of(coordinates: Sequence[float]) -> Quad:
    """A polygon's x, y, x, y... as a quad: itself if it has four corners, or what bounds it.

    Raises ValueError if these are no points.
    """
    points = np.array(coordinates, np.float32).reshape(-1, 2)
    if not len(points):
        raise ValueError("a polygon without a point")
    return points if len(points) == 4 else rectangle(*bounds([points]))


def turns_of(degrees: float) -> int:
    """Quarter turns clockwise of text that is turned counterclockwise by so many degrees."""
    return -round(degrees / 90) % 4


def degrees_of(turns: int) -> int:
    """Degrees counterclockwise, as both formats count them, of quarter turns clockwise."""
    return -turns % 4 * 90


def read(data: bytes) -> Element:
    """The root of an XML file. Raises ValueError if it is none, or declares entities."""
    parser = ElementTree.XMLParser()
    parser.entity.update(entitydefs)  # of XHTML, whose DTD is not read
    try:
        parser.feed(data)
        root: Element = parser.close()
    except ParseError as error:
        raise ValueError(f"not well-formed XML: {error}") from None
    return root
