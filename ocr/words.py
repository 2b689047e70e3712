"""Words of a line, out of the characters that recognition saw, where it saw them, and the ink.

A word's box is as wide as its ink and as high as the ink of its line, within the line's quad. CTC
tells where about the middle of a character is and not how wide it is: two words part in the
emptiest column about halfway between their characters, and each is cut down to what is dark on
light, or light on dark, on its side. Where the ink does not show, the halves are what is left.
"""

from collections.abc import Sequence
from enum import Enum, auto
from functools import cache
from statistics import fmean
from typing import Literal
from unicodedata import category, east_asian_width, name

import cv2
import numpy as np
import numpy.typing as npt

from ocr.document import Pixels, Quad, Word
from ocr.recognition.ctc import Span

REACH = 0.4  # of the way between two characters: how far from halfway their words may part
STRAYING = 0.5  # contrast that a parting must gain for each line height that it is off halfway
FAR = 0.7  # line heights from the middle of a character: beyond, ink is not its own
MARGIN = 0.2  # of the line's height: the most that is cut off above and below the ink
INK = 0.25  # contrast of the faintest ink, of the best

Floats = npt.NDArray[np.floating]
Columns = npt.NDArray[np.int64]
Grey = npt.NDArray[np.uint8]  # (height, width)


def words(
    quad: Quad, turns: int, spans: Sequence[Span], line: Pixels | None = None
) -> tuple[Word, ...]:
    """Find the words of a line in the order of its text, spaces left out.

    The text starts at corner number `turns` of the quad. `line` is what the quad cuts out of the
    page as recognition was shown it, the text upright: (height, width, 3) uint8. Without it the
    spans are taken for where each character starts and ends.
    """
    groups = _groups(spans)
    if not groups:
        return ()
    return tuple(
        Word(
            part,
            "".join(span.character for span in group),
            fmean(span.confidence for span in group),
        )
        for part, group in zip(_boxes(quad, turns, groups, line), groups, strict=True)
    )


def _boxes(
    quad: Quad, turns: int, groups: Sequence[Sequence[Span]], line: Pixels | None
) -> npt.NDArray[np.float32]:
    starts = np.array([group[0].start for group in groups])
    ends = np.array([group[-1].end for group in groups])
    if line is None:
        return _parts(quad, turns, starts, ends)
    height, width = line.shape[:2]
    first = (starts + [group[0].end for group in groups]) * (width / 2)
    last = (ends + [group[-1].start for group in groups]) * (width / 2)
    grey = np.asarray(cv2.cvtColor(line, cv2.COLOR_RGB2GRAY), np.uint8)
    left, right = _across(first, last, grey)
    top, bottom = _down(grey)
    return _parts(quad, turns, left / width, right / width, top / height, bottom / height)


# Which characters are a word


class _Kind(Enum):
    SPACE = auto()
    ALONE = auto()
    LETTER = auto()
    MARK = auto()


def _groups(spans: Sequence[Span]) -> list[list[Span]]:
    """The characters of each word."""
    groups: list[list[Span]] = []
    before = _Kind.SPACE
    for span in spans:
        kind = _kind(span.character)
        if kind is _Kind.MARK:
            kind = _Kind.LETTER if before is _Kind.SPACE else before
            joins = before is not _Kind.SPACE
        else:
            joins = kind is before is _Kind.LETTER
        if joins:
            groups[-1].append(span)
        elif kind is not _Kind.SPACE:
            groups.append([span])
        before = kind
    return groups


@cache
def _kind(character: str) -> _Kind:
    if character.isspace():
        return _Kind.SPACE
    if _is_mark(character[0]):
        return _Kind.MARK
    return _Kind.ALONE if stands_alone(character) else _Kind.LETTER


@cache
def stands_alone(character: str) -> bool:
    """Whether a character is a word of its own: Han, kana and wide or full-width signs.

    Hangul, and the full-width forms of letters and digits, make words as Latin letters do. Dashes,
    dots and quotes that both Chinese and English use do so as well.
    """
    if not character:
        return False
    width, called = east_asian_width(character[0]), name(character[0], "")
    if width == "F":
        return not character[0].isalnum()
    return called.startswith("HALFWIDTH KATAKANA") or (width == "W" and "HANGUL" not in called)


