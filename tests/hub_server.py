"""A ModelScope hub on loopback, for what fetches models: its protocol, served well and badly.

As the real one it lists every file of a model with size, SHA-256 and last commit, sends a small
file itself and whole, and redirects for a large one to where ranges are honoured.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

LARGE = 64 * 1024  # files from here on are kept where ranges are honoured
PIECE = 16 * 1024
NO_MODEL, NO_REVISION = 10010205001, 10990101004


@dataclass(frozen=True)
class Request:
    """What was asked for; `file` is the file whose bytes this asks the hub itself for, if any."""

    path: str
    file: str | None
    range: str | None


@dataclass
class Hub:
    """A hub's models, its faults, and what it was asked."""

    models: dict[str, Path]
    revisions: set[str] = field(default_factory=lambda: {"master"})
    commit: str = "5" * 40
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    # Faults; those with files' names as keys are of these files only.
    status: int | None = None  # of every answer
    body: bytes | None = None  # of every answer
    silence_s: float = 0.0  # before every answer
    pause_s: float = 0.0  # after every piece of a file
    quiet_about_revisions: bool = False  # answers with no files where a revision is unknown
    listed: dict[str, dict[str, object]] = field(default_factory=dict)  # instead of the truth
    sent: dict[str, bytes] = field(default_factory=dict)  # instead of the truth
    lost: set[str] = field(default_factory=set)  # listed, but not there
    cut_after: dict[str, int] = field(default_factory=dict)  # bytes of one answer
    cuts: int | None = None  # so many times, None for always

    def asked_for(self, file: str) -> list[str | None]:
        """The ranges in which a file's bytes were asked for, in order, None for all of it."""
        return [request.range for request in self.requests if request.file == file]

    def files_asked_for(self) -> set[str]:
        return {request.file for request in self.requests if request.file is not None}

    def listing(self, model: str) -> list[dict[str, object]]:
        """The entries of a model, folders among them."""
        folder = self.models[model]
        return [self._entry(folder, path) for path in sorted(folder.rglob("*"))]

    def _entry(self, folder: Path, path: Path) -> dict[str, object]:
        name = path.relative_to(folder).as_posix()
        entry: dict[str, object] = {"Path": name, "Name": path.name, "Revision": self.commit}
        if path.is_dir():
            return {**entry, "Type": "tree", "Size": 0, "Sha256": ""}
        data = path.read_bytes()
        entry |= {"Type": "blob", "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest()}
        return {**entry, "IsLFS": len(data) >= LARGE, **self.listed.get(name, {})}

    def content(self, model: str, file: str) -> bytes | None:
        path = self.models[model] / file
        if file in self.lost or not path.is_file():
            return None
        return self.sent.get(file, path.read_bytes())

    def cut(self, file: str) -> int | None:
        """After how many bytes this answer ends, if it does."""
        if file not in self.cut_after or self.cuts == 0:
            return None
        if self.cuts is not None:
            self.cuts -= 1
        return self.cut_after[file]


class _Handler(BaseHTTPRequestHandler):
    """`/api/v1/models/OWNER/NAME/repo/files`, `.../repo`, and `/large/OWNER/NAME`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer takes 40 ms
    hub: Hub

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        file = query.get("FilePath") if split.path.endswith("/repo") else None
        self.hub.requests.append(Request(split.path, file, self.headers.get("Range")))
        time.sleep(self.hub.silence_s)
        if self.hub.status is not None or self.hub.body is not None:
            self._send(self.hub.status or 200, self.hub.body or b"out of order")
        elif split.path.startswith("/large/"):
            self._large(split.path.removeprefix("/large/"), query["FilePath"])
        elif split.path.startswith("/api/v1/models/"):
            self._model(split.path.removeprefix("/api/v1/models/"), query)
        else:
            self._refuse(NO_MODEL, "no such call")

    def _model(self, path: str, query: Mapping[str, str]) -> None:
        owner, name, call = path.split("/", 2)
        model, revision = f"{owner}/{name}", query.get("Revision", "master")
        known = revision in self.hub.revisions
        if model not in self.hub.models:
            self._refuse(NO_MODEL, "获取模型目录树失败，信息：record not found")
        elif not known and not self.hub.quiet_about_revisions:
            self._refuse(NO_REVISION, "获取模型目录树失败")
        elif call == "repo/files":
            files = self.hub.listing(model) if known else None
            self._answer(200, {"Code": 200, "Data": {"Files": files}, "Success": True})
        elif call == "repo":
            self._file(model, query["FilePath"])

    def _file(self, model: str, file: str) -> None:
        content = self.hub.content(model, file)
        if content is None:
            self._refuse(NO_MODEL, "record not found")
        elif len(content) >= LARGE:
            address = f"{self.hub.url}/large/{model}?FilePath={quote(file)}"
            self._send(302, b"", {"Location": address})
        else:
            self._stream(200, content, self.hub.cut(file), {})

    def _large(self, model: str, file: str) -> None:
        content = self.hub.content(model, file) or b""
        wanted = self.headers.get("Range")
        if wanted is None:
            self._stream(200, content, self.hub.cut(file), {})
            return
        start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start >= len(content):
            self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        which = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._stream(206, content[start:], self.hub.cut(file), {"Content-Range": which})

    def _stream(
        self, status: int, content: bytes, end: int | None, headers: Mapping[str, str]
    ) -> None:
        self._head(status, len(content), headers)
        sent = content[:end]
        for start in range(0, len(sent), PIECE):
            self.wfile.write(sent[start : start + PIECE])
            time.sleep(self.hub.pause_s)
        self.close_connection = len(sent) < len(content)

    def _refuse(self, code: int, message: str) -> None:
        self._answer(404, {"Code": code, "Message": message, "Success": False})

    def _answer(self, status: int, content: Mapping[str, object]) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what these tests are about."""


@contextmanager
def hub(models: Mapping[str, Path]) -> Iterator[Hub]:
    """Serve these folders, each as the model whose id it stands under, on a free port."""
    served = Hub(dict(models))
    handler = type("Models", (_Handler,), {"hub": served})
    with _Server(("127.0.0.1", 0), handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()
