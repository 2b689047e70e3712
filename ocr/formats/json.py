"""The answer of `/ocr` as JSON, and back: everything that a Document has but the PDF itself."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from ocr.document import Document, Line, Page, Picture, Quad, Word
from ocr.errors import OcrError
from ocr.wanted import Wanted

Confidence = Annotated[
    float,
    Field(ge=0, le=1, description="mean probability of its characters", examples=[0.9876]),
]
Points = Annotated[
    list[Annotated[list[float], Field(min_length=2, max_length=2)]],
    Field(
        min_length=4,
        max_length=4,
        description="four points [x, y] in pixels, clockwise from the top left",
        examples=[[[12, 8], [220, 8], [220, 40.5], [12, 40.5]]],
    ),
]


class AnswerWord(BaseModel):
    """One word of a line, in Chinese one character."""

    text: str = Field(examples=["源"])
    confidence: Confidence
    quad: Points


class AnswerLine(BaseModel):
    """One line of text."""

    text: str = Field(examples=["源自天赐馥郁芬芳"])
    confidence: Confidence
    quad: Points
    turns: int = Field(
        default=0,
        ge=0,
        le=3,
        description="the text starts at the quad's corner of this number: "
        "0 upright, 1 downwards, 2 upside down, 3 upwards",
    )
    words: list[AnswerWord] = Field(default=[], description="only if they were asked for")


class AnswerPage(BaseModel):
    """One page, with its lines in reading order."""

    number: int = Field(default=1, ge=1, description="its place in its file")
    width: int = Field(ge=0, description="in pixels", examples=[1654])
    height: int = Field(ge=0, description="in pixels", examples=[2339])
    dpi: float | None = Field(default=None, description="null if it is not known", examples=[200])
    rotation: int = Field(
        default=0, description="of most of its text, clockwise in degrees: 0, 90, 180 or 270"
    )
    text_layer: bool = Field(default=False, description="the text is the PDF's own, and not read")
    text: str = Field(default="", description="all lines")
    picture: str | None = Field(
        default=None, description="a data URI of the page as it was read, only if asked for"
    )
    lines: list[AnswerLine]


class AnswerError(BaseModel):
    """Why a file could not be read."""

    code: str = Field(examples=["NOT_AN_IMAGE"])
    message: str


class AnswerDocument(BaseModel):
    """One file."""

    source: str = Field(default="", description="the name it came with", examples=["scan.pdf"])
    error: AnswerError | None = Field(default=None, description="null where the file was read")
    pages: list[AnswerPage]


class Answer(BaseModel):
    """The files of one request, in their order."""

    documents: list[AnswerDocument]


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """The answer as UTF-8, without spaces or line breaks."""
    answer = as_dict(documents, wanted)
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # a lone surrogate has no UTF-8


def as_dict(documents: Sequence[Document], wanted: Wanted) -> dict[str, Any]:
    """The answer as `Answer` describes it, with words and pictures only if they are wanted."""
    return {
        "documents": [
            {
                "source": document.source,
                "error": document.error.as_dict() if document.error else None,
                "pages": [
                    page_as_dict(page, words=wanted.words, picture=wanted.pictures)
                    for page in document.pages
                ],
            }
            for document in documents
        ]
    }


def page_as_dict(page: Page, *, words: bool = True, picture: bool = True) -> dict[str, Any]:
    """A page as `AnswerPage` describes it; by default with all that it has."""
    found: dict[str, Any] = {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "dpi": None if page.dpi is None else _short(page.dpi),
        "rotation": page.rotation,
        "text_layer": page.text_layer,
        "text": page.text,
        "lines": [_line(line, words) for line in page.lines],
    }
    if picture and page.picture:
        found["picture"] = _data_uri(page.picture)
    return found


def parse(data: bytes) -> list[Document]:
    """What `render` wrote. Raises ValueError if it is anything else."""
    return [_document(each) for each in Answer.model_validate_json(data).documents]


def page_of_dict(found: dict[str, Any]) -> Page:
    """What `page_as_dict` gave. Raises ValueError if it is anything else."""
    return _page(AnswerPage.model_validate(found))


def _line(line: Line, words: bool) -> dict[str, Any]:
    found = {**_text(line), "turns": line.turns}
    return found | {"words": [_text(word) for word in line.words]} if words else found


def _text(part: Line | Word) -> dict[str, Any]:
    return {
        "text": part.text,
        "confidence": round(float(part.confidence), 4),
        "quad": [[round(x, 1), round(y, 1)] for x, y in part.quad.tolist()],
    }


def _short(value: float) -> float:
    return int(value) if float(value).is_integer() else round(value, 4)


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _document(found: AnswerDocument) -> Document:
    return Document(
        [_page(page) for page in found.pages],
        found.source,
        error=OcrError.of(found.error.code, found.error.message) if found.error else None,
    )


def _page(found: AnswerPage) -> Page:
    lines = [
        Line(
            _quad(line.quad),
            line.text,
            line.confidence,
            line.turns,
            tuple(Word(_quad(word.quad), word.text, word.confidence) for word in line.words),
        )
        for line in found.lines
    ]
    return Page(
        found.width,
        found.height,
        lines,
        found.number,
        found.dpi,
        found.rotation,
        found.text_layer,
        None if found.picture is None else _picture(found.picture),
    )


def _quad(points: list[list[float]]) -> Quad:
    return np.array(points, np.float32)


def _picture(uri: str) -> Picture:
    head, _, data = uri.partition(";base64,")
    if not head.startswith("data:image/"):
        raise ValueError("the picture of a page is no data URI")
    return Picture(base64.b64decode(data, validate=True), head.removeprefix("data:"))
