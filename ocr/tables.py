"""Tables without looking for their rules: rows of short cells, between white stripes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ocr.document import Line

ROWS = 3  # at least
GUTTER = 0.5  # text heights of white between two columns
SAME_ROW = 0.5  # share of the lower one's height that two lines of one row have in common
SAME_BAND = 0.25  # and the lines of two columns, one of which has several lines in a cell
FILLED = 0.6  # of a table's cells
COLUMN_FILLED = 0.2  # of each column's, and two at least
CROWDED = 0.2  # of its cells, at most, that hold several pieces side by side
ALIGNED = 0.75  # text heights by which most of a column's cells stray from their common edge
MOST = 0.7
SHORT = 24  # letters of a typical cell, at most; a Chinese character counts as one
LONG = 80  # letters of any cell, at most
APART = 2.0  # text heights of white between two rows, at most
WRAPPED = 0.5  # text heights between lines of one cell, and share of the white next to them
VISIBLE = 0.2  # text heights of white between rows, without which nothing tells them apart
PAUSE = 1.0  # text heights of white that end a table in which rows stand
CLOSER = 3.0  # times closer
ALIKE = 1.6  # ratio of the heights of rows of one table
FIRST = 8  # rows, at most, after which a table must be clear
LENGTH = 500  # rows of one table, at most
STEPS = 8  # in which the last row of a long table is looked for

Cell = tuple[Line, ...]  # side by side
Stack = tuple[Cell, ...]  # one below the other


@dataclass(frozen=True)
class Place:
    """One line, or pieces of one, and where it is, in a frame in which the page is level.

    `height` is that of its text; `turned` if it does not run as most of the page's text.
    """

    lines: Cell
    left: float
    top: float
    right: float
    bottom: float
    height: float
    turned: bool = False

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def text(self) -> str:
        return " ".join(" ".join(line.text for line in self.lines).split())

    def shares(self, other: "Place") -> float:
        """The part of the lower one's height that both have in common, less than 0 if apart."""
        common = min(self.bottom, other.bottom) - max(self.top, other.top)
        return common / max(1.0, min(self.bottom - self.top, other.bottom - other.top))

    def below(self, other: "Place") -> bool:
        """Whether any part of one is above or below the other."""
        return min(self.right, other.right) > max(self.left, other.left)

    def joined(self, other: "Place") -> "Place":
        """Both as one, this one first."""
        return Place(
            self.lines + other.lines,
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            max(self.height, other.height),
            self.turned,
        )


Row = list[Place]  # from the left


@dataclass(frozen=True)
class Found:
    """A table and how many of the bands it was looked for in it takes."""

    cells: tuple[tuple[Stack, ...], ...]
    bands: int


