"""A collector of OpenTelemetry spans, OTLP over HTTP, on a port of this machine."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """One span as it was sent; ids are hexadecimal, and `parent` of a first one is empty."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class Collector:
    """What came in so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []

    def trace_of(
        self, key: str, value: str, expected: set[str], patience_s: float = 20.0
    ) -> list[Span]:
        """All spans of the trace in which one has this attribute, once these names have come."""
        end = time.monotonic() + patience_s
        while True:
            named = {span.trace for span in self.spans if span.attributes.get(key) == value}
            found = [span for span in self.spans if span.trace in named]
            if {span.name for span in found} >= expected or time.monotonic() > end:
                return found
            time.sleep(0.05)


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                running.spans += _spans(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> Iterator[Span]:
    for process in ExportTraceServiceRequest.FromString(body).resource_spans:
        known = {each.key: each.value.string_value for each in process.resource.attributes}
        for scope in process.scope_spans:
            for span in scope.spans:
                yield Span(
                    known["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    {each.key: each.value.string_value for each in span.attributes},
                )
