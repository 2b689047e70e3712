"""For whom work is done: set where a request comes in, and known to every task that comes of it."""

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field

KNOWN = re.compile(r"[A-Za-z0-9._:-]{1,64}")  # an id from outside: it goes into logs and headers


@dataclass(frozen=True, eq=False)
class Request:
    """One request, or one job. Two are never equal."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)


current: ContextVar[Request | None] = ContextVar("request", default=None)


def request_id() -> str:
    """The id of the request that the current task works for, or nothing."""
    request = current.get()
    return request.id if request is not None else ""


def known_id(told: str) -> str | None:
    """An id that a client gave, if it is fit to be taken on."""
    return told if KNOWN.fullmatch(told) else None
