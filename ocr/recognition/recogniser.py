"""A recognition model at work: packed lines in, readings out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocr.document import Pixels
from ocr.errors import InferenceFailed, OcrError
from ocr.model import NETWORK, RecognitionModel, describe, read_charset
from ocr.recognition import ctc, lines
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.runtime import Device, Network


class Recogniser:
    """Reads lines with the model in `folder`. May be called from many threads.

    Raises ModelError if the folder holds no such model, DeviceUnavailable as Network does.
    """

    def __init__(self, folder: Path, device: Device = "cpu", threads: int = 1) -> None:
        self.model = describe(folder, RecognitionModel)
        self.charset = read_charset(folder)
        self.network = Network(folder / NETWORK, device, threads)

    def recognise(self, requests: Sequence[PackedLines]) -> list[list[Reading] | OcrError]:
        """Read the lines of several requests; each gets its readings or its own error.

        Lines are run one by one, side by side on all threads: on a CPU a batch is no faster
        (measured: slower, its activations leave the cache), and a line cannot be touched by
        what stands beside it.
        """
        unpacked = [_unpack(request, self.model) for request in requests]
        work = [line for found in unpacked if not isinstance(found, OcrError) for line in found]
        readings = iter(self.network.map(self._read, work) if work else [])
        answers: list[list[Reading] | OcrError] = []
        for found in unpacked:
            if isinstance(found, OcrError):
                answers.append(found)
                continue
            answer = [next(readings) for _ in found]
            failed = next((each for each in answer if isinstance(each, OcrError)), None)
            answers.append(failed or [each for each in answer if isinstance(each, Reading)])
        return answers

    def _read(self, line: Pixels) -> Reading | OcrError:
        try:
            padded = lines.pad(line, self.model)
            classes, probabilities = self.network.run(padded[np.newaxis])
            steps = line.shape[1] / self.model.stride
            return ctc.decode(classes[0], probabilities[0], self.charset, steps)
        except Exception as error:
            return InferenceFailed(f"recognition: {error}")


def _unpack(request: PackedLines, model: RecognitionModel) -> list[Pixels] | OcrError:
    if request.height != model.height:
        return InferenceFailed(f"recognition: lines are {request.height} pixels high")
    try:
        return request.unpack()
    except ValueError as error:
        return InferenceFailed(f"recognition: {error}")
