"""A runner's door: a call is given up when its caller is gone, and no longer waits for its turn.

The service in front ends a call when its own client has gone or its time is over.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from bentoml._internal.marshal import dispatcher as bentoml_dispatcher
from starlette.types import ASGIApp, Receive, Scope, Send

from web.gone import Attendance


class RunnerDoor:
    """ASGI middleware of a runner."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with suppress(TimeoutError):  # nobody is there to be told
            async with asyncio.timeout(None) as limit, Attendance(receive, limit) as attended:
                await self.app(scope, attended, send)


def drop_calls_of_the_gone() -> None:
    """Let BentoML's queue forget calls that were given up: it would still run them."""
    dispatcher: Any = bentoml_dispatcher
    dispatcher.CorkDispatcher.inbound_call = _inbound_call


async def _inbound_call(dispatcher: Any, data: Any) -> Any:
    """In place of CorkDispatcher.inbound_call: wait for a call's answer."""
    loop = asyncio.get_running_loop()
    call: Any = bentoml_dispatcher.Job(time.time(), data, loop.create_future())
    dispatcher._queue.append(call)
    async with dispatcher._wake_event:
        dispatcher._wake_event.notify_all()
    try:
        return await call.future
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            raise  # the runner ends, not the call
        with suppress(ValueError):  # its batch may be running
            dispatcher._queue.remove(call)
        return []  # to nobody; an error would be logged
