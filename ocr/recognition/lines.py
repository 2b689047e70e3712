"""Line crops on their way to a recognition network: height, width, packing, splitting."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import cv2
import numpy as np
import numpy.typing as npt

from ocr.document import Pixels
from ocr.model import RecognitionModel
from ocr.recognition.ctc import Reading, Span, Steps

GAP = 0.5  # of the line's height: where a long line may be cut, in front of the limit


@dataclass(frozen=True)
class PackedLines:
    """All lines of one request in one contiguous array, since a hop costs by the array.

    `pixels` is uint8 and flat: each line's (height, width, 3) RGB pixels, one after the other.
    """

    pixels: npt.NDArray[np.uint8]
    widths: tuple[int, ...]
    height: int

    def unpack(self) -> list[Pixels]:
        """The lines again, as views.

        Raises ValueError if the array is not as long as its widths say.
        """
        ends = np.cumsum([self.height * width * 3 for width in self.widths])
        if min(self.widths, default=0) < 1 or ends[-1] != self.pixels.size:
            raise ValueError(
                f"{self.pixels.size} bytes are not lines of {sum(self.widths)} columns"
            )
        parts = np.split(self.pixels, ends[:-1])
        return [
            part.reshape(self.height, width, 3)
            for part, width in zip(parts, self.widths, strict=True)
        ]


def pack(lines: Sequence[Pixels]) -> PackedLines:
    """Pack lines of one height; there must be at least one."""
    pixels = np.concatenate([line.ravel() for line in lines])
    return PackedLines(pixels, tuple(line.shape[1] for line in lines), lines[0].shape[0])


def pad(line: Pixels, model: RecognitionModel) -> Pixels:
    """Pad a line to the width at which the network reads it.

    The width depends on this line alone, or its text would depend on its neighbours. Short words
    read worse without padding (PP-OCRv6 at a least width of 160 reads as well as at
    PaddleOCR's 320).
    """
    width = line.shape[1]
    padded = max(model.min_width, ceil(width / model.width_step) * model.width_step)
    return np.asarray(
        cv2.copyMakeBorder(
            line, 0, 0, 0, padded - width, cv2.BORDER_CONSTANT, value=(model.padding,) * 3
        ),
        np.uint8,
    )


def windows(line: Pixels, model: RecognitionModel) -> list[Pixels]:
    """What the network is shown of a line: all of it, or the windows that see any of it."""
    padded = pad(line, model)
    cut = model.windows
    if cut is None:
        return [padded]
    starts = range(0, min(line.shape[1], cut.count * cut.advance), cut.advance)
    return [np.ascontiguousarray(padded[:, start : start + cut.width]) for start in starts]


def join_windows(steps: Sequence[Steps], model: RecognitionModel, empty: Steps | None) -> Steps:
    """Make one line's steps of those of its windows.

    A window that sees none of the line gives the steps of an `empty` one, whatever the line.
    """
    cut = model.windows
    if cut is None or empty is None:
        (only,) = steps
        return only
    parts = [*steps, *[empty] * (cut.count - len(steps))]
    ends = [(0 if i == 0 else cut.trim, -cut.trim or None) for i in range(cut.count)]
    ends[-1] = (ends[-1][0], None)
    kept = [
        (classes[start:end], probabilities[start:end])
        for (classes, probabilities), (start, end) in zip(parts, ends, strict=True)
    ]
    classes, probabilities = (np.concatenate(each) for each in zip(*kept, strict=True))
    return classes, probabilities


def split(line: Pixels, model: RecognitionModel) -> list[Pixels]:
    """Cut a line that is wider than the network's field at its emptiest columns."""
    parts = []
    while line.shape[1] > model.max_width:
        cut = _emptiest(line, model.max_width // 2, model.max_width, round(GAP * model.height))
        parts.append(np.ascontiguousarray(line[:, :cut]))
        line = line[:, cut:]
    return [*parts, np.ascontiguousarray(line)]


def _emptiest(line: Pixels, start: int, stop: int, breadth: int) -> int:
    """The middle of the `breadth` columns between `start` and `stop` that hold least ink."""
    grey = cv2.cvtColor(line[:, start:stop], cv2.COLOR_RGB2GRAY).astype(np.float32)
    ink = np.convolve(grey.std(axis=0), np.ones(breadth), "valid")
    return start + int(len(ink) - 1 - np.argmin(ink[::-1])) + breadth // 2


def join(readings: Sequence[Reading], widths: Sequence[int]) -> Reading:
    """Make one reading of a split line's parts; `widths` are the parts' in pixels.

    A line was cut at a gap, so two Latin words that meet there get their space back.
    """
    if len(readings) == 1:
        return readings[0]
    total = sum(widths)
    spans: list[Span] = []
    start = 0
    for reading, width in zip(readings, widths, strict=True):
        if spans and reading.spans and _spaced(spans[-1].character, reading.spans[0].character):
            spans.append(Span(" ", spans[-1].end, start / total))
        spans += [
            replace(
                span,
                start=(start + span.start * width) / total,
                end=(start + span.end * width) / total,
            )
            for span in reading.spans
        ]
        start += width
    letters = [len(reading.spans) for reading in readings]
    weighted = sum(r.confidence * n for r, n in zip(readings, letters, strict=True))
    text = "".join(span.character for span in spans)
    return Reading(text, weighted / max(sum(letters), 1), tuple(spans))


def _spaced(left: str, right: str) -> bool:
    return all(c.isascii() and not c.isspace() for c in (left, right))
