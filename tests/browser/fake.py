"""A service that answers as the API's contract says, without models: by the names of files.

Every name has a story: `notice.png` is read, `scan.pdf` has three pages, `broken.jpg` is damaged,
`busy.png` finds the server full once, `often.png` comes once too often, `slow.png` waits until it
is told to go on, `long.pdf` has twelve pages, which are read as one says. The answers of the
others are those of `notice.png`. Documents may be sent as jobs, which fail where the call would.
The page itself is served as the service does it, and with a content security policy as strict as
an operator may set one.
"""

import asyncio
import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests import pictures
from tests.pictures import Drawn

PAGE = Path(__file__).parents[2] / "web" / "page"
CALLS = ("ocr", "jobs", "capabilities")
POLICY = b"default-src 'self'; img-src 'self' data: blob:; style-src 'self'"
SUFFIXES = {
    "json": ".json",
    "text": ".txt",
    "markdown": ".md",
    "hocr": ".hocr",
    "alto": ".xml",
    "pdf": ".pdf",
    "png": ".png",
}


@dataclass
class Fake:
    """The running server, what it was asked, and a gate for what is slow.

    It asks for the `key` if there is one. `jobs` is whether it says that it keeps jobs,
    `job_store` whether it does, `calls` are those of jobs, and of a long one `pages_read` pages
    are read until the gate is open.
    """

    url: str = ""
    key: str | None = None
    jobs: bool = True
    job_store: bool = True
    pages_read: int | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    kept: dict[str, tuple[str, Response]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        self.key = None
        self.jobs = self.job_store = True
        self.pages_read = None
        self.asked.clear()
        self.calls.clear()
        self.kept.clear()
        self.seen.clear()
        self.gate.clear()

    async def ocr(self, request: Request) -> Response:
        return (await self._answer(request))[1]

    async def add_job(self, request: Request) -> Response:
        self.calls.append("POST")
        if not self.job_store:
            return _error(503, "JOBS_UNAVAILABLE", "its database does not answer")
        name, answer = await self._answer(request)
        if answer.status_code == 503:
            return answer
        job = f"job-{len(self.calls)}"
        self.kept[job] = name, answer
        return JSONResponse({"id": job} | self._state(name, answer), 202)

    async def job(self, request: Request) -> Response:
        job = request.path_params["id"]
        self.calls.append(f"{request.method} {job}")
        if job not in self.kept:
            return _error(404, "JOB_UNKNOWN", job)
        if request.method == "DELETE":
            del self.kept[job]
            return Response(status_code=204)
        return JSONResponse({"id": job} | self._state(*self.kept[job]))

    async def job_result(self, request: Request) -> Response:
        job = request.path_params["id"]
        self.calls.append(f"GET {job}/result")
        return self.kept[job][1]

    async def capabilities(self, request: Request) -> Response:
        formats = {"input": ["JPEG", "PNG", "TIFF", "PDF"], "output": list(SUFFIXES)}
        limits = {"max_image_bytes": 50_000_000}
        return JSONResponse({"formats": formats, "jobs": self.jobs, "limits": limits})

    def _state(self, name: str, answer: Response) -> dict[str, Any]:
        """What is told of a job whose result is this."""
        pages = len(drawings(name))
        known = {"state": "done", "pages_done": pages, "pages": pages, "error": None}
        if answer.status_code != 200:
            error = json.loads(bytes(answer.body))["error"]
            return known | {"state": "failed", "pages_done": 0, "error": error}
        if not name.startswith("long") or self.gate.is_set():
            return known
        if self.pages_read is None:
            return known | {"state": "queued", "pages_done": 0, "pages": None}
        return known | {"state": "running", "pages_done": self.pages_read}

    async def _answer(self, request: Request) -> tuple[str, Response]:
        """The name of the file of a request, and what is answered."""
        form = await request.form()
        name = next(str(value.filename) for value in form.values() if not isinstance(value, str))
        query = dict(request.query_params)
        self.asked.append({"name": name, **query})
        self.seen[name] += 1
        if name.startswith("slow"):
            await asyncio.to_thread(self.gate.wait, 60)
        return name, self._file(name, query)

    def _file(self, name: str, query: dict[str, str]) -> Response:
        if name.startswith("busy") and self.seen[name] == 1:
            return _error(503, "BUSY", "64 requests are in work", {"Retry-After": "1"})
        if name.startswith("often") and self.seen[name] == 1:
            return _error(429, "RATE_LIMITED", "more than 9 a minute", {"Retry-After": "1"})
        if name.startswith("broken"):
            return _error(422, "IMAGE_DAMAGED", "the JPEG ends after 1234 bytes")
        if name.startswith("proxy"):
            return Response("<html>Bad gateway</html>", 502, media_type="text/html")
        if name.startswith("once") and self.seen[name] == 1:
            return _error(500, "INFERENCE_FAILED", "the network failed at page 1")
        if name.startswith("undone") and query["format"] != "json":
            return _error(504, "TIMEOUT", "no answer within 120 s")
        if query["format"] == "json" and query.get("pictures") == "true":
            return JSONResponse({"documents": [_document(name)]})
        suffix = SUFFIXES[query["format"]]
        told = quote(Path(name).stem + suffix, safe="")
        head = {"Content-Disposition": f"inline; filename*=UTF-8''{told}"}
        return Response(f"{query['format']} of {name}".encode(), headers=head)


def _error(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


NOTICE = pictures.page(
    [
        "欢迎使用文字识别服务",
        "Please read all of the text",
        "订单号20240518",
        "开放时间上午九点到下午六点",
        "Trains leave at the main station",
        "合计128.50元",
    ]
)


def drawings(name: str) -> list[Drawn]:
    """The pages of the file of this name."""
    if name.startswith("scan"):
        return [
            pictures.page([f"第{number}页", *texts], size=30)
            for number, texts in enumerate(
                (pictures.ENGLISH * 3, pictures.CHINESE, pictures.MIXED), start=1
            )
        ]
    if name.startswith("long"):
        return [NOTICE] * 12
    if name.startswith("empty"):
        return [pictures.empty()]
    return [NOTICE]


@cache
def _document(name: str) -> dict[str, Any]:
    drawn = drawings(name)
    pages = [_page(page, number) for number, page in enumerate(drawn, start=1)]
    return {"source": name, "error": None, "pages": pages}


def _page(drawn: Drawn, number: int) -> dict[str, Any]:
    height, width = drawn.image.shape[:2]
    picture = base64.b64encode(pictures.to_png(drawn.image)).decode()
    lines = [_line(text, quad.tolist(), place) for place, (text, quad) in enumerate(drawn.lines)]
    return {
        "number": number,
        "width": width,
        "height": height,
        "dpi": None,
        "rotation": 0,
        "text_layer": False,
        "text": "\n".join(drawn.texts),
        "picture": f"data:image/png;base64,{picture}",
        "lines": lines,
    }


def _line(text: str, quad: list[list[float]], place: int) -> dict[str, Any]:
    """The third line of a page is worth a look, the sixth is doubtful."""
    sure = {2: 0.9123, 5: 0.7012}.get(place, 0.9876)
    runs = text.split()
    words = [{"text": run, "confidence": sure, "quad": quad} for run in runs]
    return {"text": text, "confidence": sure, "quad": quad, "turns": 0, "words": words}


async def _index(request: Request) -> Response:
    return FileResponse(PAGE / "index.html")


async def _docs(request: Request) -> Response:
    return Response("docs")


class _Strict:
    """ASGI middleware: the content security policy with every answer, and the key for calls."""

    def __init__(self, app: ASGIApp, fake: Fake) -> None:
        self.app = app
        self.fake = fake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(b"content-security-policy", POLICY)]
            await send(message)

        known = Headers(scope=scope).get("authorization") == f"Bearer {self.fake.key}"
        if self.fake.key is None or known or not scope["path"].strip("/").startswith(CALLS):
            await self.app(scope, receive, strict)
        else:
            await _error(401, "UNAUTHORIZED", "a key is needed")(scope, receive, strict)


def _routes(fake: Fake) -> list[Route | Mount]:
    return [
        Route("/", _index),
        Route("/ocr", fake.ocr, methods=["POST"]),
        Route("/jobs", fake.add_job, methods=["POST"]),
        Route("/jobs/{id}", fake.job, methods=["GET", "DELETE"]),
        Route("/jobs/{id}/result", fake.job_result),
        Route("/capabilities", fake.capabilities),
        Route("/docs", _docs),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]


@contextmanager
def faked() -> Iterator[Fake]:
    """Run it on a free port, at / and, as behind a proxy, at /below/."""
    fake = Fake()
    app = Starlette(routes=[Mount("/below", routes=_routes(fake)), *_routes(fake)])
    config = uvicorn.Config(_Strict(app, fake), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the fake service did not start")
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        fake.url = f"http://127.0.0.1:{port}/"
        yield fake
    finally:
        fake.gate.set()
        server.should_exit = True
        thread.join(10)
