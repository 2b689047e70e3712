"""Connectionist temporal classification: from the best class of each step to text.

Method: Graves et al. (ICML 2006), greedy: repeats are one character, class 0 is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BLANK = 0

# Each step's best class and its probability: (n,) integers and (n,) floats.
Steps = tuple[npt.NDArray[np.integer], npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Span:
    """One character of a line, where it stands, in shares (0 to 1) of the line's length, and its
    probability."""

    character: str
    start: float
    end: float
    confidence: float = 1.0


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

    `classes` and `probabilities` are Steps. Class k is `charset[k - 1]`, which is empty if no
    character has this class. `steps` is the part of n that the line fills, the rest being padding;
    spans are shares of it.
    """
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    ends = np.append(starts[1:], len(classes))
    characters = ["" if k == BLANK else charset[k - 1] for k in classes[starts]]
    kept = [i for i, character in enumerate(characters) if character]
    if not kept:
        return Reading("", 0.0)
    spans = tuple(
        Span(
            characters[i],
            min(float(starts[i]) / steps, 1.0),
            min(float(ends[i]) / steps, 1.0),
            float(probabilities[starts[i]]),
        )
        for i in kept
    )
    text = "".join(span.character for span in spans)
    return Reading(text, float(probabilities[starts[kept]].mean()), spans)
