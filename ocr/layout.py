"""What a page's lines are to each other: paragraphs, headings, list items and tables.

Only places, sizes and the first letters of lines are looked at. The lines come in reading order
and leave in it; none is lost and none comes twice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import numpy as np

from ocr import geometry
from ocr.document import Line, Page
from ocr.order import deskewed
from ocr.tables import SAME_ROW, Place, Row, Stack, bands, table_at
from ocr.words import stands_alone

# All of these but the shares and ratios are in text heights.
CLOSE = 0.5  # white between two pieces of one line that were found apart
MARKER_GAP = 3.0  # white between a list's marker and its item, where they were found apart
FURTHER = 1.4  # times the usual distance of lines, where a paragraph ends
FAR = 2.8  # from line to line, where there is no usual distance to compare with
ALIKE = 1.3  # ratio of the heights of lines that may be of one paragraph
INDENT = 0.8
CENTRED = 0.5  # between the middles of lines that are centred
MEASURE = 4.0  # within which the lines of running text end, half of them at least
SLACK = 1.0  # by which the first word of the next line must have fitted into a short line
TITLE, SUBTITLE = 2.0, 1.45  # times the height of the body's text
HEADING_ROWS, HEADING_LETTERS = 3, 120  # at most
HEADING_EXTENT = 4  # at least; a Chinese character counts as two letters
BODY_LINES = 4  # at least, and half of all letters, for others to be larger than them

ENDS = tuple(".。;；:：!！?？)）")  # of a line after which a marker is no chance

_BULLET = r"[•●○■◆◇▪▫◦‣∙·➢►▶]\s*(?=\S)|[-–*]\s+(?=\w)(?!.*[-–]$)|[-–](?=[^\W\d_])"
_NUMBER = r"(?P<number>\d{1,3})(?P<delimiter>[.)])(?:\s+(?=\S)|(?=[^\W\d_]))"
_ENUMERATOR = (
    r"[(（]\s*(?:\d{1,3}|[一二三四五六七八九十]{1,3}|[a-zA-Z]|[ivx]{1,4})\s*[)）]\s*(?=\S)"
    r"|[一二三四五六七八九十]{1,3}、\s*(?=\S)|\d{1,3}、\s*(?=\S)|[①-⑳]\s*(?=\S)"
    r"|[a-zA-Z]\)\s+(?=\S)|[A-Z]\.\s+(?=\S)(?![A-Z]\.)"
)
_MARKER = re.compile(rf"(?P<bullet>{_BULLET})|{_NUMBER}|(?P<enumerator>{_ENUMERATOR})")


@dataclass(frozen=True)
class Marker:
    """What a list item starts with: `text` as it stands; a number only where it is as 1. or 1)."""

    text: str
    number: int | None = None
    delimiter: str = ""
    bullet: bool = False


@dataclass(frozen=True)
class Paragraph:
    """Rows of running text; those of one row stand side by side."""

    rows: Stack


@dataclass(frozen=True)
class Heading:
    """Text clearly larger than the body, the largest of level 1."""

    rows: Stack
    level: int


@dataclass(frozen=True)
class Item:
    """An item of a list, its marker still part of its text."""

    rows: Stack
    marker: Marker


@dataclass(frozen=True)
class Table:
    """Rows of as many cells each as there are columns; an empty cell has no line."""

    rows: tuple[tuple[Stack, ...], ...]


Block = Paragraph | Heading | Item | Table


def blocks(page: Page) -> list[Block]:
    """Group a page's lines, which are in reading order."""
    rows = _rows(_places(page))
    body = _body_height([place for row in rows for place in row])
    distances = _Distances(rows)
    return [
        block for column in _columns(rows) for block in _Column(column, body, distances).blocks()
    ]


def marker(text: str) -> Marker | None:
    """The marker that a list item's text starts with: a bullet, 1. or 1), (1), 一、 or ①."""
    match = _MARKER.match(text)
    if match is None:
        return None
    if match["bullet"]:
        return Marker(match[0], bullet=True)
    if match["enumerator"]:
        return Marker(match[0])
    return Marker(match[0], int(match["number"]), match["delimiter"])


def _places(page: Page) -> list[Place]:
    """Where the lines are when the page is held so that its text is upright, and level."""
    if not page.lines:
        return []
    turns = page.rotation // 90 % 4
    held = geometry.held(np.array([line.quad for line in page.lines], np.float32), turns)
    boxes = geometry.bounds(deskewed(held)).tolist()
    return [
        Place((line,), left, top, right, bottom, _text_height(line), line.turns != turns)
        for line, (left, top, right, bottom) in zip(page.lines, boxes, strict=True)
    ]


