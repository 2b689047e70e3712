"""What was read and where: a plain tree from which every output format derives."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), RGB
Quad = npt.NDArray[np.float32]  # (4, 2), x and y in pixels, clockwise from the top left


@dataclass(frozen=True)
class Span:
    """One character of a line and where it stands: shares (0 to 1) of the line's length."""

    character: str
    start: float
    end: float


@dataclass(frozen=True)
class Line:
    """One line of text; `confidence` is the mean probability of its characters (0 to 1).

    The text starts at the quad's corner number `turns`: 0 upright, 1 downwards, 2 upside down,
    3 upwards. Spans run along the text.
    """

    quad: Quad
    text: str
    confidence: float
    turns: int = 0
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Page:
    """One upright page, its size in pixels and its lines in reading order."""

    width: int
    height: int
    lines: list[Line] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True)
class Document:
    """One picture's pages: one, or as many as a TIFF holds."""

    pages: list[Page]
