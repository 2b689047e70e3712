"""The pipeline in this process, without HTTP and runners, over the models of the store."""

import asyncio
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt
from client import ReadFailed
from metrics import TextLine

from ocr import decode, local
from ocr.document import Pixels
from ocr.errors import OcrError
from ocr.pipeline import Pipeline
from ocr.runtime import Device
from ocr.settings import Settings
from runners import store

SETTINGS = Settings()


def pipeline(device: Device | None = None) -> Pipeline:
    """The pipeline as the service would be set up, by the same OCR_* variables, or on this device.

    Raises ModelError without its models, DeviceUnavailable without its device.
    """
    models = SETTINGS.models
    return local.pipeline(
        store.model_folder(models.detection),
        store.model_folder(models.recognition),
        device or SETTINGS.device,
        SETTINGS.network_threads,
        SETTINGS.min_confidence,
    )


@dataclass(frozen=True)
class WithLines(Pipeline):
    """A pipeline that detects as usual, and then reads the lines that it was given."""

    lines: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))

    async def locate(self, page: Pixels) -> npt.NDArray[np.float32]:
        await super().locate(page)
        return self.lines


def with_lines(reader: Pipeline, lines: npt.NDArray[np.float32]) -> WithLines:
    """The same pipeline for a page of which the lines, (n, 4, 2) quads in pixels, are known."""
    return WithLines(
        **{each.name: getattr(reader, each.name) for each in fields(reader)}, lines=lines
    )


async def read(reader: Pipeline, picture: bytes) -> list[TextLine]:
    """Decode a picture's first page and read it. Raises ReadFailed if either fails."""
    try:
        pixels = await asyncio.to_thread(first_page, picture)
        page = await reader.read(pixels)
    except OcrError as error:
        raise ReadFailed(f"{error.code}: {error.message}") from error
    return [
        TextLine(tuple((float(x), float(y)) for x, y in line.quad), line.text, line.confidence)
        for line in page.lines
    ]


def first_page(picture: bytes) -> Pixels:
    """The first page of a picture. Raises OcrError as decoding does."""
    return next(decode.pages(picture, SETTINGS.decode_limits))
