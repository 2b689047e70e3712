"""A host on loopback that serves pictures well and badly, for what fetches URLs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Paths: /picture, /missing, /to/URL, /loop, /huge, /liar, /stall, /drip."""

    picture: bytes

    def do_GET(self) -> None:
        name, _, rest = self.path[1:].partition("/")
        getattr(self, f"_{name}")(rest)

    def _picture(self, rest: str) -> None:
        self._send(200, self.picture)

    def _missing(self, rest: str) -> None:
        self._send(404, b"no such picture")

    def _to(self, rest: str) -> None:
        self._send(302, b"", ("Location", rest))

    def _loop(self, rest: str) -> None:
        self._send(302, b"", ("Location", "/loop"))

    def _huge(self, rest: str) -> None:
        self._send(200, b"", ("Content-Length", str(10**12)))

    def _liar(self, rest: str) -> None:
        """More bytes than any limit of the tests, without saying how many."""
        self.send_response(200)
        self.end_headers()
        for _ in range(64):
            self.wfile.write(b"x" * 65536)

    def _stall(self, rest: str) -> None:
        time.sleep(5)

    def _drip(self, rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(50):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def _send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers or [("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what these tests are about."""


@contextmanager
def host(picture: bytes, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve on a free port; gives the host's URL without a slash at its end."""
    handler = type("Pictures", (Handler,), {"picture": picture})
    with _Server((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}"
        server.shutdown()
