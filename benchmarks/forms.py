"""Draws forms, whose text is known: paper with many short pieces of text, as FUNSD has it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from metrics import TextLine
from PIL import Image, ImageDraw, ImageFont
from truths import PageSet

WIDTHS, HEIGHT = (750, 775), 1000  # pixels
LEFTS = (50, 180, 400, 530)  # of a question, its answer, another question and its answer
CELLS = (60, 290, 520)  # of a table
RIGHT = 710  # of what is on all pages
ROW = 44  # from one to the next
SIZES = (15, 18)  # of the letters
QUALITY = 85  # of the JPEG files
QUESTIONS = ("DATE", "NAME", "ADDRESS", "PHONE", "ACCOUNT", "INVOICE", "SUBJECT", "PROJECT")
WORDS = (
    "sample", "market", "filter", "report", "office", "supply",
    "letter", "review", "paper", "studio", "carton", "region",
)  # fmt: skip

Random = np.random.Generator


def write(folder: Path, count: int) -> PageSet:
    """Put so many different forms into a folder; the same ones each time."""
    truth = {}
    for seed in range(count):
        name = f"form_{seed:02}.jpg"
        image, truth[name] = draw(seed)
        image.save(folder / name, quality=QUALITY)
    return PageSet("drawn forms", folder, truth)


def draw(seed: int) -> tuple[Image.Image, list[TextLine]]:
    """A form, RGB, and its 43 to 54 pieces of text: a title, questions, sentences, a table."""
    random = np.random.default_rng(seed)
    sheet = _Sheet(random)
    sheet.row([f"{_words(random, 2).upper()} FORM {_digits(random, 4)}"], [240], 50)
    top = 110
    for _ in range(random.integers(7, 9, endpoint=True)):
        asked = random.choice(QUESTIONS, 2, replace=False)
        first, second = (f"{question}:" for question in asked)
        sheet.row([first, _answer(random), second, _answer(random)], LEFTS, top)
        sheet.rule(LEFTS[1], LEFTS[2] - 20, top + 24)
        top += ROW
    for _ in range(5):
        sheet.row([f"{_words(random, 12).capitalize()}."], LEFTS[:1], top)
        top += ROW
    for _ in range(random.integers(3, 4, endpoint=True)):
        top += ROW
        sheet.rule(LEFTS[0], RIGHT, top - 6)
        sheet.row([_words(random, 2), _digits(random, 6), _answer(random)], CELLS, top)
    sheet.rule(LEFTS[0], RIGHT, top + ROW - 6)
    return sheet.image.convert("RGB"), sheet.lines


def _answer(random: Random) -> str:
    kinds = [
        "{month:02}-{day:02}-1994", "$ {day},{number:03}.50", "({number:03}) {number:03}-{pin}",
        "No. {pin}/{day:02}", "{word}", "{word} {pin}",
    ]  # fmt: skip
    return str(random.choice(kinds)).format(
        month=random.integers(1, 13),
        day=random.integers(1, 29),
        number=random.integers(100, 1000),
        pin=_digits(random, 4),
        word=_words(random, 2).title(),
    )


def _words(random: Random, count: int) -> str:
    return " ".join(random.choice(WORDS, count, replace=False))


def _digits(random: Random, count: int) -> str:
    return "".join(str(digit) for digit in random.integers(0, 10, count))


class _Sheet:
    """Grey paper, with grain as a scanner sees it, and what was written on it."""

    def __init__(self, random: Random) -> None:
        shape = HEIGHT, random.integers(*WIDTHS, endpoint=True)
        grain = np.asarray(np.clip(random.normal(238, 4, shape), 0, 255), np.uint8)
        self.image = Image.fromarray(grain)
        self.lines: list[TextLine] = []
        self._pen = ImageDraw.Draw(self.image)
        font = ImageFont.load_default(int(random.integers(*SIZES, endpoint=True)))
        assert isinstance(font, ImageFont.FreeTypeFont)  # the other kind has one size only
        self._font = font
        self._ink = int(random.integers(20, 70))

    def row(self, texts: Sequence[str], lefts: Sequence[int], top: int) -> None:
        """Write pieces of text beside each other."""
        for text, x in zip(texts, lefts, strict=True):
            self._pen.text((x, top), text, self._ink, self._font)
            right, lower = x + self._font.getlength(text), top + sum(self._font.getmetrics())
            corners = (x, top), (right, top), (right, lower), (x, lower)
            self.lines.append(TextLine(corners, text))

    def rule(self, left: int, right: int, top: int) -> None:
        self._pen.line([(left, top), (right, top)], 120, 1)
