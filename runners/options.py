"""Settings of BentoML without which calls to a runner fail, or wait, under load."""

from typing import Any

from bentoml._internal.marshal import dispatcher as bentoml_dispatcher
from bentoml._internal.server.http import traffic as bentoml_traffic

from ocr.settings import Settings
from runners.door import drop_calls_of_the_gone

# A runner waits for its turn at a network, however many pages stand before it: the service in
# front gives up on a request, and with it on its calls.
TIMEOUT_S = 3600


def runner_options(settings: Settings) -> dict[str, Any]:
    """Options of `bentoml.service` for a runner."""
    _set_no_timers()
    options: dict[str, Any] = {
        "workers": settings.runner_workers,  # on CUDA, all on the GPU that the runner is given
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
    _batch_without_waiting()
    drop_calls_of_the_gone()
    return {
        "batchable": True,
        "max_batch_size": settings.batch_pages,
        "max_latency_ms": TIMEOUT_S * 1000,
    }


def _batch_without_waiting() -> None:
    """Let a call start as soon as its runner is free.

    BentoML holds a lone call back for about as long as recent calls had to queue. It hopes for
    company, and forgets by a twentieth with every call: after a burst of pages that queued for
    two seconds, single pages went on taking two seconds longer for dozens of calls; and it holds
    the first calls back to learn how long batches take. Pages that come while a batch is running
    make up the next one anyway.
    """
    dispatcher: Any = bentoml_dispatcher
    dispatcher.Optimizer.trigger_refresh = _forget_the_queue
    dispatcher.CorkDispatcher.train_optimizer = _learn_nothing
    # It also looks this often whether the running batch is done; a page takes half a second.
    dispatcher.CorkDispatcher.TICKET_INTERVAL = 0.004


def _forget_the_queue(optimizer: Any) -> None:
    optimizer.wait = 0


async def _learn_nothing(dispatcher: Any, *numbers: int) -> None:
    """In place of the dispatcher's training."""


def _set_no_timers() -> None:
    """Let the doors alone limit a call's time.

    BentoML's own limit leaves a timer behind for each call, which is kept until the time that the
    call might have taken is over: an hour of a runner's calls.
    """
    traffic: Any = bentoml_traffic
    traffic.TimeoutMiddleware.__call__ = _without_limit


async def _without_limit(middleware: Any, scope: Any, receive: Any, send: Any) -> None:
    """In place of TimeoutMiddleware.__call__."""
    await middleware.app(scope, receive, send)
