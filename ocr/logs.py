"""What a process logs, one line a message: as text for people, or as JSON for machines.

Each line says which process it is from and, where there is one, for which request.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from ocr.request import request_id

LogFormat = Literal["text", "json"]
Component = Callable[[], str]

CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
OWN_HANDLER = "dbos"  # a library that logs past all others' handlers, unless it has one


def configure(form: LogFormat, component: Component) -> None:
    """Write what this process's loggers send to its terminal in this form.

    Streams and levels stay as they are, but for those of "ocr", whose INFO is shown. Nothing is
    done where the root logger does not write to a terminal. `component` gives the process's name,
    which may not be known yet.
    """
    root = logging.getLogger()
    if not any(_is_terminal(handler) for handler in root.handlers):
        return
    formatter = _Json(component) if form == "json" else _Text(component)
    for logger in _loggers():
        for handler in filter(_is_terminal, list(logger.handlers)):
            if logger is not root and logger.propagate and handler in root.handlers:
                logger.removeHandler(handler)  # the line would be written twice
            handler.setFormatter(formatter)
            handler.filters.clear()  # they only add fields, which would be in the JSON
    if root.level <= logging.WARNING:  # else it was asked to be quiet
        logging.getLogger("ocr").setLevel(min(logging.INFO, root.level))
    own = logging.getLogger(OWN_HANDLER)
    if not own.handlers:
        own.addHandler(logging.NullHandler())


def _loggers() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    for known in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(known, logging.Logger):
            yield known


def _is_terminal(handler: logging.Handler) -> bool:
    """Whether it writes to standard output or error."""
    return isinstance(handler, logging.StreamHandler) and handler.stream in (
        sys.stdout,
        sys.stderr,
        sys.__stdout__,
        sys.__stderr__,
    )


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class _Text(logging.Formatter):
    """Time, level, process, request, logger and message; tracebacks on lines of their own."""

    def __init__(self, component: Component) -> None:
        super().__init__()
        self._component = component

    def formatMessage(self, record: logging.LogRecord) -> str:
        where = f"{self._component()} {request_id() or '-'} {record.name}"
        # Paths and file names are the client's: none may look like a line of its own.
        message = record.message.translate(CONTROLS)
        return f"{_time(record)} {record.levelname} {where}: {message}"


class _Json(JsonFormatter):
    """An object a line, with what a message brings along in `extra`, and tracebacks in it."""

    def __init__(self, component: Component) -> None:
        # Colours are uvicorn's.
        super().__init__(reserved_attrs=[*RESERVED_ATTRS, "color_message"])
        self._component = component

    def add_fields(
        self, line: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        line["time"] = _time(record)
        line["level"] = record.levelname
        line["process"] = self._component()
        line["pid"] = record.process
        line["request_id"] = request_id()
        line["logger"] = record.name
        span = trace.get_current_span().get_span_context()
        if span.trace_flags.sampled:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
        super().add_fields(line, record, message_dict)
