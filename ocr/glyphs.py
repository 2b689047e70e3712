"""Lines out of characters that know where they stand, as a page's own text does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from math import atan2, degrees

import numpy as np

from ocr.document import Line, Quad
from ocr.geometry import clip
from ocr.recognition.ctc import Span
from ocr.words import stands_alone, words

Point = tuple[float, float]

# All in the size of the text, its em.
WIDE = 1.2  # a gap that ends a line: the next word is in another column
NEAR = 0.8  # a gap between two words of a line that were not written one after the other
BACK = 1.0  # how far a character may stand before the end of the last one: parts of a ligature do
RAISED = 0.6  # a character that stands higher or lower than its line: an exponent
LEVEL = 0.25  # between the baselines of words of one line
SPACES = (0.0, 0.1, 0.5)  # a space that is narrower beside 0, 1 or 2 Chinese characters is none,
GAPS = (0.18, 0.2, 0.5)  # and so is one that is not written
STACKED = (0.4, 1.35)  # from one character of a vertical line down to the next
ASIDE = 0.45  # from the middle of the last one
LOWERCASE = 0.5  # height that every line is given at least

ALIKE = 1.6  # times that one size of text may be larger than the other in one line,
EXPONENT = 2.2  # and that a line may be larger than what is raised in it
SAME_WAY = 0.996  # cosine of 5 degrees
ALONG_AN_AXIS = 0.9998  # cosine of 1 degree


@dataclass(frozen=True)
class Glyph:
    """One character, or those of a ligature, in pixels of the page.

    `box` is its ink's left, top, right and bottom, `origin` where its baseline starts, `along` the
    direction of its text, of length 1, and `em` the size of that. `spaced` says that white space is
    written before it, `gapped` that there may be some.
    """

    text: str
    box: tuple[float, float, float, float]
    origin: Point
    along: Point
    em: float
    spaced: bool = False
    gapped: bool = False

    @property
    def middle(self) -> Point:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


def lines(glyphs: Iterable[Glyph], width: int, height: int) -> list[Line]:
    """Put glyphs, in the order in which they were written, together to lines, in no set order.

    Words over a wide gap, those of the next column or cell, are lines of their own. All are sure.
    """
    runs = _joined(_stacks(_runs(glyphs)))
    return [_line(run, width, height) for run in runs]


@dataclass(frozen=True)
class _Placed:
    """A glyph as its line sees it: its extent along the line and above the baseline's."""

    glyph: Glyph
    start: float
    end: float
    bottom: float
    top: float
    base: float

    @property
    def wide(self) -> bool:
        return stands_alone(self.glyph.text[0])


@dataclass(frozen=True)
class _Run:
    """Glyphs that follow each other in one direction. What is derived is asked for at the end."""

    along: Point
    placed: list[_Placed]

    @cached_property
    def em(self) -> float:
        return max(each.glyph.em for each in self.placed)

    @cached_property
    def base(self) -> float:
        return max(self.placed, key=lambda each: each.glyph.em).base

    @cached_property
    def start(self) -> float:
        return min(each.start for each in self.placed)

    @cached_property
    def end(self) -> float:
        return max(each.end for each in self.placed)


def _dot(one: Point, other: Point) -> float:
    return one[0] * other[0] + one[1] * other[1]


def _up(along: Point) -> Point:
    """Where the upper side of the text is: on a page y counts downwards."""
    return along[1], -along[0]


def _placed(glyph: Glyph, along: Point) -> _Placed:
    up = _up(along)
    base = _dot(glyph.origin, up)
    if not _is_upright(along):
        # Round a slanting character an upright box is too large.
        start = _dot(glyph.origin, along)
        width = glyph.em * (1.0 if stands_alone(glyph.text[0]) else 0.5)
        return _Placed(
            glyph, start, start + width, base - 0.2 * glyph.em, base + 0.8 * glyph.em, base
        )
    return _Placed(glyph, *_extent(glyph, along), *_extent(glyph, up), base)


def _is_upright(along: Point) -> bool:
    return max(abs(along[0]), abs(along[1])) > ALONG_AN_AXIS


def _extent(glyph: Glyph, along: Point) -> Point:
    """From where to where a glyph's box reaches in a direction."""
    left, top, right, bottom = glyph.box
    xs, ys = (left * along[0], right * along[0]), (top * along[1], bottom * along[1])
    return min(xs) + min(ys), max(xs) + max(ys)


def _runs(glyphs: Iterable[Glyph]) -> Iterator[_Run]:
    run: _Run | None = None
    for glyph in glyphs:
        if run is not None:
            placed = _placed(glyph, run.along)
            if _follows(run.placed[-1], placed, run):
                run.placed.append(placed)
                continue
            yield run
        run = _Run(glyph.along, [_placed(glyph, glyph.along)])
    if run is not None:
        yield run


