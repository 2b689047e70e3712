"""What was read and where: a plain tree from which every output format derives."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ocr.errors import OcrError

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Quad = npt.NDArray[np.float32]  # (4, 2), x and y in pixels, clockwise from the top left


@dataclass(frozen=True)
class Word:
    """One word of a line, in Chinese one character; `confidence` as a line's.

    Its quad's corners are in the order of its line's, so the text starts at the same one.
    """

    quad: Quad
    text: str
    confidence: float


@dataclass(frozen=True)
class Line:
    """One line of text; `confidence` is the mean probability of its characters (0 to 1).

    The text starts at the quad's corner number `turns`: 0 upright, 1 downwards, 2 upside down,
    3 upwards. The words come in the order of the text, of which they leave out the spaces.
    """

    quad: Quad
    text: str
    confidence: float
    turns: int = 0
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A page as it was read, upright, as a file: `media_type` is image/jpeg or image/png."""

    data: bytes
    media_type: str


@dataclass(frozen=True)
class Page:
    """One upright page, its size in pixels and its lines in reading order.

    `number` is its place in its source, from 1, and `dpi` its resolution where that is known.
    `rotation` says how far most of the text is turned, clockwise in degrees: 0, 90, 180 or 270.
    With `text_layer` the lines are the page's own text and not read. The picture is there only
    if it was asked for.
    """

    width: int
    height: int
    lines: list[Line] = field(default_factory=list)
    number: int = 1
    dpi: float | None = None
    rotation: int = 0
    text_layer: bool = False
    picture: Picture | None = None

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True)
class Document:
    """One file's pages: of a picture one, of a TIFF or PDF many, or those that were asked for.

    `source` is the name it came with. `pdf` is the file itself where it is a PDF and pictures of
    its pages were asked for. Where the file could not be read, `error` says why and it has no page.
    """

    pages: list[Page]
    source: str = ""
    pdf: bytes | None = None
    error: OcrError | None = None


def most_turns(lines: Sequence[Line]) -> int:
    """The direction in which most of the characters of lines run, as Line.turns has it."""
    letters = np.zeros(4, int)
    for line in lines:
        letters[line.turns] += len(line.text)
    return int(letters.argmax())
