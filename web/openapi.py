"""The description at /docs.json: BentoML's, with our errors, examples and the calls beside it."""

import base64
import json
from pathlib import Path
from typing import Any

from ocr import __version__
from web.openapi_answers import JSON, add_what_all_have, errors
from web.openapi_files import add_files

VERSION = "3.1.0"  # of OpenAPI: BentoML says 3.0, but null is no type there

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
    "408": ("UPLOAD_TIMEOUT", "The request did not arrive in time"),
    "413": ("TOO_MANY_IMAGES", "Too many images, or too long a body"),
    "500": ("INTERNAL_ERROR", "The server failed"),
    "503": ("BUSY", "Too much is being worked on"),
    "504": ("TIMEOUT", "The request took too long"),
}
TEXT, HTML = "text/plain", "text/html"
GETS = {
    "/": (HTML, "The page"),
    "/docs": (HTML, "This documentation as a page"),
    "/docs.json": (JSON, "This documentation"),
    "/capabilities": (JSON, "Models, device, provider, formats and limits"),
    "/health": (JSON, "Whether the service is alive"),
    "/health/inference": (JSON, "Reads a bundled picture through the runners"),
    "/healthz": (TEXT, "Whether the service is alive"),
    "/livez": (TEXT, "Whether the service is alive"),
    "/readyz": (TEXT, "Whether the service and its runners can read"),
    "/metrics": (TEXT, "Metrics, as Prometheus has them"),
}
NOT_READY = {"503": ("NOT_READY", "Not yet, or not at the moment")}
FAULTS = {
    "/health/inference": {"500": ("INFERENCE_FAILED", "It cannot be read")} | NOT_READY,
    "/capabilities": {"500": ("INTERNAL_ERROR", "A runner does not answer")},
    "/readyz": NOT_READY,
}


def complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Add what BentoML leaves out to its description of the service, and give it back."""
    spec["openapi"] = VERSION
    spec["info"] = INFO
    spec["paths"] = {path: calls for path, calls in spec["paths"].items() if path not in GETS}
    for path in spec["paths"].values():
        _complete_post(path["post"])
    spec["components"]["schemas"] = _used(spec)
    add_files(spec)
    for route, (kind, text) in GETS.items():
        spec["paths"][route] = {"get": _get(route, kind, text)}
    add_what_all_have(spec)
    return spec


def _get(route: str, kind: str, text: str) -> dict[str, Any]:
    schema = {"type": "object" if kind == JSON else "string"}
    answer = {"description": text, "content": {kind: {"schema": schema}}}
    return {
        "operationId": "get_" + (route.strip("/").translate(str.maketrans("/.", "__")) or "page"),
        "tags": ["Infrastructure"],
        "summary": text,
        "responses": {"200": answer} | errors(FAULTS.get(route, {})),
    }


def _used(spec: dict[str, Any]) -> dict[str, Any]:
    """BentoML's schemas, but for those that no call of ours has."""
    told = json.dumps(spec["paths"])
    schemas: dict[str, Any] = spec["components"]["schemas"]
    return {name: schema for name, schema in schemas.items() if f'/{name}"' in told}


def _complete_post(post: dict[str, Any]) -> None:
    body = post["requestBody"]
    body["required"] = True
    body["content"][JSON]["example"] = {"images": [sample()]}
    body["content"][JSON]["schema"]["properties"]["images"]["minItems"] = 1
    answers = post["responses"]
    schema = answers.get(200, answers.get("200"))["content"][JSON]["schema"]
    post["responses"] = {
        "200": _answer("At least one image was read", READ, schema),
        "422": _answer("No image could be read; `errors` says why", NOT_READ, schema),
    } | errors(ERRORS)
    failed = post["responses"]["500"]["content"][JSON]
    failed["schema"] = {"anyOf": [schema, failed["schema"]]}  # for each image, or for all


def _answer(text: str, example: Any, schema: Any) -> dict[str, Any]:
    content = {"example": example, "schema": schema}
    return {"description": text, "content": {JSON: content}}


def sample() -> str:
    """A small picture with text as a data URI: the example that the documentation sends."""
    picture = (Path(__file__).parent / "sample.png").read_bytes()
    return "data:image/png;base64," + base64.b64encode(picture).decode()
