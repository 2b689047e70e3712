"""What is seen of a request from outside: its id, a line in the log, metrics, a name in traces."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import baggage, context, trace
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocr.errors import OcrError
from ocr.request import Request, current, known_id
from web import metrics
from web.door import error_response
from web.routes import route_of

log = logging.getLogger("ocr.request")
HEADER = "X-Request-ID"
BAGGAGE = "ocr.request"  # under which the runners are told the id
ATTRIBUTE = "ocr.request_id"  # of the span
QUIET = frozenset({"/livez", "/readyz", "/healthz", "/metrics", "/health"})  # asked all the time
GONE = 499  # as others have it, where the client went away before it was answered


class Observer:
    """ASGI middleware, the outermost: gives each request an id, and tells what came of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        metrics.prepare()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(**_told(scope))
        answer = _Answer(send, request)
        route = route_of(scope["path"])
        with _known(request, scope["method"], route):
            try:
                await self.app(scope, receive, answer)
            except Exception:  # BentoML would let the client wait for its own time limit
                log.exception("%s %s failed", scope["method"], route)
                if answer.status == GONE:
                    await error_response(OcrError("see the server's log"))(scope, receive, answer)
            finally:
                _tell(scope["method"], route, answer)


class _Answer:
    """An ASGI `send` that adds the request's id, and notes status, size and time."""

    def __init__(self, send: Send, request: Request) -> None:
        self.status = GONE
        self.bytes = 0
        self._send = send
        self._header = (HEADER.lower().encode(), request.id.encode())
        self._start = self._end = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Up to the last byte that was sent, or else to now."""
        end = time.perf_counter() if self._end == self._start else self._end
        return end - self._start

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            others = [each for each in message.get("headers", ()) if each[0] != self._header[0]]
            message = {**message, "headers": [*others, self._header]}
        await self._send(message)
        if message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
            self._end = time.perf_counter()


def _told(scope: Scope) -> dict[str, str]:
    """The id that the client gave, if it is fit to be taken on."""
    told = known_id(Headers(scope=scope).get(HEADER, ""))
    return {} if told is None else {"id": told}


@contextmanager
def _known(request: Request, method: str, route: str) -> Iterator[None]:
    """Let all that is done within know for whom it is; the runners are told by baggage.

    What baggage the client brought stays here: it is of no use to a runner, and may be long.
    """
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")  # BentoML gives it the path
    span.set_attribute(ATTRIBUTE, request.id)
    told = current.set(request)
    carried = context.attach(baggage.set_baggage(BAGGAGE, request.id, baggage.clear()))
    try:
        yield
    finally:
        context.detach(carried)
        current.reset(told)


def _tell(method: str, route: str, answer: _Answer) -> None:
    metrics.count_request(route, answer.status, answer.seconds)
    if route in QUIET:
        return
    told = {
        "method": method,
        "route": route,
        "status": answer.status,
        "milliseconds": round(answer.seconds * 1000, 1),
        "bytes": answer.bytes,
    }
    log.info(
        "%(method)s %(route)s %(status)d in %(milliseconds).1f ms, %(bytes)d bytes",
        told,
        extra=told,
    )
