"""Calling a runner from the service."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from ocr.errors import OcrError

Call = Callable[[list[Any]], Awaitable[list[Any]]]

# A runner closes an idle connection after 5 seconds, the caller keeps it for 15: a call can meet
# one that is just being closed.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


async def call_one(call: Call, item: Any) -> Any:
    """Send one item to a batched call and give its answer. Raises the OcrError that it met."""
    try:
        (answer,) = await call([item])
    except LOST:
        (answer,) = await call([item])
    if isinstance(answer, OcrError):
        raise answer
    return answer
