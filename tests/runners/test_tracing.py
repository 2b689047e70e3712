"""Where spans go, and what is said where they cannot."""

import sys
from functools import partial

import pytest
from bentoml.exceptions import BentoMLException
from opentelemetry import trace

from ocr.settings import Settings
from runners import tracing
from runners.tracing import endpoint, trace_stages, tracing_options


def _settings(monkeypatch: pytest.MonkeyPatch, url: str) -> Settings:
    monkeypatch.setenv("OCR_TRACES", url)
    monkeypatch.setenv("OCR_TRACES_SHARE", "0.25")
    return Settings()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector/", "https://collector/v1/traces"),
        ("http://host/otlp/v1/traces?x=1", "http://host/otlp/v1/traces?x=1"),
    ],
)
def test_a_collectors_own_url_will_do(url: str, expected: str) -> None:
    assert endpoint(url) == expected


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317", "http://", "true"])
def test_what_is_no_url_is_an_error_at_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(BentoMLException, match="OCR_TRACES"):
        tracing_options(_settings(monkeypatch, url))


def test_a_missing_package_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EXPORTER", "opentelemetry.no_exporter")
    with pytest.raises(BentoMLException, match=r"pip install '\.\[tracing\]'"):
        tracing_options(_settings(monkeypatch, "http://collector:4318"))


def test_bentoml_is_told_where_and_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.instrumentation import asgi

    monkeypatch.setattr(asgi, "OpenTelemetryMiddleware", asgi.OpenTelemetryMiddleware)
    for _ in range(2):
        told = tracing_options(_settings(monkeypatch, "http://collector:4318"))["tracing"]
        assert told["sample_rate"] == 0.25
        assert told["otlp"]["endpoint"] == "http://collector:4318/v1/traces"
    middleware = sys.modules["opentelemetry.instrumentation.asgi"].OpenTelemetryMiddleware
    assert isinstance(middleware, partial)
    assert middleware.keywords == {"exclude_spans": ["receive", "send"]}


def test_without_a_place_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing_options(_settings(monkeypatch, "")) == {"tracing": {"excluded_urls": [".*"]}}


def test_stages_make_no_spans_where_none_are_wanted() -> None:
    trace_stages()
    with trace.get_tracer("test").start_as_current_span("stage") as span:
        assert not span.is_recording()
