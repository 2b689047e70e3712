"""The stages of reading a page, each a span of OpenTelemetry, and how long they take.

Spans go nowhere, and cost next to nothing, unless a tracer was set up; durations go to who asked.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from opentelemetry import trace

Stage = Literal["fetch", "decode", "detect", "crop", "recognise", "format"]
Listener = Callable[[Stage, float], None]

_tracer = trace.get_tracer("ocr")
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have every stage's seconds told to `listener`, also those of stages that fail."""
    _listeners.append(listener)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Time what is done within; waiting for others is a part of it."""
    start = time.perf_counter()
    with _tracer.start_as_current_span(f"ocr.{name}"):
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            for listener in _listeners:
                listener(name, seconds)
