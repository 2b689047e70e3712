"""The page and the calls beside POST /ocr_system: files, documentation, capabilities, health."""

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ocr.document import Document
from ocr.errors import OcrError
from ocr.reader import Reader
from ocr.wanted import Wanted
from web import jobs
from web.answers import file_response
from web.door import error_response
from web.headers import PAGE_POLICY
from web.openapi import complete
from web.uploads import Upload, receive

if TYPE_CHECKING:
    from ocr.jobs.work import Jobs

HERE = Path(__file__).parent
HEALTH_PICTURE = HERE / "health.png"
HEALTH_TEXT = "OCR 服务 2026"
PAGE = HERE / "page"
PAGE_HEADERS = {"Content-Security-Policy": PAGE_POLICY}


class Served(Protocol):
    """What these calls ask of the service."""

    reader: Reader
    jobs: "Jobs | None"

    def read_files(
        self, uploads: Sequence[Upload], wanted: Wanted
    ) -> Awaitable[list[Document]]: ...

    def render(self, documents: Sequence[Document], wanted: Wanted) -> Awaitable[bytes]: ...

    def capabilities(self) -> Awaitable[dict[str, Any]]: ...


class _PageFiles(StaticFiles):
    """The page's files, with its policy."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(PAGE_HEADERS)
        return response


def create_app(
    served: Callable[[], Served],
    spec: Callable[[], dict[str, Any]],
    most_files: int,
    keeps_jobs: bool,
) -> Starlette:
    """The app to mount; `served` gives this process's service, `spec` BentoML's description.

    A request may bring `most_files`. Jobs are taken if it `keeps_jobs`.
    """

    async def index(request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)

    async def ocr(request: Request) -> Response:
        uploads, wanted = await receive(request, most_files)
        documents = await served().read_files(uploads, wanted)
        return await file_response(documents, wanted, served().render)

    async def docs(request: Request) -> Response:
        return FileResponse(HERE / "docs.html", headers=PAGE_HEADERS)

    async def docs_json(request: Request) -> Response:
        return JSONResponse(complete(spec()))

    async def capabilities(request: Request) -> Response:
        return JSONResponse(await served().capabilities())

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def health_inference(request: Request) -> Response:
        start = time.perf_counter()
        document = await served().reader.read_bytes(HEALTH_PICTURE.read_bytes())
        text = document.pages[0].text
        seconds = round(time.perf_counter() - start, 3)
        status = "ok" if text == HEALTH_TEXT else "wrong"
        return JSONResponse(
            {"status": status, "text": text, "seconds": seconds},
            status_code=200 if status == "ok" else 500,
        )

    return Starlette(
        routes=[
            Route("/", index),
            Mount("/page", _PageFiles(directory=PAGE)),
            Route("/ocr", ocr, methods=["POST"]),
            Route("/docs", docs),
            Route("/docs.json", docs_json),
            Route("/capabilities", capabilities),
            Route("/health", health),
            Route("/health/inference", health_inference),
            *jobs.routes(lambda: served().jobs, most_files, keeps_jobs),
        ],
        exception_handlers={OcrError: _error},
    )


async def _error(request: Request, error: Exception) -> Response:
    return error_response(error if isinstance(error, OcrError) else OcrError(str(error)))
