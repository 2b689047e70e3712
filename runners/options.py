"""Settings of BentoML without which calls to a runner fail under load."""

from typing import Any

from ocr.settings import Settings

# A runner waits for its turn at a network, however many pages stand before it: the service in
# front gives up on a request, the runner does not.
TIMEOUT_S = 3600


def runner_options(settings: Settings) -> dict[str, Any]:
    """Options of `bentoml.service` for a runner."""
    options: dict[str, Any] = {
        "workers": 1,
        "traffic": {"timeout": TIMEOUT_S},
        # By default a connection is closed after 100 calls, under the calls that are on it.
        "runner_connection": {"max_requests": 10**9, "max_age": 1e9},
        "logging": {"access": {"enabled": False}},
    }
    if settings.device == "cuda":
        # Whole numbers would hand each runner a GPU of its own; a fraction lets them share.
        options["resources"] = {"gpu": 0.3}
    return options


def batching_options(settings: Settings) -> dict[str, Any]:
    """Options of `bentoml.api` for a batched call; an item is one request's array.

    With a short latency limit BentoML answers 503 as soon as work queues up: what is too much is
    refused at the service's door instead.
    """
    return {
        "batchable": True,
        "max_batch_size": settings.batch_pages,
        "max_latency_ms": TIMEOUT_S * 1000,
    }
