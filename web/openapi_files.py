"""What /docs.json says of the calls that take files: /ocr and /jobs."""

from typing import Any

from ocr.formats.catalogue import FORMATS
from ocr.formats.json import Answer
from ocr.wanted import Wanted
from web.openapi_answers import JSON, errors

REFERENCE = "#/components/schemas/{model}"
TAG = "Files"
STRING = {"type": "string"}
BINARY = {"type": "string", "format": "binary"}
FAILED = {
    "400": ("BAD_REQUEST", "An option is wrong or given twice, or there is no file"),
    "406": ("NOT_ACCEPTABLE", "None of the formats that Accept names can be given"),
    "408": ("UPLOAD_TIMEOUT", "The request did not arrive in time"),
    "413": ("IMAGE_TOO_LARGE", "Too many bytes, pixels, pages or files"),
    "415": ("NOT_AN_IMAGE", "Neither a form nor a file of a known kind"),
    "422": ("IMAGE_DAMAGED", "No file could be read; the code says why of the first"),
    "500": ("INFERENCE_FAILED", "The server failed at the file"),
    "503": ("BUSY", "Too much is being worked on"),
    "504": ("TIMEOUT", "It took too long: /jobs has no such limit"),
}
DISK_FULL = {"507": ("DISK_FULL", "There is no room for the files")}
JOB = {
    "type": "object",
    "required": ["id", "state", "format", "pages_done", "pages", "created", "error"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["queued", "running", "done", "failed"]},
        "format": {"enum": list(FORMATS)},
        "pages_done": {"type": "integer"},
        "pages": {"type": ["integer", "null"], "description": "null until they are counted"},
        "created": {"type": "string", "format": "date-time"},
        "error": {
            "type": ["object", "null"],
            "description": "why it failed",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
    },
}
OF_JOBS = {
    "404": ("JOB_UNKNOWN", "No job has this id, or it was deleted, or is too old"),
    "503": ("JOBS_UNAVAILABLE", "This server keeps no jobs, or cannot at the moment"),
}
# What a job failed with, its result is refused with.
FAILED_JOB = {
    "409": ("JOB_NOT_DONE", "It is not done yet"),
    "413": FAILED["413"],
    "415": ("NOT_AN_IMAGE", "The file is of no kind that is read here"),
    "422": FAILED["422"],
    "500": FAILED["500"],
    "507": ("DISK_FULL", "There was no room for what was read"),
}
LOCATION = {"description": "where to ask for it", "schema": {"type": "string"}}
DISPOSITION = {
    "description": "the name to save it under, that of the first file",
    "schema": {"type": "string"},
}


def add_files(spec: dict[str, Any]) -> None:
    """Add the calls and their schemas to a description."""
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    answer = Answer.model_json_schema(ref_template=REFERENCE)
    schemas.update(answer.pop("$defs", {}))
    schemas["Answer"] = answer
    schemas["Job"] = JOB
    spec["paths"]["/ocr"] = {
        "post": _post("read_files", "Read files, and get the answer in any format")
        | {"responses": {"200": _file()} | errors(FAILED)}
    }
    spec["paths"]["/jobs"] = {
        "post": _post("add_job", "Have long files read; the answer is there later")
        | {
            "responses": {"202": _job("The job") | {"headers": {"Location": LOCATION}}}
            | errors(FAILED | DISK_FULL)
        }
    }
    spec["paths"]["/jobs/{id}"] = {
        "get": _of_job("get_job", "The state of a job, and how far it is")
        | {"responses": {"200": _job("What is known")} | errors(OF_JOBS)},
        "delete": _of_job("delete_job", "Forget a job, whatever its state")
        | {"responses": {"204": {"description": "Gone"}} | errors(OF_JOBS)},
    }
    spec["paths"]["/jobs/{id}/result"] = {
        "get": _of_job("get_job_result", "What a job has read, in the format that was asked for")
        | {"responses": {"200": _file()} | errors(OF_JOBS | FAILED_JOB)}
    }


def _post(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": [TAG],
        "summary": summary,
        "parameters": [
            {"name": option, "in": "query", "schema": schema}
            for option, schema in Wanted.model_json_schema()["properties"].items()
        ],
        "requestBody": {"required": True, "content": _bodies()},
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
    content[JSON] = {"schema": {"$ref": REFERENCE.format(model="Answer")}}
    header = {
        "description": "files that failed, as a JSON list of file, source, code and message",
        "schema": {"type": "string"},
    }
    return {
        "description": "At least one file was read",
        "headers": {"X-OCR-Errors": header, "Content-Disposition": DISPOSITION},
        "content": content,
    }


def _job(text: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="Job")}
    return {"description": text, "content": {JSON: {"schema": schema}}}


def _of_job(name: str, summary: str) -> dict[str, Any]:
    place = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {"operationId": name, "tags": [TAG], "summary": summary, "parameters": [place]}
