"""Calling a runner from the service."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from bentoml.exceptions import BentoMLException

from ocr.errors import InferenceFailed, OcrError

Call = Callable[[list[Any]], Awaitable[list[Any]]]

# A runner closes an idle connection after 5 seconds, the caller keeps it for 15: a call can meet
# one that is just being closed.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


async def call_one(call: Call, item: Any) -> Any:
    """Send one item to a batched call and give its answer.

    Raises the OcrError that it met, InferenceFailed if the runner does not answer.
    """
    try:
        (answer,) = await _call(call, item)
    except (aiohttp.ClientError, BentoMLException) as error:
        raise InferenceFailed(
            f"a runner did not answer: {error or type(error).__name__}"
        ) from error
    if isinstance(answer, OcrError):
        raise answer
    return answer


async def _call(call: Call, item: Any) -> list[Any]:
    try:
        return await call([item])
    except LOST:
        return await call([item])
