"""What is seen of a request: an id that goes with it, a line in the log, numbers."""

import asyncio
import logging
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ocr.request import KNOWN, current, request_id
from tests.web.calls import Calls
from web.observer import GONE, Observer


async def _seen(request: Request) -> Response:
    """What is known within: the request's id, and what a runner would be sent."""
    sent: dict[str, str] = {}
    propagate.inject(sent)
    inherited = await asyncio.create_task(_id())
    return JSONResponse({"id": inherited, "baggage": sent.get("baggage")})


async def _id() -> str:
    return request_id()


async def _fails(request: Request) -> Response:
    raise ValueError("not expected")


async def _parts(request: Request) -> Response:
    return StreamingResponse(iter([b"12345", b"67890"]))


ROUTES = [
    Route("/ocr", _seen, methods=["POST"]),
    Route("/capabilities", _fails),
    Route("/docs", _parts),
    Route("/jobs/{id}", _parts),
    Route("/livez", _parts),
]


class Bare:
    """An app without Starlette's own answer to exceptions."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/capabilities":
            raise ValueError("not expected")
        await self.app(scope, receive, send)


@pytest.fixture
def calls() -> Calls:
    return Calls(Observer(Bare(Starlette(routes=ROUTES))))


def _count(route: str, status: int) -> float:
    labels = {"route": route, "status": str(status)}
    return REGISTRY.get_sample_value("ocr_requests_total", labels) or 0.0


def test_every_request_has_an_id_that_is_returned(calls: Calls) -> None:
    answers = [calls.post("/ocr"), calls.post("/ocr"), calls.get("/nothing")]
    ids = [answer.headers["X-Request-ID"] for answer in answers]
    assert len(set(ids)) == 3 and all(KNOWN.fullmatch(each) for each in ids)
    assert [answer.json()["id"] for answer in answers[:2]] == ids[:2]
    assert current.get() is None


def test_an_id_that_a_client_gives_is_taken_on(calls: Calls) -> None:
    answer = calls.post("/ocr", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == answer.json()["id"] == "mine-1"


@pytest.mark.parametrize("told", ["", "a b", "x" * 65, "<script>", 'a"b', "a,b=c"])
def test_an_id_that_is_not_fit_is_not_taken_on(calls: Calls, told: str) -> None:
    answer = calls.post("/ocr", headers={"X-Request-ID": told})
    assert answer.headers["X-Request-ID"] != told
    assert answer.headers["X-Request-ID"] == answer.json()["id"]


def test_a_runner_is_told_the_id_and_nothing_else_of_a_client() -> None:
    inner = Observer(Starlette(routes=ROUTES))

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        token = context.attach(baggage.set_baggage("theirs", "long"))  # as OpenTelemetry's does
        await inner(scope, receive, send)
        assert baggage.get_all() == {"theirs": "long"}
        context.detach(token)

    answer = Calls(outer).post("/ocr", headers={"X-Request-ID": "mine-1"})
    assert answer.json()["baggage"] == "ocr.request=mine-1"


def test_an_unexpected_error_is_an_answer_with_an_id(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    answer = calls.get("/capabilities")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
    assert KNOWN.fullmatch(answer.headers["X-Request-ID"])
    assert "not expected" in caplog.text


def test_each_request_is_one_line_of_the_log(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ocr.request")
    calls.get("/jobs/6f1b?secret=1")
    (line,) = caplog.records
    fields: dict[str, Any] = vars(line)
    assert (fields["method"], fields["route"], fields["status"]) == ("GET", "/jobs/{id}", 200)
    assert fields["bytes"] == 10 and 0 < fields["milliseconds"] < 5000
    assert line.getMessage().startswith("GET /jobs/{id} 200 in ")
    assert "6f1b" not in line.getMessage() and "secret" not in line.getMessage()


def test_probes_are_not_logged(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ocr.request")
    before = _count("/livez", 200)
    calls.get("/livez")
    assert not caplog.records
    assert _count("/livez", 200) == before + 1


def test_requests_are_counted_by_route_and_status(calls: Calls) -> None:
    before = {key: _count(*key) for key in (("/docs", 200), ("other", 404), ("/ocr", 405))}
    for path in ("/docs", "/one/thing", "/another", "/ocr"):
        calls.get(path)
    new = {key: _count(*key) - count for key, count in before.items()}
    assert new == {("/docs", 200): 1, ("other", 404): 2, ("/ocr", 405): 1}


def _call(app: ASGIApp, path: str) -> list[Message]:
    """Call an app without a client that waits for an answer."""
    sent: list[Message] = []
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b""}

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        await app(scope, receive, send)

    asyncio.run(call())
    return sent


def test_a_request_that_nobody_waits_for_is_counted_as_such() -> None:
    async def gives_up(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    before = _count("/ocr", GONE)
    assert _call(Observer(gives_up), "/ocr") == []
    assert _count("/ocr", GONE) == before + 1


def test_a_request_that_is_cancelled_is_counted_and_stays_cancelled() -> None:
    async def cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    before = _count("/ocr", GONE)
    with pytest.raises(asyncio.CancelledError):
        _call(Observer(cancelled), "/ocr")
    assert _count("/ocr", GONE) == before + 1


def test_the_span_around_has_the_routes_name_and_the_id() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    inner = Observer(Starlette(routes=ROUTES))

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        with provider.get_tracer("test").start_as_current_span("GET /jobs/17"):
            await inner(scope, receive, send)

    Calls(outer).get("/jobs/17", headers={"X-Request-ID": "mine-1"})
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /jobs/{id}"
    assert span.attributes is not None and span.attributes["ocr.request_id"] == "mine-1"
