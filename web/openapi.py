"""The description at /docs.json: BentoML's, with our errors and the calls that it does not know."""

from typing import Any

ERRORS = {
    "400": ("BAD_REQUEST", "The body is not what the call takes"),
    "413": ("TOO_MANY_IMAGES", "Too many images, or too long a body"),
    "422": (None, "No image could be read; `errors` says why, image by image"),
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
    spec["info"].pop("contact", None)
    for path in spec["paths"].values():
        if "post" in path:
            answers = path["post"]["responses"]
            body = answers.get(200, answers.get("200"))["content"]
            path["post"]["responses"] = {"200": {"description": "Read", "content": body}} | {
                status: _error(code, text, body) for status, (code, text) in ERRORS.items()
            }
    for route, text in GETS.items():
        spec["paths"][route] = {
            "get": {"tags": ["Infrastructure"], "responses": {"200": {"description": text}}}
        }
    return spec


def _error(code: str | None, text: str, body: dict[str, Any]) -> dict[str, Any]:
    if code is None:
        return {"description": text, "content": body}
    example = {"error": {"code": code, "message": "..."}}
    return {"description": text, "content": {"application/json": {"example": example}}}
