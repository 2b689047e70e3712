"""Where OpenTelemetry spans go: the same place from all processes, by BentoML's own settings."""

from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from bentoml.exceptions import BentoMLException

from ocr.settings import Settings
from web.observer import QUIET

EXPORTER = "opentelemetry.exporter"  # OTLP over HTTP is a part of it
PATH = "/v1/traces"  # of every collector
UNTRACED = [f"{path}$" for path in sorted(QUIET)]
ALL = [".*"]


def tracing_options(settings: Settings) -> dict[str, Any]:
    """Options of `bentoml.service`: requests and calls are traced if OCR_TRACES says where to.

    Else none are: BentoML would make spans all the same, for nobody. Raises BentoMLException if it
    cannot be done.
    """
    if not settings.traces:
        return {"tracing": {"excluded_urls": ALL}}
    _check_exporter()
    _leave_messages_out()
    return {
        "tracing": {
            "exporter_type": "otlp",
            "sample_rate": settings.traces_share,
            "excluded_urls": UNTRACED,
            "otlp": {"protocol": "http", "endpoint": endpoint(settings.traces)},
        }
    }


def endpoint(url: str) -> str:
    """The URL that takes spans: what was set, or of a collector's own URL its usual path.

    Raises BentoMLException if it is no URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BentoMLException(f"OCR_TRACES is no http(s) URL: {url}")
    return url if parts.path.strip("/") else parts._replace(path=PATH).geturl()


def trace_stages() -> None:
    """Have this process's stages (ocr.stages) be parts of BentoML's spans, if there are to be any.

    Called in a worker: BentoML knows its provider there, and offers it to nobody.
    """
    from bentoml._internal.configuration.containers import BentoMLContainer
    from opentelemetry import trace

    if BentoMLContainer.tracing.exporter_type.get() is not None:
        trace.set_tracer_provider(BentoMLContainer.tracer_provider.get())


def _check_exporter() -> None:
    try:
        found = find_spec(f"{EXPORTER}.otlp.proto.http")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise BentoMLException("OCR_TRACES is set: it takes pip install '.[tracing]'")


def _leave_messages_out() -> None:
    """Make no spans of the parts in which bodies come and go: an upload has thousands.

    BentoML takes the middleware from its module when it makes an app, and sets no such option.
    """
    from opentelemetry.instrumentation import asgi

    module: Any = asgi
    if not isinstance(module.OpenTelemetryMiddleware, partial):
        module.OpenTelemetryMiddleware = partial(
            module.OpenTelemetryMiddleware, exclude_spans=["receive", "send"]
        )
