"""What is seen inside a runner: for which requests a batch is, what waits, and what fails."""

import logging
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from bentoml._internal.marshal import dispatcher as bentoml_dispatcher
from opentelemetry import baggage, context, propagate
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ocr.errors import OcrError
from ocr.request import Request, current, known_id, request_id
from runners import metrics
from web.observer import BAGGAGE

log = logging.getLogger("ocr.runner")
SLOW_S = 10.0  # for one batch

_ids: dict[int, str] = {}  # of the requests that calls are for, by the identity of the calls' data


class RunnerObserver:
    """ASGI middleware of a runner: takes on the id of the request that a call is for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = current.set(_request(scope))
        try:
            await self.app(scope, receive, send)
        finally:
            current.reset(told)


def _request(scope: Scope) -> Request | None:
    carried = baggage.get_baggage(BAGGAGE, propagate.extract(Headers(scope=scope)))
    id = known_id(carried) if isinstance(carried, str) else None
    return None if id is None else Request(id)


@cache
def observe_calls() -> None:
    """Watch BentoML's queues in this process: how many calls wait, which fail, what takes long."""
    dispatcher: Any = bentoml_dispatcher.CorkDispatcher
    inbound_call, outbound_call = dispatcher.inbound_call, dispatcher.outbound_call

    async def observed_call(this: Any, data: Any) -> Any:
        metrics.set_queue(len(this._queue) + 1)
        _ids[id(data)] = request_id()
        try:
            answers = await inbound_call(this, data)
        finally:
            del _ids[id(data)]
            metrics.set_queue(len(this._queue))
        _log_errors(answers)
        return answers

    async def observed_batch(this: Any, calls: Sequence[Any], *rest: Any, **options: Any) -> None:
        metrics.set_queue(len(this._queue))
        # The context of this task is that of the very first call, which is over.
        context.attach(context.Context())
        current.set(_request_of_all(calls))
        start = time.perf_counter()
        await outbound_call(this, calls, *rest, **options)
        seconds = time.perf_counter() - start
        if seconds > SLOW_S:
            log.warning("a batch of %d took %.1f s", len(calls), seconds)

    dispatcher.inbound_call, dispatcher.outbound_call = observed_call, observed_batch


def _request_of_all(calls: Sequence[Any]) -> Request | None:
    """What a batch is for: the requests of its calls under one name."""
    ids = [_ids.get(id(each.data), "") for each in calls]
    named = ",".join(dict.fromkeys(each for each in ids if each))
    return Request(named) if named else None


def _log_errors(answers: Any) -> None:
    """Log the errors among a call's answers; an exception in their place is BentoML's to log."""
    for each in answers if isinstance(answers, list) else ():
        if isinstance(each, OcrError):
            log.error("%s: %s", each.code, each)
