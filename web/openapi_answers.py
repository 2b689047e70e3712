"""What /docs.json says of all calls: answers that are errors, keys, headers."""

from typing import Any

from web.keys import is_public

JSON = "application/json"
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "stays the same in later versions"},
                "message": {"type": "string", "description": "for people"},
            },
        }
    },
}
REQUEST_ID = {
    "description": "of this request, in the log too: the one that it brought, or a new one",
    "schema": {"type": "string"},
}
RETRY_AFTER = {
    "description": "seconds after which to come again, where that helps",
    "schema": {"type": "integer", "minimum": 1},
}
AUTHENTICATE = {"schema": {"const": "Bearer", "type": "string"}}
# Of each status, beside the one that all answers have.
HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": AUTHENTICATE},
    "429": {"Retry-After": RETRY_AFTER},
    "503": {"Retry-After": RETRY_AFTER},
}
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "a key, where the server asks for one",
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same"},
}
REFUSED = {"401": ("UNAUTHORIZED", "The server asks for a key, or does not know this one")}
TOO_OFTEN = {"429": ("RATE_LIMITED", "More requests a minute than a key, or an address, has")}


def errors(told: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """The answers of these statuses, each with a code and what it means."""
    return {
        status: {
            "description": text,
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "example": {"error": {"code": code, "message": "..."}},
                }
            },
        }
        for status, (code, text) in told.items()
    }


def add_what_all_have(spec: dict[str, Any]) -> None:
    """Add the shape of errors, keys where a call takes one, and the headers of every answer."""
    spec["components"]["schemas"]["Error"] = ERROR
    spec["components"]["securitySchemes"] = SCHEMES
    for path, calls in spec["paths"].items():
        for method, call in calls.items():
            _add_keys(method.upper(), path, call)
            for status, answer in call["responses"].items():
                own = HEADERS.get(str(status), {})
                told = answer.get("headers", {})
                answer["headers"] = told | own | {"X-Request-ID": REQUEST_ID}


def _add_keys(method: str, path: str, call: dict[str, Any]) -> None:
    if is_public(method, path):
        return
    call["security"] = [{}, *({name: []} for name in SCHEMES)]
    call["responses"] |= errors(REFUSED | (TOO_OFTEN if method == "POST" else {}))
