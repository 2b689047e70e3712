"""The networks in this process: what the runners are in the service, without the servers."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from ocr.detection.detector import Boxes, Detector
from ocr.document import Pixels
from ocr.errors import OcrError
from ocr.pipeline import Pipeline
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from ocr.recognition.recogniser import Recogniser
from ocr.runtime import Device


@dataclass(frozen=True)
class Local:
    """A detector and a recogniser, called on threads so that pages can overlap."""

    detector: Detector
    recogniser: Recogniser

    async def detect(self, image: Pixels) -> Boxes:
        (found,) = await asyncio.to_thread(self.detector.detect, [image])
        if isinstance(found, OcrError):
            raise found
        return found

    async def recognise(self, lines: PackedLines) -> list[Reading]:
        (readings,) = await asyncio.to_thread(self.recogniser.recognise, [lines])
        if isinstance(readings, OcrError):
            raise readings
        return readings


def pipeline(
    detection: Path,
    recognition: Path,
    device: Device = "cpu",
    threads: int = 1,
    min_confidence: float = 0.5,
) -> Pipeline:
    """A pipeline over two model folders. Raises as Detector and Recogniser do."""
    local = Local(Detector(detection, device, threads), Recogniser(recognition, device, threads))
    return Pipeline(
        local.detector.model,
        local.recogniser.model,
        local.detect,
        local.recognise,
        min_confidence,
    )
