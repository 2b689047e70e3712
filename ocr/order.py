"""Reading order: rows in a deskewed frame, and columns before rows where a gutter divides them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocr import geometry

LONG = 2.0  # a line this many times wider than high shows its slant well, and
SHORT = 1.2  # one this many times to a few degrees only
SEARCH = np.arange(-3.0, 3.1, 0.25)  # degrees from the slant of short words
SWERVE = 0.05  # share of the words that must be level for each degree away from it
LEVEL = 0.15  # text heights between the middles of words that are level
SAME_ROW = 0.5  # two boxes that share this part of the lower one's height stand in one row
COLUMN_WIDTH = 8.0  # text heights; narrower blocks side by side are the cells of a table
COLUMN_LINES = 3  # at least, on both sides of a gutter
FILLED = 0.6  # of its column's width that a typical line of running text takes
GUTTER = 0.75  # text heights of white between two columns


def reading_order(quads: npt.NDArray[np.float32]) -> list[int]:
    """The indices of (n, 4, 2) quads in the order in which a person reads them.

    The tolerance comes from the height of the text, not from a number of pixels, and rows are
    found along the page's own slant, so that a skewed scan keeps its rows.
    """
    if len(quads) == 0:
        return []
    boxes = _Boxes(geometry.bounds(deskewed(quads)))
    return list(_columns(boxes, np.arange(len(quads))))


def deskewed(quads: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn all quads by the slant that most of the long lines share."""
    along = (quads[:, 1] - quads[:, 0] + quads[:, 2] - quads[:, 3]) / 2
    across = (quads[:, 3] - quads[:, 0] + quads[:, 2] - quads[:, 1]) / 2
    widths, heights = np.linalg.norm(along, axis=1), np.linalg.norm(across, axis=1)
    angles = np.arctan2(along[:, 1], along[:, 0])
    if (widths > LONG * heights).any():
        angle = float(np.median(angles[widths > LONG * heights]))
    elif (widths > SHORT * heights).any():
        rough = float(np.median(angles[widths > SHORT * heights]))
        level = LEVEL * float(np.median(np.minimum(widths, heights)))
        angle = _levelling(quads.mean(axis=1), rough, level)
    else:
        return quads
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    return np.asarray(quads @ turn, np.float32)


def _levelling(middles: npt.NDArray[np.float32], rough: float, level: float) -> float:
    """The angle near `rough` at which most words stand level with another one.

    The slant of short words is not known well enough for words that stand far apart.
    """
    angles = rough + np.deg2rad(SEARCH)
    heights = np.sort(
        np.outer(-np.sin(angles), middles[:, 0]) + np.outer(np.cos(angles), middles[:, 1])
    )
    found = (np.diff(heights, axis=1) < level).sum(axis=1)
    return float(angles[np.argmax(found - SWERVE * len(middles) * np.abs(SEARCH))])


@dataclass(frozen=True)
class _Boxes:
    """Upright boxes (n, 4): left, top, right, bottom."""

    array: npt.NDArray[np.float32]

    def text_height(self, chosen: npt.NDArray[np.intp]) -> float:
        sides = self.array[chosen, 2:] - self.array[chosen, :2]
        return float(np.median(sides.min(axis=1)))


def _columns(boxes: _Boxes, chosen: npt.NDArray[np.intp]) -> Iterator[int]:
    """Order a block: split it at the first clear gutter, above, or take it row by row."""
    gutter = _gutter(boxes, chosen)
    if gutter is None:
        yield from _rows(boxes, chosen)
        return
    before, left, right, after = gutter
    for part in (before, left, right, after):
        if len(part):
            yield from _columns(boxes, part)


_Parts = tuple[npt.NDArray[np.intp], ...]