def _is_mark(character: str) -> bool:
    """Whether it belongs to the character before: a combining mark or half of a surrogate pair."""
    return (
        category(character).startswith("M")
        or character in "\uff9e\uff9f"
        or ("\udc00" <= character <= "\udfff")
    )


# Where their ink is


def _across(first: Floats, last: Floats, grey: Grey) -> tuple[Columns, Columns]:
    """The columns from which and up to which words have their ink; each has at least one.

    `first` and `last` (n,) are the middles of each word's first and last character, in columns.
    """
    height, width = grey.shape
    contrast = _contrast(grey, axis=0)
    cuts = _partings(last[:-1], first[1:], contrast, height)
    starts = np.maximum(np.append(0, cuts), first - FAR * height).astype(np.int64)
    ends = np.minimum(np.append(cuts, width), last + FAR * height).astype(np.int64)
    starts, ends = _trimmed(starts, ends, contrast > INK)
    starts = np.minimum(starts, width - 1)
    return starts, np.maximum(ends, starts + 1)


def _partings(left: Floats, right: Floats, contrast: Floats, height: int) -> Columns:
    """The column (n,) at which each word ends and the next one starts.

    `left` and `right` (n,) are the middles of the characters that meet there, in columns.
    """
    halfway = ((left + right) / 2).astype(np.int64)[:, np.newaxis]
    reach = np.clip(REACH * (right - left), 0, FAR * height)[:, np.newaxis]
    furthest = int(reach.max(initial=0))
    steps = np.arange(-furthest, furthest + 1)
    columns = np.clip(halfway + steps, 0, len(contrast) - 1)
    cost = contrast[columns] + STRAYING / height * np.abs(steps)
    best = np.where(np.abs(steps) <= reach, cost, np.inf).argmin(axis=1)
    return np.asarray(columns[np.arange(len(columns)), best], np.int64)


def _trimmed(starts: Columns, ends: Columns, ink: npt.NDArray[np.bool_]) -> tuple[Columns, Columns]:
    """Cut ranges of columns down to their ink, those that have none not."""
    width = len(ink)
    places = np.arange(width)
    following = np.minimum.accumulate(np.where(ink, places, width)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(ink, places, -1)) + 1
    first = np.append(following, width)[starts]
    last = np.append(0, preceding)[ends]
    some = first < last
    return np.where(some, first, starts), np.where(some, last, ends)


def _down(grey: Grey) -> tuple[float, float]:
    """The row from which and up to which a line has its ink."""
    height = grey.shape[0]
    ink = np.flatnonzero(_contrast(grey, axis=1) > INK)
    if not len(ink):
        return 0.0, float(height)
    top = min(float(ink[0]), MARGIN * height)
    return top, max(float(ink[-1]) + 1, (1 - MARGIN) * height)


def _contrast(grey: Grey, axis: Literal[0, 1]) -> Floats:
    """How much the pixels of each column (axis 0) or row (1) differ, from 0 to 1.

    0 is what all have: noise, or what a line has that is underlined or framed.
    """
    found = grey.max(axis).astype(np.float32) - grey.min(axis)
    low, high = found.min(), max(found.max(), 1)
    return np.asarray((found - low) / max(high - low, high / 2), np.float32)


def _parts(
    quad: Quad,
    turns: int,
    starts: Floats,
    ends: Floats,
    top: float = 0.0,
    bottom: float = 1.0,
) -> npt.NDArray[np.float32]:
    """Parts of a quad (n, 4, 2), between shares of its length (n,) and of its height."""
    top_left, top_right, bottom_right, bottom_left = np.roll(quad, -turns, axis=0)
    x = np.stack([starts, ends, ends, starts], axis=1)[..., np.newaxis]
    y = np.array([top, top, bottom, bottom])[:, np.newaxis]
    above = top_left + x * (top_right - top_left)
    below = bottom_left + x * (bottom_right - bottom_left)
    return np.roll((above + y * (below - above)).astype(np.float32), turns, axis=1)
