"""The door: every request passes it, and every error leaves through it in one shape."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocr.errors import (
    BadRequest,
    Busy,
    JobsNotOpen,
    OcrError,
    RateLimited,
    RequestTooLarge,
    TimedOut,
    UploadTimedOut,
)
from ocr.settings import Settings
from web import metrics
from web.gone import Attendance

log = logging.getLogger("ocr.door")
RETRY_AFTER_S = 1
UPLOADS = 8  # requests may be received for each that may be in work: slow clients are many
JSON_CALLS = ("/ocr_system", "/predict/ocr_system")
CODES = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "BUSY",
    503: "NOT_READY",
    504: "TIMEOUT",
}


def error_response(error: OcrError) -> JSONResponse:
    """An error as the API answers it: {"error": {"code", "message"}}."""
    metrics.count_refused(error.code)
    headers = {}
    if isinstance(error, Busy | JobsNotOpen | RateLimited):
        seconds = getattr(error, "retry_after_s", RETRY_AFTER_S)
        headers["Retry-After"] = str(max(RETRY_AFTER_S, math.ceil(seconds)))
    return JSONResponse({"error": error.as_dict()}, error.status, headers)


class Door:
    """ASGI middleware: admits requests up to a number, a size and a time, and shapes errors.

    Requests whose client goes away are given up.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.uploads = 0  # requests that are being received,
        self.in_work = 0  # and those that were,
        self.bytes = 0  # and all that they hold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        shaped = _Shaped(send)
        try:
            if scope["method"] == "POST":
                await self._post(scope, receive, shaped)
            else:
                await self.app(scope, receive, shaped)
        except OcrError as error:
            log.info("%s refused: %s %s", scope["path"], error.code, error)
            if not shaped.started:
                await error_response(error)(scope, receive, send)
        except Exception:  # BentoML would let the client wait for its own time limit
            log.exception("%s failed", scope["path"])
            if not shaped.started:
                await error_response(OcrError("see the server's log"))(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: "_Shaped") -> None:
        self._check_room()
        body = bytearray()
        try:
            await self._receive(scope, receive, body)
            self._check_room()
            await self._work(_typed(scope), _Replay(body, receive), send)
        finally:
            self.bytes -= len(body)

    def _check_room(self) -> None:
        if self.in_work >= self.settings.max_concurrency:
            raise Busy(f"{self.in_work} requests are in work")

    async def _receive(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        """Receive the whole body. Raises Busy, RequestTooLarge, UploadTimedOut, BadRequest."""
        if self.uploads >= UPLOADS * self.settings.max_concurrency:
            raise Busy(f"{self.uploads} requests are being received")
        self.uploads += 1
        try:
            async with asyncio.timeout(self.settings.upload_timeout_s):
                async for part in _parts(scope, receive, self.settings.max_request_bytes):
                    if self.bytes + len(part) > self.settings.max_bytes_in_work:
                        raise Busy(f"requests of {self.bytes} bytes are in work")
                    body += part
                    self.bytes += len(part)
        except TimeoutError:
            raise UploadTimedOut(
                f"not received within {self.settings.upload_timeout_s:g} s"
            ) from None
        finally:
            self.uploads -= 1

    async def _work(self, scope: Scope, receive: Receive, send: "_Shaped") -> None:
        limit_s = self.settings.timeout_s
        self.in_work += 1
        metrics.requests_in_work().inc()
        gone = False
        try:
            async with asyncio.timeout(limit_s) as limit, Attendance(receive, limit) as attended:
                try:
                    await self.app(scope, attended, send)
                finally:
                    gone = attended.gone
        except TimeoutError:
            if gone:
                log.info("%s given up: the client went away", scope["path"])
            elif not send.started:
                raise TimedOut(
                    f"no answer within {limit_s:g} s; long documents go to /jobs"
                ) from None
        finally:
            self.in_work -= 1
            metrics.requests_in_work().dec()


async def _parts(scope: Scope, receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """A body as it comes. Raises RequestTooLarge, at once where its length is told."""
    told = Headers(scope=scope).get("content-length", "0")
    if told.isdigit() and int(told) > limit:
        raise RequestTooLarge(f"{told} bytes, the limit is {limit}")
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise RequestTooLarge(f"more than {limit} bytes")
        yield part
        if not message.get("more_body", False):
            return


def _typed(scope: Scope) -> Scope:
    """BentoML's calls take JSON, whatever a client that names no type is said to send."""
    if scope["path"] not in JSON_CALLS:
        return scope
    headers = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


class _Replay:
    """An ASGI `receive` that gives a body that was read already."""

    def __init__(self, body: bytearray, receive: Receive) -> None:
        self.body: bytearray | None = body
        self.receive = receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = bytes(self.body), None
        return {"type": "http.request", "body": body, "more_body": False}


class _Shaped:
    """An ASGI `send` that gives errors of the framework the shape of the API's own."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False
        self._failed: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if message["status"] >= 400:
                self._failed = message
                return
        elif self._failed is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_failed(self._failed)
            return
        await self.send(message)

    async def _send_failed(self, start: Message) -> None:
        body = _shape(start["status"], self._body)
        kept = [p for p in start["headers"] if p[0] not in (b"content-length", b"content-type")]
        length = (b"content-length", str(len(body)).encode())
        headers = [*kept, (b"content-type", b"application/json"), length]
        await self.send({**start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _shape(status: int, body: bytes) -> bytes:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = body.decode("utf-8", "replace").strip()
    if isinstance(answer, dict) and ("results" in answer or isinstance(answer.get("error"), dict)):
        return body
    code = CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
    return json.dumps({"error": {"code": code, "message": _message(answer)}}).encode()


def _message(answer: Any) -> str:
    """What the framework says of an error, in one line; a body's faults by place."""
    if isinstance(answer, list) and answer:
        answer = answer[0]
    if not isinstance(answer, dict):
        return str(answer)
    faults = answer.get("detail")
    if isinstance(faults, list):
        return "; ".join(
            f"{'.'.join(str(part) for part in fault.get('loc', ())) or 'body'}: {fault.get('msg')}"
            for fault in faults
        )
    return str(answer.get("error", answer))