def _gutter(boxes: _Boxes, chosen: npt.NDArray[np.intp]) -> _Parts | None:
    """Split a block into what is above two columns, left, right, and what is below them."""
    height = boxes.text_height(chosen)
    bands = list(_bands(boxes, chosen))
    candidates = _white(boxes.array[chosen], GUTTER * height)
    for middle in candidates:
        crossing = np.array([_crosses(boxes.array[band], middle) for band in bands])
        start, stop = _longest_run(~crossing)
        inside = np.concatenate(bands[start:stop]) if stop > start else chosen[:0]
        left = inside[boxes.array[inside, 2] <= middle]
        right = inside[boxes.array[inside, 0] >= middle]
        if all(
            _is_column(boxes, block, height)
            for side in (left, right)
            for block in _blocks(boxes, side, GUTTER * height)
        ):
            before = np.concatenate([chosen[:0], *bands[:start]])
            after = np.concatenate([chosen[:0], *bands[stop:]])
            return before, left, right, after
    return None


def _white(array: npt.NDArray[np.float32], least: float) -> list[float]:
    """The middles of the upright white stripes between lines, those with most lines beside first.

    A line of full width, a title say, does not count against a stripe.
    """
    events = np.unique(np.concatenate([array[:, 0], array[:, 2]]))
    middles = (events[1:] + events[:-1]) / 2
    covered = ((array[:, 0] < middles[:, None]) & (array[:, 2] > middles[:, None])).sum(axis=1)
    wide = events[1:] - events[:-1] >= least
    order = np.argsort(covered, kind="stable")
    return [float(middles[i]) for i in order if wide[i] and covered[i] <= len(array) // 4][:8]


def _bands(boxes: _Boxes, chosen: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    """Groups of boxes whose heights touch, from the top down."""
    ordered = chosen[np.argsort(boxes.array[chosen, 1], kind="stable")]
    start, low = 0, -np.inf
    for position, index in enumerate(ordered):
        _, top, _, bottom = boxes.array[index]
        if position > start and (top + bottom) / 2 > low:
            yield ordered[start:position]
            start, low = position, -np.inf
        low = max(low, bottom)
    yield ordered[start:]


def _crosses(array: npt.NDArray[np.float32], middle: float) -> bool:
    return bool(np.any((array[:, 0] < middle) & (array[:, 2] > middle)))


def _longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    best, start = (0, 0), 0
    for position, flag in enumerate([*flags, False]):
        if not flag:
            best = max(best, (start, position), key=lambda run: run[1] - run[0])
            start = position + 1
    return best


def _blocks(
    boxes: _Boxes, chosen: npt.NDArray[np.intp], least: float
) -> Iterator[npt.NDArray[np.intp]]:
    """Groups of boxes that stand side by side with white between them, from the left."""
    ordered = chosen[np.argsort(boxes.array[chosen, 0], kind="stable")]
    reached = np.maximum.accumulate(boxes.array[ordered, 2])
    apart = boxes.array[ordered[1:], 0] - reached[:-1] >= least
    yield from np.split(ordered, np.flatnonzero(apart) + 1)


def _is_column(boxes: _Boxes, chosen: npt.NDArray[np.intp], height: float) -> bool:
    """Whether these lines are running text and not the cells of a table's column."""
    if len(chosen) < COLUMN_LINES:
        return False
    array = boxes.array[chosen]
    width = float(array[:, 2].max() - array[:, 0].min())
    typical = float(np.median(array[:, 2] - array[:, 0]))
    return width >= COLUMN_WIDTH * height and typical >= FILLED * width


def _rows(boxes: _Boxes, chosen: npt.NDArray[np.intp]) -> Iterator[int]:
    """Rows from the top down, each from left to right."""
    middles = (boxes.array[:, 1] + boxes.array[:, 3]) / 2
    rows: list[list[int]] = []
    for index in chosen[np.argsort(middles[chosen], kind="stable")]:
        row = rows[-1] if rows else []
        if row and _shares(boxes.array[row[-1]], boxes.array[index]):
            row.append(int(index))
        else:
            rows.append([int(index)])
    for row in rows:
        yield from sorted(row, key=lambda index: float(boxes.array[index, 0]))


def _shares(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    common = min(one[3], other[3]) - max(one[1], other[1])
    return bool(common > SAME_ROW * min(one[3] - one[1], other[3] - other[1]))
