"""The door: every request passes it, and every error leaves through it in one shape."""

import asyncio
import json
import logging
from functools import cache
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocr.errors import BadRequest, Busy, JobsNotOpen, OcrError, RequestTooLarge, TimedOut
from ocr.settings import Settings

log = logging.getLogger("ocr.door")
RETRY_AFTER_S = 1
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
    passing = isinstance(error, Busy | JobsNotOpen)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if passing else None
    return JSONResponse({"error": error.as_dict()}, error.status, headers)


@cache
def _requests_in_work() -> Any:
    """The gauge by which one knows that more servers are needed; all processes' together."""
    # Imported any sooner than in a worker, it would count for its own process only.
    from prometheus_client import Gauge

    return Gauge(
        "ocr_requests_in_work",
        "Requests that wait or are being worked on",
        multiprocess_mode="livesum",
    )


class Door:
    """ASGI middleware: admits requests up to a number, a size and a time, and shapes errors."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.in_work = 0
        _requests_in_work().set(0)

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
            await error_response(error)(scope, receive, send)
        except Exception:  # BentoML would let the client wait for its own time limit
            log.exception("%s failed", scope["path"])
            if not shaped.started:
                await error_response(OcrError("see the server's log"))(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: "_Shaped") -> None:
        if self.in_work >= self.settings.max_concurrency:
            raise Busy(f"{self.in_work} requests are in work")
        self.in_work += 1
        _requests_in_work().inc()
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                body = await _body(scope, receive, self.settings.max_request_bytes)
                await self.app(_typed(scope), _Replay(body, receive), send)
        except TimeoutError:
            if not send.started:
                raise TimedOut(
                    f"no answer within {self.settings.timeout_s:g} s; long documents go to /jobs"
                ) from None
        finally:
            self.in_work -= 1
            _requests_in_work().dec()


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises RequestTooLarge, before it is read where its length is told."""
    told = Headers(scope=scope).get("content-length", "0")
    if told.isdigit() and int(told) > limit:
        raise RequestTooLarge(f"{told} bytes, the limit is {limit}")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away")
        body += message.get("body", b"")
        if len(body) > limit:
            raise RequestTooLarge(f"more than {limit} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _typed(scope: Scope) -> Scope:
    """BentoML's calls take JSON, whatever a client that names no type is said to send."""
    if scope["path"] not in JSON_CALLS:
        return scope
    headers = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


class _Replay:
    """An ASGI `receive` that gives a body that was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body: bytes | None = body
        self.receive = receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
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
