"""The calls beside POST /ocr_system: documentation, capabilities, health."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ocr.errors import OcrError
from ocr.reader import Reader
from web.door import error_response
from web.openapi import complete

HERE = Path(__file__).parent
HEALTH_PICTURE = HERE / "health.png"
HEALTH_TEXT = "OCR 服务 2026"


class Served(Protocol):
    """What these calls ask of the service."""

    reader: Reader

    def capabilities(self) -> Awaitable[dict[str, Any]]: ...


def create_app(served: Callable[[], Served], spec: Callable[[], dict[str, Any]]) -> Starlette:
    """The app to mount; `served` gives this process's service, `spec` BentoML's description."""

    async def index(request: Request) -> Response:
        return RedirectResponse("docs")

    async def docs(request: Request) -> Response:
        return FileResponse(HERE / "docs.html")

    async def docs_json(request: Request) -> Response:
        return JSONResponse(complete(spec()))

    async def capabilities(request: Request) -> Response:
        return JSONResponse(await served().capabilities())

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def health_inference(request: Request) -> Response:
        start = time.perf_counter()
        try:
            document = await served().reader.read_bytes(HEALTH_PICTURE.read_bytes())
        except OcrError as error:
            return error_response(error)
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
            Route("/docs", docs),
            Route("/docs.json", docs_json),
            Route("/capabilities", capabilities),
            Route("/health", health),
            Route("/health/inference", health_inference),
        ]
    )
