"""A detection model at work: model-ready pictures in, boxes out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocr.detection import db
from ocr.document import Pixels
from ocr.errors import InferenceFailed, OcrError
from ocr.model import NETWORK, DetectionModel, describe
from ocr.runtime import Device, Network

Boxes = npt.NDArray[np.float32]  # (n, 9): four corners clockwise from the top left, and a score


class Detector:
    """Finds text with the model in `folder`. May be called from many threads.

    Raises ModelError if the folder holds no such model, DeviceUnavailable as Network does.
    """

    def __init__(self, folder: Path, device: Device = "cpu", threads: int = 1) -> None:
        self.model = describe(folder, DetectionModel)
        self.network = Network(folder / NETWORK, device, threads)

    def detect(self, images: Sequence[Pixels]) -> list[Boxes | OcrError]:
        """Boxes, in pixels of each picture, or the error that this one picture met.

        Each image is (height, width, 3) uint8 RGB, both sides multiples of `model.multiple`.
        """
        return self.network.map(self._detect_one, images)

    def _detect_one(self, image: Pixels) -> Boxes | OcrError:
        try:
            (probability,) = self.network.run(image[np.newaxis])
            return db.boxes(probability[0, 0], self.model)
        except Exception as error:
            return InferenceFailed(f"detection: {error}")
