"""Detection: model-ready pictures in, boxes out."""

import asyncio
from typing import Any

import bentoml
import numpy as np

from ocr.settings import Settings
from runners import metrics
from runners.observer import observe_calls
from runners.options import batching_options, runner_options
from runners.store import model_folder
from runners.tracing import tracing_options
from runners.watchdog import show_life

settings = Settings()
entry = settings.models.detection


@bentoml.service(name="Detection", **runner_options(settings), **tracing_options(settings))
class Detection:
    """Finds the lines of pages, several pages at a time."""

    model = bentoml.models.BentoModel(entry.tag)

    def __init__(self) -> None:
        from ocr.detection.detector import Detector

        self.detector = Detector(model_folder(entry), settings.device, settings.network_threads)
        self._life: asyncio.Task[None] | None = None
        self.detector.warm_up()
        observe_calls()
        metrics.count_start()

    @bentoml.on_startup
    async def open(self) -> None:
        self._life = show_life(self.detector.network.motion)

    @bentoml.api(**batching_options(settings))
    def detect(self, images: list[np.ndarray]) -> list[Any]:
        """For each picture its Boxes, or the OcrError that it met; as Detector.detect."""
        metrics.count_batch(len(images))
        return self.detector.detect(images)

    @bentoml.api
    def describe(self) -> dict[str, str]:
        """The model and what runs it."""
        return {"model": entry.tag, "provider": self.detector.network.provider}
