"""Hosts on loopback that serve pictures well and badly, for what fetches URLs."""

import gzip
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENDLESS = 60.0  # seconds for which a host goes on that never ends


class Handler(BaseHTTPRequestHandler):
    """Paths: /picture, /missing, /to/URL, /nowhere, /loop, /huge, /liar, /stall, /drip, /gzip."""

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

    def _nowhere(self, rest: str) -> None:
        self._send(302, b"")

    def _gzip(self, rest: str) -> None:
        """A bomb for who unpacks it: a thousand bytes become a million."""
        assert self.headers["Accept-Encoding"] == "identity"
        body = gzip.compress(bytes(1_000_000))
        length = ("Content-Length", str(len(body)))
        self._send(200, body, ("Content-Encoding", "gzip"), length)

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

    def __init__(self, bound: socket.socket, handler: type[Handler]) -> None:
        super().__init__(bound.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what these tests are about."""


@contextmanager
def host(picture: bytes, *addresses: str) -> Iterator[str]:
    """Serve on the same free port of these addresses; gives the first one's URL without a slash.

    The address is 127.0.0.1 if there are none.
    """
    addresses = addresses or ("127.0.0.1",)
    handler = type("Pictures", (Handler,), {"picture": picture})
    with ExitStack() as opened:
        for each in _on_one_port(addresses):
            server = opened.enter_context(_Server(each, handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            opened.callback(server.shutdown)
            port = each.getsockname()[1]
        yield f"http://{addresses[0]}:{port}"


def _on_one_port(addresses: Sequence[str]) -> list[socket.socket]:
    """Listening sockets on one port that is free at all of these addresses.

    Raises OSError if ten ports that are free at the first one are all taken at another.
    """
    for _ in range(9):
        with suppress(OSError):
            return _listening_sockets(addresses)
    return _listening_sockets(addresses)


def _listening_sockets(addresses: Sequence[str]) -> list[socket.socket]:
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            port = sockets[0].getsockname()[1] if sockets else 0
            sockets.append(socket.create_server((address, port), family=family))
            opened.enter_context(sockets[-1])
        opened.pop_all()
        return sockets


def loopbacks() -> list[str]:
    """The addresses of this machine's own, of IPv6 too where it has one."""
    addresses = ["127.0.0.1"]
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        addresses.append("::1")
    return addresses


@dataclass
class Listener:
    """A port of loopback that says the same to everybody, and how many came."""

    port: int = 0
    accepted: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def listening(first: bytes = b"", then: bytes = b"", *addresses: str) -> Iterator[Listener]:
    """Say `first`, then `then` again and again, on the same free port of these addresses.

    Without anything to say it hangs up; the addresses are 127.0.0.1 if there are none.
    """
    listener = Listener()
    over = threading.Event()
    sockets = _on_one_port(addresses or ("127.0.0.1",))
    listener.port = sockets[0].getsockname()[1]
    for each in sockets:
        work = (each, listener, first, then, over)
        threading.Thread(target=_accept, args=work, daemon=True).start()
    try:
        yield listener
    finally:
        over.set()
        for each in sockets:
            each.shutdown(socket.SHUT_RDWR)  # close() alone leaves the port to a waiting accept()
            each.close()


def _accept(
    server: socket.socket, listener: Listener, first: bytes, then: bytes, over: threading.Event
) -> None:
    with suppress(OSError):  # the server is closed, or the client has gone
        while True:
            connection, _ = server.accept()
            listener.accepted += 1
            with suppress(OSError), connection:
                _say(connection, first, then, over)


def _say(connection: socket.socket, first: bytes, then: bytes, over: threading.Event) -> None:
    if not first:
        return
    connection.recv(65536)
    connection.sendall(first)
    end = time.monotonic() + ENDLESS
    while then and not over.is_set() and time.monotonic() < end:
        connection.sendall(then)


@dataclass
class Names:
    """A name server in place of the system's: each question takes a name's next answer.

    The last answer stays. `asked` counts the questions.
    """

    answers: dict[str, list[list[str]]]
    asked: Counter[str] = field(default_factory=Counter)

    def getaddrinfo(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        """As socket.getaddrinfo; raises socket.gaierror for a name that it does not know."""
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        found = answers[min(self.asked[host], len(answers) - 1)]
        self.asked[host] += 1
        return [_info(address, port) for address in found]


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)
