"""Answers that are files: documents in the format that was asked for."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.responses import Response

from ocr.document import Document
from ocr.errors import OcrError
from ocr.formats.catalogue import FORMATS, Format
from ocr.stages import stage
from ocr.wanted import Wanted
from web.door import error_response

ERRORS = "X-OCR-Errors"
Render = Callable[[Sequence[Document], Wanted], Awaitable[bytes]]


async def file_response(documents: Sequence[Document], wanted: Wanted, render: Render) -> Response:
    """One file of all documents, or the first one's error if none was read."""
    first = documents[0].error
    if first is not None and all(each.error is not None for each in documents):
        response: Response = error_response(first)
    else:
        kind = FORMATS[wanted.format]
        with stage("format"):
            body = await render(documents, wanted)
        response = Response(body, media_type=kind.media_type)
        read = [each.source for each in documents if each.error is None]
        response.headers["Content-Disposition"] = disposition(read, kind)
    tell_errors(response, [(each.source, each.error) for each in documents])
    return response


def tell_errors(response: Response, outcomes: Sequence[tuple[str, OcrError | None]]) -> None:
    """Say in a header which files, each a name and perhaps an error, could not be read."""
    errors = [
        {"file": i, "source": source} | error.as_dict()
        for i, (source, error) in enumerate(outcomes)
        if error is not None
    ]
    if errors:
        response.headers[ERRORS] = json.dumps(errors)


def disposition(sources: Sequence[str], kind: Format) -> str:
    """The name to save an answer under: that of the first file."""
    stem = PurePosixPath(sources[0].replace("\\", "/")).stem if sources else ""
    return f"inline; filename*=UTF-8''{quote((stem or 'ocr') + kind.suffix, safe='')}"
