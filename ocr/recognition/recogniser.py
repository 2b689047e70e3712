"""A recognition model at work: packed lines in, readings out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocr.document import Pixels
from ocr.errors import InferenceFailed, OcrError
from ocr.model import RecognitionModel, read_charset, read_recognition_model
from ocr.recognition import ctc, lines
from ocr.recognition.ctc import Reading, Steps
from ocr.recognition.lines import PackedLines
from ocr.runtime import Device, Outputs, open_network


class Recogniser:
    """Reads lines with the model in `folder`. May be called from many threads.

    Raises ModelError if the folder holds no such model, DeviceUnavailable as open_network does.
    """

    def __init__(self, folder: Path, device: Device = "cpu", threads: int = 1) -> None:
        self.model = read_recognition_model(folder)
        self.charset = read_charset(folder)
        self.network = open_network(folder, self.model, device, threads)
        self._empty = self._read_empty()

    def recognise(self, requests: Sequence[PackedLines]) -> list[list[Reading] | OcrError]:
        """Read the lines of several requests; each gets its readings or its own error.

        What the network is shown of one line is never changed by what stands beside it.
        """
        unpacked = [_unpack(request, self.model) for request in requests]
        work = [line for found in unpacked if not isinstance(found, OcrError) for line in found]
        readings = iter(self._read(work))
        answers: list[list[Reading] | OcrError] = []
        for found in unpacked:
            if isinstance(found, OcrError):
                answers.append(found)
                continue
            answer = [next(readings) for _ in found]
            failed = next((each for each in answer if isinstance(each, OcrError)), None)
            answers.append(failed or [each for each in answer if isinstance(each, Reading)])
        return answers

    def warm_up(self) -> None:
        """Run the network once, so that who is ready can read. Raises the error that it meets."""
        height = self.model.height
        (found,) = self.recognise([lines.pack([np.full((height, height, 3), 255, np.uint8)])])
        if isinstance(found, OcrError):
            raise found

    def _read(self, work: Sequence[Pixels]) -> list[Reading | OcrError]:
        shown = [lines.windows(line, self.model) for line in work]
        flat = [window for line in shown for window in line]
        steps = iter(self.network.each(flat, _steps))
        return [
            self._decode(line, [next(steps) for _ in line_shown])
            for line, line_shown in zip(work, shown, strict=True)
        ]

    def _decode(self, line: Pixels, found: Sequence[Steps | InferenceFailed]) -> Reading | OcrError:
        failed = next((each for each in found if isinstance(each, InferenceFailed)), None)
        if failed is not None:
            return InferenceFailed(f"recognition: {failed}")
        steps = [each for each in found if not isinstance(each, InferenceFailed)]
        classes, probabilities = lines.join_windows(steps, self.model, self._empty)
        return ctc.decode(classes, probabilities, self.charset, line.shape[1] / self.model.stride)

    def _read_empty(self) -> Steps | None:
        """The steps of a window that sees nothing: a constant of the weights."""
        cut = self.model.windows
        if cut is None:
            return None
        window = np.full((self.model.height, cut.width, 3), self.model.padding, np.uint8)
        (steps,) = self.network.each([window], _steps)
        if isinstance(steps, InferenceFailed):
            raise steps
        return steps


def _steps(image: Pixels, outputs: Outputs) -> Steps:
    classes, probabilities = outputs
    return classes, probabilities


def _unpack(request: PackedLines, model: RecognitionModel) -> list[Pixels] | OcrError:
    if request.height != model.height:
        return InferenceFailed(f"recognition: lines are {request.height} pixels high")
    try:
        return request.unpack()
    except ValueError as error:
        return InferenceFailed(f"recognition: {error}")
