"""A detection model at work: model-ready pictures in, boxes out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocr.detection import db, seglink
from ocr.document import Pixels
from ocr.errors import InferenceFailed, OcrError
from ocr.model import DBModel, read_detection_model
from ocr.runtime import Device, Outputs, open_network

Boxes = npt.NDArray[np.float32]  # (n, 9): four corners clockwise from the top left, and a score


class Detector:
    """Finds text with the model in `folder`. May be called from many threads.

    Raises ModelError if the folder holds no such model, DeviceUnavailable as open_network does.
    """

    def __init__(self, folder: Path, device: Device = "cpu", threads: int = 1) -> None:
        self.model = read_detection_model(folder)
        self.network = open_network(folder, self.model, device, threads)

    def detect(self, images: Sequence[Pixels]) -> list[Boxes | OcrError]:
        """Boxes, in pixels of each picture, or the error that this one picture met.

        Each image is (height, width, 3) uint8 RGB, both sides multiples of `model.multiple`.
        """
        found = self.network.each(images, self._boxes)
        return [_as_detection(each) for each in found]

    def warm_up(self) -> None:
        """Run the network once, so that who is ready can read. Raises the error that it meets."""
        side = 4 * self.model.multiple
        (found,) = self.detect([np.full((side, side, 3), 255, np.uint8)])
        if isinstance(found, OcrError):
            raise found

    def _boxes(self, image: Pixels, outputs: Outputs) -> Boxes:
        if isinstance(self.model, DBModel):
            (probability,) = outputs
            return db.boxes(probability[0], self.model)
        nodes, links, offsets = outputs
        height, width = image.shape[:2]
        return seglink.boxes(nodes, links, offsets, height, width, self.model)


def _as_detection(found: Boxes | InferenceFailed) -> Boxes | OcrError:
    return InferenceFailed(f"detection: {found}") if isinstance(found, InferenceFailed) else found
