"""Asks the service to read pictures, as any client of POST /ocr_system would."""

import base64
import json
from typing import Any

import aiohttp
from metrics import TextLine

PATH = "/ocr_system"
TIMEOUT = aiohttp.ClientTimeout(total=300)  # seconds


class ReadFailed(Exception):
    """A picture was not read; the message begins with the error's code."""


def connect(connections: int = 1) -> aiohttp.ClientSession:
    """A session that keeps at most so many connections open. To be used with `async with`."""
    connector = aiohttp.TCPConnector(limit=connections)
    return aiohttp.ClientSession(connector=connector, timeout=TIMEOUT)


def body(picture: bytes) -> bytes:
    """The request for one picture."""
    return json.dumps({"images": [base64.b64encode(picture).decode("ascii")]}).encode("ascii")


async def read(session: aiohttp.ClientSession, url: str, request: bytes) -> list[TextLine]:
    """Send a request for one picture to the service at `url`.

    Raises ReadFailed if the service cannot be reached or did not read the picture.
    """
    headers = {"Content-Type": "application/json"}
    return _lines(*await _post(session, url.rstrip("/") + PATH, request, headers))


async def _post(
    session: aiohttp.ClientSession, url: str, data: Any, headers: dict[str, str]
) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    try:
        async with session.post(url, data=data, headers=headers) as response:
            return response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ReadFailed(f"NO_ANSWER: {type(error).__name__} {error}") from error


async def read_by_rapidocr(
    session: aiohttp.ClientSession, url: str, picture: bytes
) -> list[TextLine]:
    """Send a picture to the server of rapidocr_api at `url`. Raises ReadFailed as `read` does."""
    form = aiohttp.FormData()
    form.add_field("image_file", picture, filename="picture")
    status, content = await _post(session, url.rstrip("/") + "/ocr", form, {})
    try:
        return [
            TextLine(tuple((float(x), float(y)) for x, y in line["dt_boxes"]), line["rec_txt"])
            for line in json.loads(content).values()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReadFailed(f"HTTP_{status}: unexpected answer {content[:200]!r}") from error


def _lines(status: int, content: bytes) -> list[TextLine]:
    try:
        answer = json.loads(content)
        if "results" not in answer:  # the request as a whole failed
            raise ReadFailed(f"{answer['error']['code']}: {answer['error']['message']}")
        (lines,), (error,) = answer["results"], answer["errors"]
        if error is not None:
            raise ReadFailed(f"{error['code']}: {error['message']}")
        return [_line(line) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise ReadFailed(f"HTTP_{status}: unexpected answer {content[:200]!r}") from error


def _line(answer: dict[str, Any]) -> TextLine:
    corners = tuple((float(x), float(y)) for x, y in answer["text_region"])
    return TextLine(corners, answer["text"], answer["confidence"])
