"""The description at /docs.json: BentoML's, with our errors, examples and the calls beside it."""

import base64
from pathlib import Path
from typing import Any

from ocr import __version__
from web.openapi_files import add_files, errors

INFO = {
    "title": "OCR service",
    "version": __version__,
    "description": "Chinese and English text out of pictures, scans and PDFs. Files go to /ocr, "
    "URLs and base64 to /ocr_system, long documents to /jobs.",
}
READ = {
    "msg": "",
    "results": [
        [
            {
                "confidence": 0.9907,
                "text": "OCR 2026",
                "text_region": [[8, 11], [128, 12], [128, 37], [8, 36]],
            }
        ]
    ],
    "status": "000",
    "errors": [None],
}
NOT_READ = {
    "msg": "1 of 1 images could not be read",
    "results": [[]],
    "status": "101",
    "errors": [{"code": "NOT_AN_IMAGE", "message": "not a picture that is read here"}],
}
ERRORS = {
    "400": ("BAD_REQUEST", "The body is not what the call takes"),
    "413": ("TOO_MANY_IMAGES", "Too many images, or too long a body"),
    "503": ("BUSY", "Too many requests in work; Retry-After says when to come again"),
    "504": ("TIMEOUT", "The request took too long"),
}
GETS = {
    "/capabilities": "Models, device, provider, formats and limits",
    "/health": "Whether the service is alive",
    "/health/inference": "Reads a bundled picture through the runners",
    "/docs": "This documentation as a page",
}


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Add what BentoML leaves out to its description of the service, and give it back."""
    spec["info"] = INFO
    for path in spec["paths"].values():
        if "post" in path:
            _complete_post(path["post"])
    add_files(spec)
    for route, text in GETS.items():
        answers = {"200": {"description": text}}
        spec["paths"][route] = {
            "get": {"tags": ["Infrastructure"], "summary": text, "responses": answers}
        }
    return spec


def _complete_post(post: dict[str, Any]) -> None:
    post["requestBody"]["content"]["application/json"]["example"] = {"images": [sample()]}
    answers = post["responses"]
    schema = answers.get(200, answers.get("200"))["content"]["application/json"]["schema"]
    post["responses"] = {
        "200": _answer("At least one image was read", READ, schema),
        "422": _answer("No image could be read; `errors` says why", NOT_READ, schema),
    } | errors(ERRORS)


def _answer(text: str, example: Any, schema: Any) -> dict[str, Any]:
    content = {"example": example, "schema": schema}
    return {"description": text, "content": {"application/json": content}}


def sample() -> str:
    """A small picture with text as a data URI: the example that the documentation sends."""
    picture = (Path(__file__).parent / "sample.png").read_bytes()
    return "data:image/png;base64," + base64.b64encode(picture).decode()
