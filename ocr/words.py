"""Words of a line, out of the characters that recognition saw and where it saw them."""

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

import numpy as np

from ocr.document import Quad, Word
from ocr.recognition.ctc import Span


def words(quad: Quad, turns: int, spans: Sequence[Span]) -> tuple[Word, ...]:
    """Cut a line's quad into those of its words; its text starts at corner number `turns`."""
    return tuple(_word(quad, turns, group) for group in _groups(spans))


def _groups(spans: Sequence[Span]) -> list[list[Span]]:
    """Characters that belong together: a Chinese one is a word of its own."""
    groups: list[list[Span]] = []
    for spaces, run in groupby(spans, lambda span: span.character.isspace()):
        if spaces:
            continue
        for alone, part in groupby(run, lambda span: stands_alone(span.character)):
            groups += [[span] for span in part] if alone else [list(part)]
    return groups


def stands_alone(character: str) -> bool:
    """Whether a character is a word: ideographs, kana and full-width forms."""
    return character >= "\u2e80"


def _word(quad: Quad, turns: int, spans: Sequence[Span]) -> Word:
    text = "".join(span.character for span in spans)
    cut = _part(quad, turns, spans[0].start, spans[-1].end)
    return Word(cut, text, fmean(span.confidence for span in spans))


def _part(quad: Quad, turns: int, start: float, end: float) -> Quad:
    """The part of a quad between two shares of its length along the text."""
    top_left, top_right, bottom_right, bottom_left = np.roll(quad, -turns, axis=0)
    above, below = top_right - top_left, bottom_right - bottom_left
    part = [
        top_left + start * above,
        top_left + end * above,
        bottom_left + end * below,
        bottom_left + start * below,
    ]
    return np.roll(np.array(part, np.float32), turns, axis=0)
