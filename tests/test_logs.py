"""What a process logs: one line a message, with its request and process, as text or as JSON."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from ocr import logs
from ocr.request import Request, current

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"


class _Adds(logging.Filter):
    """Adds fields to what is logged, as BentoML's does."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.component = "[service]"
        record.request_id = 12345
        return True


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], None]]:
    """Sets loggers up as BentoML has when it imports a service; afterwards they are as before."""
    root = logging.getLogger()
    names = ("framework", "framework.serve", "server", "ocr", "ocr.test", "dbos")
    loggers = [root, *(logging.getLogger(name) for name in names)]
    before = [(each.level, each.propagate, list(each.handlers)) for each in loggers]

    def set_up() -> None:
        handler = logging.StreamHandler(sys.stdout)
        handler.addFilter(_Adds())
        root.addHandler(handler)
        root.setLevel(logging.WARNING)
        framework, server = logging.getLogger("framework"), logging.getLogger("server")
        framework.setLevel(logging.INFO)
        framework.propagate = False
        framework.addHandler(handler)
        server.setLevel(logging.WARNING)
        server.addHandler(handler)  # and passes on to the root's, which is the same

    yield set_up
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


def _say() -> None:
    log = logging.getLogger("ocr.test")
    log.debug("not shown")
    log.info("read %d", 3, extra={"route": "/ocr", "color_message": "red"})
    told = current.set(Request("mine-1"))
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("failed")
    current.reset(told)
    logging.getLogger("framework.serve").info("started")
    logging.getLogger("server").warning("once")
    logging.getLogger("another").info("not shown")
    logging.getLogger("dbos.inner").warning("of a library")


MESSAGES = ["read 3", "failed", "started", "once", "of a library"]


def test_json_is_an_object_a_line(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    logs.configure("json", lambda: "Detection:2")
    _say()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == MESSAGES
    first, failed, started = lines[:3]
    assert re.fullmatch(TIME, first["time"])
    expected = {"level": "INFO", "process": "Detection:2", "logger": "ocr.test", "request_id": ""}
    assert expected.items() <= first.items()
    assert set(first) == {*expected, "time", "pid", "message", "route"}
    assert failed["request_id"] == "mine-1" and failed["level"] == "ERROR"
    assert failed["exc_info"].startswith("Traceback") and "broken" in failed["exc_info"]
    assert started["logger"] == "framework.serve"


def test_text_is_for_people(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    logs.configure("text", lambda: "OCR")
    _say()
    lines = capsys.readouterr().out.splitlines()
    traceback = lines[2:-3]
    assert traceback[0].startswith("Traceback") and traceback[-1] == "ValueError: broken"
    del lines[2:-3]
    assert [line.split(": ", 1)[1] for line in lines] == MESSAGES
    assert re.fullmatch(rf"{TIME} INFO OCR - ocr\.test: read 3", lines[0])
    assert re.fullmatch(rf"{TIME} ERROR OCR mine-1 ocr\.test: failed", lines[1])


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_can_write_a_line_of_their_own(
    form: logs.LogFormat, terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    logs.configure(form, lambda: "OCR")
    path = "/x\n2026-01-01 INFO all is well\r\x1b[2K\x85\u2028 中文"
    logging.getLogger("ocr.test").info("%s refused", path)
    output = capsys.readouterr().out
    assert output.endswith("\n") and not any(
        unwanted in output[:-1] for unwanted in "\n\r\x1b\x85\u2028"
    )
    assert len(output.splitlines()) == 1
    if form == "json":
        assert json.loads(output)["message"] == f"{path} refused"
    else:
        assert "中文" in output


def test_a_trace_is_named_if_it_is_kept(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    logs.configure("json", lambda: "OCR")
    with TracerProvider().get_tracer("test").start_as_current_span("a") as span:
        logging.getLogger("ocr.test").info("within")
    line: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert int(line["trace_id"], 16) == span.get_span_context().trace_id


def test_who_asked_for_quiet_gets_it(
    terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    terminal()
    logging.getLogger().setLevel(logging.ERROR)
    logs.configure("text", lambda: "OCR")
    logging.getLogger("ocr.test").info("not shown")
    assert capsys.readouterr().out == ""


def test_commands_without_a_log_stay_as_they_are() -> None:
    level = logging.getLogger("ocr").level
    logs.configure("json", lambda: "OCR")
    assert logging.getLogger("ocr").level == level
