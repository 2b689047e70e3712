"""What /docs.json says of the calls that take files: /ocr and /jobs."""

from typing import Any

from ocr.formats.catalogue import FORMATS
from ocr.formats.json import Answer
from ocr.wanted import Wanted

REFERENCE = "#/components/schemas/{model}"
TAG = "Files"
STRING = {"type": "string"}
BINARY = {"type": "string", "format": "binary"}
FAILED = {
    "400": ("BAD_REQUEST", "An option is wrong or given twice, or there is no file"),
    "406": ("NOT_ACCEPTABLE", "None of the formats that Accept names can be given"),
    "413": ("IMAGE_TOO_LARGE", "Too many bytes, pixels, pages or files"),
    "415": ("NOT_AN_IMAGE", "Neither a form nor a file of a known kind"),
    "422": ("IMAGE_DAMAGED", "No file could be read; the code says why of the first"),
    "503": ("BUSY", "Too much is being worked on; Retry-After says when to come again"),
    "504": ("TIMEOUT", "It took too long: /jobs has no such limit"),
}
JOB = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["queued", "running", "done", "failed"]},
        "format": {"enum": list(FORMATS)},
        "pages_done": {"type": "integer"},
        "pages": {"type": ["integer", "null"], "description": "null until they are counted"},
        "created": {"type": "string", "format": "date-time"},
        "error": {"type": ["object", "null"], "description": "code and message"},
    },
}
UNKNOWN = {"404": ("JOB_UNKNOWN", "No job has this id, or it was deleted, or is too old")}


def add_files(spec: dict[str, Any]) -> None:
    """Add the calls and their schemas to a description."""
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    answer = Answer.model_json_schema(ref_template=REFERENCE)
    schemas.update(answer.pop("$defs", {}))
    schemas["Answer"] = answer
    schemas["Job"] = JOB
    spec["paths"]["/ocr"] = {
        "post": _post("Read files, and get the answer in any format", {"200": _file()})
    }
    spec["paths"]["/jobs"] = {
        "post": _post(
            "Have long files read; the answer is there later",
            {"202": _job("The job; Location is where to ask for it")},
        )
    }
    spec["paths"]["/jobs/{id}"] = {
        "get": _of_job("The state of a job, and how far it is", {"200": _job("What is known")}),
        "delete": _of_job("Forget a job, whatever its state", {"204": {"description": "Gone"}}),
    }
    spec["paths"]["/jobs/{id}/result"] = {
        "get": _of_job(
            "What a job has read, in the format that was asked for",
            {"200": _file()} | errors({"409": ("JOB_NOT_DONE", "It is not done yet")}),
        )
    }


def _post(summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "parameters": [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in Wanted.model_json_schema()["properties"].items()
        ],
        "requestBody": {"required": True, "content": _bodies()},
        "responses": answers | errors(FAILED),
    }


def _bodies() -> dict[str, Any]:
    """A form with files, which may carry the options too, or one file as it is."""
    options = Wanted.model_json_schema()["properties"]
    files = {"type": "array", "items": BINARY, "description": "one or many"}
    form = {"type": "object", "required": ["file"], "properties": {"file": files} | options}
    raw = ("application/pdf", "image/*", "application/octet-stream")
    return {"multipart/form-data": {"schema": form}} | {kind: {"schema": BINARY} for kind in raw}


def _file() -> dict[str, Any]:
    content: dict[str, Any] = {
        each.media_type.partition(";")[0]: {
            "schema": BINARY if each.pictures else {"type": "string"}
        }
        for each in FORMATS.values()
    }
    content["application/json"] = {"schema": {"$ref": REFERENCE.format(model="Answer")}}
    header = {
        "description": "files that failed, as a JSON list of file, source, code and message",
        "schema": {"type": "string"},
    }
    return {
        "description": "At least one file was read",
        "headers": {"X-OCR-Errors": header},
        "content": content,
    }


def _job(text: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="Job")}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _of_job(summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    place = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "tags": [TAG],
        "summary": summary,
        "parameters": [place],
        "responses": answers | errors(UNKNOWN),
    }


def errors(told: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The answers of these statuses, each with a code and what it means."""
    return {
        status: {
            "description": text,
            "content": {
                "application/json": {"example": {"error": {"code": code, "message": "..."}}}
            },
        }
        for status, (code, text) in told.items()
    }
