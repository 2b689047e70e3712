"""What goes between the service and a runner.

BentoML takes records apart on the way (pydantic dumps dataclasses as dicts) and pays for every
array, so a page's lines and readings travel as plain tuples with one array each.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ocr.errors import OcrError
from ocr.recognition.ctc import Reading, Span
from ocr.recognition.lines import PackedLines

LinesOnWire = tuple[npt.NDArray[np.uint8], Sequence[int], int]
ReadingsOnWire = tuple[list[list[str]], list[float], npt.NDArray[np.float64]]


def send_lines(lines: PackedLines) -> LinesOnWire:
    return lines.pixels, lines.widths, lines.height


def receive_lines(wire: LinesOnWire) -> PackedLines:
    pixels, widths, height = wire
    return PackedLines(pixels, tuple(widths), height)


def send_readings(answer: list[Reading] | OcrError) -> ReadingsOnWire | OcrError:
    """Each reading's characters, its confidence, and all spans' (start, end, confidence)."""
    if isinstance(answer, OcrError):
        return answer
    numbers = [
        (span.start, span.end, span.confidence) for reading in answer for span in reading.spans
    ]
    return (
        [[span.character for span in reading.spans] for reading in answer],
        [reading.confidence for reading in answer],
        np.array(numbers, np.float64).reshape(-1, 3),
    )


def receive_readings(wire: ReadingsOnWire) -> list[Reading]:
    characters, confidences, numbers = wire
    rows = iter(numbers.tolist())
    return [
        Reading("".join(line), confidence, tuple(Span(each, *next(rows)) for each in line))
        for line, confidence in zip(characters, confidences, strict=True)
    ]
