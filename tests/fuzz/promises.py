"""What every answer of the service promises, whatever it was asked."""

import json
from collections.abc import Mapping
from typing import Any

REFUSED, DISK_FULL = 503, 507  # the only server errors: there is too much to do, or no room
OUR_FAULT = {"INTERNAL_ERROR", "INFERENCE_FAILED"}


def broken(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Which promise an answer breaks; nothing if it keeps them all."""
    if status >= 500 and status not in (REFUSED, DISK_FULL):
        return f"{status} {body[:500]!r}"
    if status == REFUSED and "retry-after" not in headers:
        return f"refused without Retry-After: {body[:500]!r}"
    codes = [each["code"] for each in json.loads(headers.get("x-ocr-errors", "[]"))]
    if status >= 400:
        kind = headers.get("content-type", "")
        if not kind.startswith("application/json"):
            return f"an error as {kind}: {body[:500]!r}"
        codes += _codes(json.loads(body))
        if not codes:
            return f"an error without a code: {body[:500]!r}"
    return f"our fault: {codes} {body[:500]!r}" if OUR_FAULT & set(codes) else ""


def _codes(answer: Any) -> list[str]:
    """The codes in an error, or in an answer of which nothing could be read."""
    if "results" in answer:
        return [each["code"] for each in answer["errors"] if each]
    return [answer["error"]["code"]] if answer["error"]["message"] is not None else []
