"""Made-up Documents for the tests of formats, with what is hard to write down and read back."""

import re
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from ocr.document import Document, Line, Page, Picture, Quad, Word
from ocr.errors import NotAnImage

SIZE = 24.0
SLANT = 0.0517

_WORD = re.compile(r"[\u2e80-\U0010ffff]|[^\s\u2e80-\U0010ffff]+")

ESCAPED = "a < b & \"c\" > 'd' <![CDATA[x]]> &amp;"
ASTRAL = "𠮷野家 𝒳 😀 end"
CONTROLS = "one\x00 two\x0b three\ttail \x1b[0m \ufffe"
PLAIN = "one\ufffd two  three tail \ufffd[0m \ufffd"  # what is left of them in XML


def line(
    text: str, left: float = 10, top: float = 10, turns: int = 0, slanted: bool = False
) -> Line:
    """A line with words; its confidence is the mean of its characters', as a reader's is."""
    across = SIZE / 2 * len(text)
    width, height = (SIZE, across) if turns % 2 else (across, SIZE)
    quad = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    if slanted:
        quad[:, 1] += SLANT * quad[:, 0]
    quad += np.array([left, top], np.float32)
    sure = [0.9 + 0.09 * (i % 7) / 7 for i in range(len(text))]
    words = [
        Word(
            _part(quad, turns, match.start() / len(text), match.end() / len(text)),
            match[0],
            fmean(sure[match.start() : match.end()]),
        )
        for match in _WORD.finditer(text)
    ]
    return Line(quad, text, fmean(sure or [0]), turns, tuple(words))


def _part(quad: Quad, turns: int, start: float, end: float) -> Quad:
    """What lies between two shares of a line's length."""
    held = np.roll(quad, -turns, axis=0)
    left, right = held[[0, 0, 3, 3]], held[[1, 1, 2, 2]]
    shares = np.array([start, end, end, start])[:, None]
    part: Quad = np.roll(left + shares * (right - left), turns, axis=0).astype(np.float32)
    return part


def bare(found: Line) -> Line:
    """The same line without its words."""
    return Line(found.quad, found.text, found.confidence, found.turns)


def page(texts: Sequence[str], number: int = 1) -> Page:
    """A page of upright lines."""
    return Page(1654, 2339, [line(text, 100, 40 * i) for i, text in enumerate(texts, 1)], number)


MIXED = Document(
    [page(["欢迎使用 OCR 服务", "Total price:  $42.75", "合计128.50元"])], "收据 1.png"
)
SPECIAL = Document([page([ESCAPED, ASTRAL, "trailing "])], "a\"b'c;d&e<f>\\g %41 bbox 1 2 3 4.png")
TURNED = Document(
    [
        Page(
            800,
            1200,
            [
                line("slanted words run", 50.37, 60, slanted=True),
                line("downwards 向下", 20, 100, turns=1),
                line("downwards too", 60, 100, turns=1),
                line("upside down", 100, 800, turns=2),
                line("向上 upwards", 700, 100, turns=3),
                bare(line("no words here, only text", 300, 1000)),
                bare(line("没有", 300, 1100, turns=1)),
                line("alone", 500, 1100),
            ],
            dpi=200,
            rotation=90,
        )
    ],
    "turned.jpg",
)
PAGES = Document(
    [
        page(["第三页", "third"], 3),
        Page(600, 400, number=4, dpi=72),
        Page(612, 792, [line("its own text")], number=8, dpi=300, text_layer=True),
    ],
    "scan.pdf",
    pdf=b"%PDF-",
)
TWIN = Document([page(["the same name"])], "scan.pdf")
NAMELESS = Document([page(["no name"])])
FAILED = Document([], "broken.bin", error=NotAnImage("the bytes are of no picture"))
PICTURED = Document(
    [Page(4, 3, [line("x")], picture=Picture(b"\xff\xd8\x00picture\xff\xd9", "image/jpeg"))],
    "small.jpg",
)

READ = [MIXED, SPECIAL, TURNED, PAGES, TWIN, NAMELESS, PICTURED]
ALL = [MIXED, FAILED, *READ[1:]]
