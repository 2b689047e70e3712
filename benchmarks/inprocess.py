"""The pipeline in this process, without HTTP and runners, over the models of the store."""

import asyncio

from client import ReadFailed
from metrics import TextLine

from ocr import decode, local
from ocr.document import Pixels
from ocr.errors import OcrError
from ocr.pipeline import Pipeline
from ocr.settings import Settings
from runners import store

SETTINGS = Settings()


def pipeline() -> Pipeline:
    """The pipeline as the service would be set up, by the same OCR_* variables.

    Raises ModelError without its models, DeviceUnavailable without its device.
    """
    models = SETTINGS.models
    return local.pipeline(
        store.model_folder(models.detection),
        store.model_folder(models.recognition),
        SETTINGS.device,
        SETTINGS.network_threads,
        SETTINGS.min_confidence,
    )


async def read(reader: Pipeline, picture: bytes) -> list[TextLine]:
    """Decode a picture's first page and read it. Raises ReadFailed if either fails."""
    try:
        pixels = await asyncio.to_thread(_first_page, picture)
        page = await reader.read(pixels)
    except OcrError as error:
        raise ReadFailed(f"{error.code}: {error.message}") from error
    return [
        TextLine(tuple((float(x), float(y)) for x, y in line.quad), line.text, line.confidence)
        for line in page.lines
    ]


def _first_page(picture: bytes) -> Pixels:
    return next(decode.pages(picture, SETTINGS.decode_limits))
