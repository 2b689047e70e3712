"""The answer of PaddleHub's `ocr_system`, which existing clients of that service understand."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from ocr.document import Document, Line
from ocr.errors import OcrError

OK, SOME_FAILED = "000", "101"


class HubLine(BaseModel):
    """One line of text."""

    confidence: float = Field(description="mean probability of its characters", examples=[0.9876])
    text: str = Field(examples=["源自天赐馥郁芬芳"])
    text_region: list[list[int]] = Field(
        description="four points [x, y] in pixels, clockwise from the top left",
        examples=[[[12, 8], [220, 8], [220, 40], [12, 40]]],
    )
    page: int | None = Field(default=None, description="only where an image has several, from 1")


class HubError(BaseModel):
    """Why one image could not be read."""

    code: str = Field(examples=["NOT_AN_IMAGE"])
    message: str


class HubAnswer(BaseModel):
    """One slot an image, in the order of the request, in `results` and in `errors`."""

    msg: str = Field(description="empty if every image was read")
    results: list[list[HubLine]] = Field(description="an image's lines in reading order")
    status: Literal["000", "101"] = Field(description="000: every image was read, 101: not all")
    errors: list[HubError | None] = Field(description="null where the image was read")


def answer(outcomes: Sequence[Document | OcrError]) -> dict[str, Any]:
    """The body for the images of one request, as HubAnswer describes it."""
    failed = sum(isinstance(outcome, OcrError) for outcome in outcomes)
    return {
        "msg": f"{failed} of {len(outcomes)} images could not be read" if failed else "",
        "results": [[] if isinstance(each, OcrError) else _slot(each) for each in outcomes],
        "status": SOME_FAILED if failed else OK,
        "errors": [each.as_dict() if isinstance(each, OcrError) else None for each in outcomes],
    }


def _slot(document: Document) -> list[dict[str, Any]]:
    """One picture's lines; those of a picture with several pages also name their page."""
    many = len(document.pages) > 1
    return [
        _line(line) | ({"page": number} if many else {})
        for number, page in enumerate(document.pages, 1)
        for line in page.lines
    ]


def _line(line: Line) -> dict[str, Any]:
    return {
        "confidence": round(line.confidence, 4),
        "text": line.text,
        "text_region": [[round(float(x)), round(float(y))] for x, y in line.quad],
    }
