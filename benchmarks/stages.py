"""One stage of the pipeline alone, in this process: detection, or recognition of a line crop."""

import asyncio

import inprocess
from client import ReadFailed
from metrics import TextLine

from ocr.errors import OcrError
from ocr.pipeline import Pipeline


def detection_model() -> str:
    """The name in the store of the model that the OCR_* variables select."""
    return inprocess.SETTINGS.models.detection.tag


def recognition_model() -> str:
    """The name in the store of the model that the OCR_* variables select."""
    return inprocess.SETTINGS.models.recognition.tag


async def locate(pipeline: Pipeline, picture: bytes) -> list[TextLine]:
    """All boxes that detection finds on a picture's first page, without any text.

    Raises ReadFailed if the picture cannot be decoded or detection fails.
    """
    try:
        quads = await pipeline.locate(await asyncio.to_thread(inprocess.first_page, picture))
    except OcrError as error:
        raise ReadFailed(f"{error.code}: {error.message}") from error
    return [TextLine(tuple((float(x), float(y)) for x, y in quad), "") for quad in quads]


async def read_line(pipeline: Pipeline, picture: bytes) -> list[TextLine]:
    """The one line that a picture is, without detection.

    Raises ReadFailed if the picture cannot be decoded or recognition fails.
    """
    try:
        line = await pipeline.read_line(await asyncio.to_thread(inprocess.first_page, picture))
    except OcrError as error:
        raise ReadFailed(f"{error.code}: {error.message}") from error
    corners = tuple((float(x), float(y)) for x, y in line.quad)
    return [TextLine(corners, line.text, line.confidence)]