def _text_height(line: Line) -> float:
    return max(1.0, geometry.size(np.roll(line.quad, -line.turns, axis=0))[1])


def _rows(places: Sequence[Place]) -> list[Row]:
    """Lines side by side, in reading order; pieces of one line are put together."""
    rows: list[Row] = []
    for place in places:
        last = rows[-1][-1] if rows else None
        if last is None or not _beside(last, place):
            rows.append([place])
        elif _continues(last, place):
            rows[-1][-1] = last.joined(place)
        else:
            rows[-1].append(place)
    return rows


def _beside(last: Place, place: Place) -> bool:
    if last.turned or place.turned:
        return False
    return last.shares(place) > SAME_ROW and place.left > (last.left + last.right) / 2


def _continues(last: Place, place: Place) -> bool:
    gap = (place.left - last.right) / min(last.height, place.height)
    bare = marker(last.text + " x")
    return gap < CLOSE or (
        bare is not None and len(bare.text) > len(last.text) and gap < MARKER_GAP
    )


def _columns(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows one below the other; a column ends where the next one starts further up."""
    column: list[Row] = []
    for row in rows:
        if column and _is_elsewhere(column[-1], row):
            yield column
            column = []
        column.append(row)
    if column:
        yield column


def _is_elsewhere(last: Row, row: Row) -> bool:
    if last[0].turned or row[0].turned:
        return True
    return max(place.bottom for place in row) <= min(place.top for place in last)


class _Distances:
    """From line to line on a page, and the heights of their text."""

    def __init__(self, rows: Sequence[Row]) -> None:
        pairs = [
            (one[0], other[0])
            for one, other in pairwise(rows)
            if len(one) == len(other) == 1 and one[0].middle < other[0].middle
        ]
        self._distances = np.array([other.middle - one.middle for one, other in pairs])
        self._heights = np.array([(one.height + other.height) / 2 for one, other in pairs])

    def belong_together(self, above: Row, below: Row) -> bool:
        if len(above) > 1 or len(below) > 1:
            return False
        one, other = above[0], below[0]
        low, high = sorted([one.height, other.height])
        if high > ALIKE * low or min(one.right, other.right) <= max(one.left, other.left):
            return False
        height = (low + high) / 2
        return other.middle - one.middle <= min(FURTHER * self._usual(height), FAR * height)

    def _usual(self, height: float) -> float:
        """The distance of lines of this height: mostly that within paragraphs, not between."""
        alike = (self._heights < ALIKE * height) & (self._heights * ALIKE > height)
        return float(np.quantile(self._distances[alike], 0.25)) if alike.any() else float("inf")


class _Column:
    """Rows of one column of a page, or of the whole page where it has none."""

    def __init__(self, rows: list[Row], body: float, distances: _Distances) -> None:
        self._rows = rows
        self._body = body
        self._distances = distances
        self._right = max(place.right for row in rows for place in row)

    def blocks(self) -> Iterator[Block]:
        """Its tables, and what is between them."""
        found = bands(self._rows)
        text: list[Row] = []
        position = 0
        while position < len(found):
            table = table_at(found, position)
            if table is None:
                text += found[position]
                position += 1
                continue
            yield from self._text_blocks(text)
            text = []
            yield Table(table.cells)
            position += table.bands
        yield from self._text_blocks(text)

    def _text_blocks(self, rows: Sequence[Row]) -> Iterator[Block]:
        for run in self._runs(rows):
            if len(run[0]) > 1:
                yield Paragraph((tuple(line for place in run[0] for line in place.lines),))
                continue
            places = [row[0] for row in run]
            for paragraph in _paragraphs(places, self._end(places)):
                yield _text_block(paragraph, self._body)

    def _runs(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Rows of one size, at one distance and below each other; those of several pieces alone."""
        run: list[Row] = []
        for row in rows:
            if run and not self._distances.belong_together(run[-1], row):
                yield run
                run = []
            run.append(row)
        if run:
            yield run

    def _end(self, run: Sequence[Place]) -> float:
        """Where full lines end: at the run's own edge if many reach it."""
        right = max(place.right for place in run)
        full = sum(right - place.right < MEASURE * place.height for place in run)
        return right if full > 1 and 2 * full >= len(run) else self._right


def _text_block(paragraph: Sequence[Place], body: float) -> Block:
    rows = tuple(place.lines for place in paragraph)
    level = _level(paragraph, body)
    if level:
        return Heading(rows, level)
    found = marker(paragraph[0].text)
    return Item(rows, found) if found else Paragraph(rows)


def _paragraphs(run: Sequence[Place], end: float) -> Iterator[list[Place]]:
    widest = max(place.right - place.left for place in run)
    paragraph = [run[0]]
    for place, after in zip_longest(run[1:], run[2:]):
        last = paragraph[-1]
        if _goes_on(last, place):
            starts = False
        elif _is_centred(last, place):
            starts = _is_short(last, place, widest - (last.right - last.left))
        else:
            starts = _is_short(last, place, end - last.right) or _starts(paragraph, place, after)
        if starts:
            yield paragraph
            paragraph = []
        paragraph.append(place)
    yield paragraph


def _goes_on(last: Place, place: Place) -> bool:
    """Whether a sentence goes on for certain: Latin letters tell it."""
    found = marker(place.text)
    return place.text[:1].islower() and not found and not last.text.endswith(ENDS)


def _starts(paragraph: Sequence[Place], place: Place, after: Place | None) -> bool:
    """Whether a line starts a paragraph though the one before it was full."""
    last = paragraph[-1]
    found = marker(place.text)
    if found and (found.bullet or last.text.endswith(ENDS) or _is_next_item(paragraph[0], place)):
        return True
    return _is_shifted(paragraph, place, after)


def _is_next_item(first: Place, place: Place) -> bool:
    """Whether a marker stands below one, and not by chance at the start of a line."""
    return marker(first.text) is not None and abs(first.left - place.left) < INDENT * place.height


def _is_centred(last: Place, place: Place) -> bool:
    """Whether two lines have their middles in common, and neither edge."""
    apart = abs(last.left + last.right - place.left - place.right) / 2
    step = INDENT * place.height
    return (
        apart < CENTRED * place.height
        and abs(last.left - place.left) > step
        and abs(last.right - place.right) > step
    )


def _is_short(last: Place, place: Place, space: float) -> bool:
    """Whether a line ended though the next one's first word had room in it."""
    return space > _first_word(place) + SLACK * place.height


def _first_word(place: Place) -> float:
    """Its width; in Chinese of two characters, one of which may be a mark that starts no line."""
    first, *_ = place.text.split() or [""]
    if stands_alone(place.text[:1]):
        first = place.text[:2]
    return (place.right - place.left) * _extent(first) / max(1, _extent(place.text))


def _extent(text: str) -> int:
    return sum(2 if stands_alone(character) else 1 for character in text)


def _is_shifted(paragraph: Sequence[Place], place: Place, after: Place | None) -> bool:
    """Whether a line starts further in, as a first one does, or further out than it should."""
    last, step = paragraph[-1], INDENT * place.height
    inwards = place.left - last.left
    if inwards > step:
        return not (len(paragraph) == 1 and marker(last.text))
    if inwards < -step:
        return len(paragraph) > 1 or marker(last.text) is not None
    first_of_one = len(paragraph) == 1 and not marker(last.text)
    return first_of_one and after is not None and place.left - after.left > step


def _body_height(places: Sequence[Place]) -> float:
    """The height of most of a page's letters; infinite where no height is that of most."""
    upright = [place for place in places if not place.turned]
    letters = np.array([len(place.text) for place in upright])
    heights = np.array([place.height for place in upright])
    if len(upright) < BODY_LINES:
        return float("inf")
    order = np.argsort(heights)
    reached = np.cumsum(letters[order])
    body = float(heights[order][np.searchsorted(reached, reached[-1] / 2)])
    of_body = (heights < ALIKE * body) & (heights * ALIKE > body)
    enough = of_body.sum() >= BODY_LINES and 2 * letters[of_body].sum() >= letters.sum()
    return body if enough else float("inf")


def _level(paragraph: Sequence[Place], body: float) -> int:
    """1 or 2 for a heading, 0 for body."""
    text = "".join(place.text for place in paragraph)
    if len(paragraph) > HEADING_ROWS or len(text) > HEADING_LETTERS or paragraph[0].turned:
        return 0
    letters = "".join(filter(str.isalpha, text))
    if _extent(letters) < HEADING_EXTENT or 2 * len(letters) < sum(map(str.isalnum, text)):
        return 0
    height = float(np.median([place.height for place in paragraph]))
    return 1 if height >= TITLE * body else 2 if height >= SUBTITLE * body else 0
