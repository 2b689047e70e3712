"""A server on loopback that answers as a test tells it to, and remembers what it was asked."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Asked:
    """One request as it arrived, with its files' names and bytes."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    files: list[tuple[str | None, bytes]]
    at: float


@dataclass
class Server:
    """Gives its answers one after the other, the last one again and again."""

    url: str = ""
    answers: list[Response] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    pause_s: float = 0.0

    async def answer(self, request: Request) -> Response:
        files: list[tuple[str | None, bytes]] = []
        if request.method == "POST":
            async with request.form() as form:
                uploads = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
                files = [(each.filename, await each.read()) for each in uploads]
        self.asked.append(
            Asked(
                request.method,
                request.url.path,
                dict(request.query_params),
                dict(request.headers),
                files,
                time.monotonic(),
            )
        )
        await asyncio.sleep(self.pause_s)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def waits(self) -> list[float]:
        """Seconds between one request and the next."""
        times = [each.at for each in self.asked]
        return [after - before for before, after in pairwise(times)]

    def forget(self) -> None:
        self.answers.clear()
        self.asked.clear()
        self.pause_s = 0.0


@contextmanager
def answering() -> Iterator[Server]:
    """Run a server, in a thread of its own, until the context ends."""
    server = Server()
    methods = ["GET", "POST", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", server.answer, methods=methods)])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}/behind/"
        served = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=served.run, args=[[listening]], daemon=True)
        thread.start()
        yield server
        served.should_exit = True
        thread.join(10)


def failure(status: int, code: str, **headers: str) -> Response:
    """An error in the API's shape."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse({"error": {"code": code, "message": "no luck"}}, status, told)