def _follows(last: _Placed, placed: _Placed, run: _Run) -> bool:
    one, other = last.glyph.em, placed.glyph.em
    em = max(one, other)
    raised = abs(placed.base - run.placed[0].base)
    return (
        _dot(run.along, placed.glyph.along) > SAME_WAY
        and raised <= (RAISED if em < EXPONENT * min(one, other) else LEVEL) * em
        and -BACK * em <= _gap(last, placed, run.along) <= WIDE * em
    )


def _gap(before: _Placed, after: _Placed, along: Point) -> float:
    """The white between two glyphs; the white within a Chinese one, as of a comma, is none."""
    end, start = before.end, after.start
    if before.wide:
        end = max(end, _dot(before.glyph.origin, along) + before.glyph.em)
    if after.wide:
        start = min(start, _dot(after.glyph.origin, along))
    return start - end


def _stacks(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Make single Chinese characters that stand below each other vertical lines."""
    stack: list[_Run] = []
    for run in runs:
        if stack and not _stands_below(stack[-1], run):
            yield _stacked(stack)
            stack = []
        stack.append(run)
    if stack:
        yield _stacked(stack)


def _stands_below(upper: _Run, lower: _Run) -> bool:
    if any(len(run.placed) > 1 or not run.placed[0].wide for run in (upper, lower)):
        return False
    one, other = upper.placed[0].glyph, lower.placed[0].glyph
    step = other.middle[0] - one.middle[0], other.middle[1] - one.middle[1]
    em = max(one.em, other.em)
    return (
        _dot(upper.along, lower.along) > SAME_WAY
        and em < ALIKE * min(one.em, other.em)
        and abs(_dot(step, upper.along)) < ASIDE * em
        and STACKED[0] * em < -_dot(step, _up(upper.along)) < STACKED[1] * em
    )


def _stacked(stack: Sequence[_Run]) -> _Run:
    if len(stack) == 1:
        return stack[0]
    up = _up(stack[0].along)
    along = -up[0], -up[1]
    placed = [_placed(run.placed[0].glyph, along) for run in stack]
    base = min(each.bottom for each in placed)
    return _Run(along, [replace(each, base=base) for each in placed])


def _joined(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Join words of one line that were not written one after the other."""
    ordered = sorted(runs, key=_direction)
    for _, alike in groupby(ordered, _direction):
        for row in _rows(sorted(alike, key=lambda run: run.base)):
            yield from _chain(sorted(row, key=lambda run: run.start))


def _direction(run: _Run) -> int:
    return round(degrees(atan2(run.along[1], run.along[0]))) % 360


def _rows(runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """Runs whose baselines are level, from those in the order of their baselines."""
    row = list(runs[:1])
    for run in runs[1:]:
        if run.base - row[0].base > LEVEL * min(run.em, row[0].em):
            yield row
            row = []
        row.append(run)
    yield row


def _chain(row: Sequence[_Run]) -> Iterator[_Run]:
    chain = row[0]
    for run in row[1:]:
        em = max(chain.em, run.em)
        near = -LEVEL * em <= run.start - chain.end <= NEAR * em
        if near and em < ALIKE * min(chain.em, run.em):
            first = run.placed[0]
            first = replace(first, glyph=replace(first.glyph, gapped=True))
            chain = _Run(chain.along, [*chain.placed, first, *run.placed[1:]])
        else:
            yield chain
            chain = run
    yield chain


def _line(run: _Run, width: int, height: int) -> Line:
    start, length = run.start, max(run.end - run.start, 1e-3)
    turns = round(degrees(atan2(run.along[1], run.along[0])) / 90) % 4
    quad = clip(np.roll(_corners(run), turns, axis=0)[np.newaxis], width, height)[0]
    spans: list[Span] = []
    for before, each in zip([None, *run.placed], run.placed, strict=False):
        if before and _space_between(before, each, run.along):
            spans.append(Span(" ", (before.end - start) / length, (each.start - start) / length))
        place = (each.start - start) / length, (each.end - start) / length
        spans += [Span(character, *place) for character in each.glyph.text]
    text = "".join(span.character for span in spans)
    return Line(quad, text, 1.0, turns, words(quad, turns, spans))


def _corners(run: _Run) -> Quad:
    """The line's corners clockwise from where its text starts."""
    top = max(max(each.top for each in run.placed), run.base + LOWERCASE * run.em)
    bottom = min(min(each.bottom for each in run.placed), run.base)
    frame = np.array([run.along, _up(run.along)])
    places = [[run.start, top], [run.end, top], [run.end, bottom], [run.start, bottom]]
    return np.asarray(np.array(places) @ frame, np.float32)


def _space_between(before: _Placed, after: _Placed, along: Point) -> bool:
    """Whether there is a space: in Chinese white is often only that of the characters."""
    glyph = after.glyph
    if not (glyph.spaced or glyph.gapped) or not _is_upright(along):
        return glyph.spaced or glyph.gapped
    beside = stands_alone(before.glyph.text[-1]) + after.wide
    least = (SPACES if glyph.spaced else GAPS)[beside]
    return _gap(before, after, along) > least * max(before.glyph.em, glyph.em)
