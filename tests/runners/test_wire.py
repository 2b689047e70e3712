"""What a runner is sent and answers is the same after the way."""

import numpy as np

from ocr.errors import InferenceFailed
from ocr.recognition.ctc import Reading, Span
from ocr.recognition.lines import pack
from runners.wire import receive_lines, receive_readings, send_lines, send_readings


def test_lines_arrive_as_they_were_packed() -> None:
    lines = [np.full((48, width, 3), width, np.uint8) for width in (10, 200, 33)]
    arrived = receive_lines(send_lines(pack(lines))).unpack()
    assert all((a == b).all() for a, b in zip(arrived, lines, strict=True))


def test_readings_arrive_as_they_were_read() -> None:
    readings = [
        Reading("天A", 0.75, (Span("天", 0.0, 0.5), Span("A", 0.5, 1.0))),
        Reading("", 0.0),
        Reading("b", 1 / 3, (Span("b", 0.1, 0.2),)),
    ]
    sent = send_readings(readings)
    assert not isinstance(sent, InferenceFailed)
    assert receive_readings(sent) == readings  # type: ignore[arg-type]


def test_an_error_is_passed_on() -> None:
    error = InferenceFailed("broken")
    assert send_readings(error) is error
