"""Connectionist temporal classification: from the best class of each step to text.

Method: Graves et al. (ICML 2006), greedy: repeats are one character, class 0 is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocr.document import Span

BLANK = 0


@dataclass(frozen=True)
class Reading:
    """What one crop says; `confidence` is the mean probability of its characters, 0 if none."""

    text: str
    confidence: float
    spans: tuple[Span, ...] = ()


def decode(
    classes: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.floating],
    charset: Sequence[str],
    steps: float,
) -> Reading:
    """Decode one line.

    `classes` and `probabilities` are (n,): each step's best class and its probability. Class k is
    `charset[k - 1]`. `steps` is the part of n that the line fills, the rest being padding; spans
    are shares of it.
    """
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    ends = np.append(starts[1:], len(classes))
    kept = classes[starts] != BLANK
    starts, ends = starts[kept], ends[kept]
    if len(starts) == 0:
        return Reading("", 0.0)
    characters = [charset[k - 1] for k in classes[starts]]
    spans = tuple(
        Span(character, min(float(start) / steps, 1.0), min(float(end) / steps, 1.0))
        for character, start, end in zip(characters, starts, ends, strict=True)
    )
    return Reading("".join(characters), float(probabilities[starts].mean()), spans)