def bands(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that lie beside each other in part: beside one line of a cell stand two of another."""
    found: list[list[Row]] = []
    for row in rows:
        if found and any(
            place.shares(other) > SAME_BAND and not place.below(other)
            for place in _flat(found[-1])
            for other in row
        ):
            found[-1].append(row)
        else:
            found.append([row])
    return found


def table_at(found: Sequence[Sequence[Row]], start: int) -> Found | None:
    """The longest table that begins with one of a column's bands; None where none clearly does."""
    rows = [_flat(band) for band in found[start : start + LENGTH]]
    best = _first_found(rows, range(_reach(rows[:FIRST]), ROWS - 1, -1))
    if best is None:
        return None
    last = _reach(rows)
    end = min(2 * best.bands, last)
    while end > best.bands:
        step = max(1, (end - best.bands) // STEPS)
        longer = _first_found(rows, range(end, best.bands, -step))
        if longer is None and step == 1:
            break
        grown = longer is not None and longer.bands == end
        best = longer or best
        end = min(2 * best.bands if grown else best.bands + step - 1, last)
    return best


def _first_found(rows: Sequence[Row], ends: Iterable[int]) -> Found | None:
    for end in ends:
        cells = _cells(rows[:end])
        if cells is not None:
            return Found(cells, end)
    return None


def _flat(band: Sequence[Row]) -> Row:
    return [place for row in band for place in row]


@dataclass(frozen=True)
class _Stripes:
    """Where columns are: left and right of each, with white between them."""

    edges: tuple[tuple[float, float], ...] = ()

    def joined(self, row: Row, height: float) -> "_Stripes":
        """Those that overlap, or nearly so, are one."""
        edges: list[tuple[float, float]] = []
        for left, right in sorted([*self.edges, *((place.left, place.right) for place in row)]):
            if edges and left - edges[-1][1] < GUTTER * height:
                edges[-1] = (edges[-1][0], max(edges[-1][1], right))
            else:
                edges.append((left, right))
        return _Stripes(tuple(edges))

    def sorted_in(self, places: Iterable[Place]) -> "_Cells":
        """Each column's places."""
        columns: _Cells = [[] for _ in self.edges]
        for place in places:
            columns[next(i for i, edge in enumerate(self.edges) if place.right <= edge[1])] += [
                place
            ]
        return columns


_Cells = list[list[Place]]  # of one row: each column's places


def _reach(rows: Sequence[Row]) -> int:
    """How many rows, from the first on, may be one table: as long as columns remain."""
    if len(rows[0]) < 2:
        return 0
    stripes = _Stripes()
    whites: list[float] = []
    for position, row in enumerate(rows):
        if position:
            if not _follows(rows[position - 1], row, whites):
                return position
            whites.append(_white([rows[position - 1]], [row]))
        stripes = stripes.joined(row, row[0].height)
        if len(stripes.edges) < 2:
            return position
    return len(rows)


def _follows(above: Row, below: Row, whites: Sequence[float]) -> bool:
    """Whether a row may be of the same table as those above it, between which is that white."""
    low, high = sorted([above[0].height, below[0].height])
    white = _white([above], [below])
    if white > APART * high or high > ALIKE * low or below[0].turned:
        return False
    if white <= PAUSE * high or len(whites) < 2:
        return True
    return white <= CLOSER * sorted(whites)[len(whites) * 3 // 4]


def _cells(rows: Sequence[Row]) -> tuple[tuple[Stack, ...], ...] | None:
    """Put the rows into columns. None if that is not clearly a table."""
    places = [place for row in rows for place in row]
    height = median(place.height for place in places)
    stripes = _Stripes().joined(places, height)
    if len(stripes.edges) < 2:
        return None
    grid = _headed(_unwrapped([stripes.sorted_in(row) for row in rows], height))
    if not (
        _has_rows(grid) and _is_filled(grid) and _is_short(grid) and _is_lined_up(grid, height)
    ):
        return None
    return tuple(tuple(_lines(_stack(cell)) for cell in row) for row in grid)


def _unwrapped(rows: Sequence[_Cells], height: float) -> list[_Cells]:
    """Join a row that has few cells to the one of which it holds further lines."""
    whites = [_white(above, below) for above, below in pairwise(rows)]
    joined = [rows[0]]
    for position, (last, row) in enumerate(pairwise(rows)):
        around = max(whites[max(0, position - 1) : position + 2])
        near = around > VISIBLE * height and whites[position] < WRAPPED * min(height, around)
        if near and (_is_part(row, last) or _is_part(last, row)):
            joined[-1] = [one + other for one, other in zip(joined[-1], row, strict=True)]
        else:
            joined.append(row)
    return joined


def _white(above: _Cells, below: _Cells) -> float:
    bottom = max(place.bottom for cell in above for place in cell)
    return max(0.0, min(place.top for cell in below for place in cell) - bottom)


def _is_part(fewer: _Cells, more: _Cells) -> bool:
    """Whether a row has few of the cells that another one has, and no other."""
    filled, others = [bool(cell) for cell in fewer], [bool(cell) for cell in more]
    within = all(other or not one for one, other in zip(filled, others, strict=True))
    return within and (sum(filled) == 1 or 2 * sum(filled) <= sum(others))


def _headed(grid: Sequence[_Cells]) -> list[_Cells]:
    """Put headers over their columns, which may be narrow and not right below them."""
    columns = [list(column) for column in zip(*grid, strict=True)]
    for number in range(len(columns) - 1, -1, -1):
        if any(columns[number][1:]):
            continue
        for column in columns[max(0, number - 1) : number] + columns[number + 1 : number + 2]:
            if not column[0]:
                column[0] = columns.pop(number)[0]
                break
    return [list(row) for row in zip(*columns, strict=True)]


def _has_rows(grid: Sequence[_Cells]) -> bool:
    ends = (grid[0], grid[-1])
    return len(grid) >= ROWS and all(sum(bool(cell) for cell in row) > 1 for row in ends)


def _is_filled(grid: Sequence[_Cells]) -> bool:
    filled = [sum(bool(cell) for cell in column) for column in zip(*grid, strict=True)]
    least = max(2, COLUMN_FILLED * len(grid))
    return sum(filled) >= FILLED * len(grid) * len(filled) and min(filled) >= least


def _is_short(grid: Sequence[_Cells]) -> bool:
    """Whether cells hold little text each, and mostly in one piece."""
    cells = [cell for row in grid for cell in row if cell]
    letters = [sum(len(place.text) for place in cell) for cell in cells]
    crowded = sum(any(len(row) > 1 for row in _stack(cell)) for cell in cells)
    return median(letters) <= SHORT and max(letters) <= LONG and crowded <= CROWDED * len(cells)


def _is_lined_up(grid: Sequence[_Cells], height: float) -> bool:
    """Whether all columns are aligned; of three or more the first one may be indented in steps."""
    columns = list(zip(*grid, strict=True))
    if len(columns) > 2:
        columns = columns[1:]
    return all(_is_aligned([cell for cell in column if cell], height) for column in columns)


def _is_aligned(cells: Sequence[Sequence[Place]], height: float) -> bool:
    """Whether most cells have their left edge, their right one or their middle in common."""
    lefts = [min(place.left for place in cell) for cell in cells]
    rights = [max(place.right for place in cell) for cell in cells]
    middles = [(left + right) / 2 for left, right in zip(lefts, rights, strict=True)]
    return any(_stray(edge) <= ALIGNED * height for edge in (lefts, rights, middles))


def _stray(edge: Sequence[float]) -> float:
    """How far most of these are from what they have in common."""
    common = median(edge)
    strays = sorted(abs(each - common) for each in edge)
    return strays[round(MOST * (len(strays) - 1))]


def _stack(cell: Sequence[Place]) -> list[Row]:
    """A cell's lines from the top, the pieces of each from the left."""
    rows: list[Row] = []
    for place in sorted(cell, key=lambda place: place.middle):
        if rows and rows[-1][-1].shares(place) > SAME_ROW and not rows[-1][-1].below(place):
            rows[-1].append(place)
        else:
            rows.append([place])
    return [sorted(row, key=lambda place: place.left) for row in rows]


def _lines(stack: Sequence[Row]) -> Stack:
    return tuple(tuple(line for place in row for line in place.lines) for row in stack)
