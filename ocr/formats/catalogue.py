"""The formats of an answer, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ocr.document import Document
from ocr.formats import alto, hocr, json, markdown, overlay, pdf, text
from ocr.wanted import FormatName, Wanted

Render = Callable[[Sequence[Document], Wanted], bytes]


@dataclass(frozen=True)
class Format:
    """One face of documents.

    `render` makes one file of all documents, in their order; those with an error are left out,
    but by JSON, which tells it. Where `words` or `pictures`, it needs those of the pages.
    """

    name: FormatName
    media_type: str
    suffix: str
    render: Render
    words: bool = False
    pictures: bool = False


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("json", "application/json", ".json", json.render),
        Format("text", "text/plain; charset=utf-8", ".txt", text.render),
        Format("markdown", "text/markdown; charset=utf-8", ".md", markdown.render),
        Format("hocr", "application/xhtml+xml; charset=utf-8", ".hocr", hocr.render, words=True),
        Format("alto", "application/xml; charset=utf-8", ".xml", alto.render, words=True),
        Format("pdf", "application/pdf", ".pdf", pdf.render, words=True, pictures=True),
        Format("png", "image/png", ".png", overlay.render, pictures=True),
    )
}


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """One file of all documents, in the format that is wanted. Raises what that format's does."""
    return FORMATS[wanted.format].render(documents, wanted)
