"""Detection: model-ready pictures in, boxes out."""

from typing import Any

import bentoml
import numpy as np

from ocr.settings import Settings
from runners.options import batching_options, runner_options
from runners.store import model_folder

settings = Settings()
entry = settings.models.detection


@bentoml.service(name="Detection", **runner_options(settings))
class Detection:
    """Finds the lines of pages, several pages at a time."""

    model = bentoml.models.BentoModel(entry.tag)

    def __init__(self) -> None:
        from ocr.detection.detector import Detector

        self.detector = Detector(model_folder(entry), settings.device, settings.network_threads)

    @bentoml.api(**batching_options(settings))
    def detect(self, images: list[np.ndarray]) -> list[Any]:
        """For each picture its Boxes, or the OcrError that it met; as Detector.detect."""
        return self.detector.detect(images)

    @bentoml.api
    def describe(self) -> dict[str, str]:
        """The model and what runs it."""
        return {"model": entry.tag, "provider": self.detector.network.provider}
