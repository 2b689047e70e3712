"""Calling a runner from the service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from bentoml.exceptions import BentoMLException

from ocr.errors import InferenceFailed, OcrError

Call = Callable[[list[Any]], Awaitable[list[Any]]]

# A runner closes an idle connection after 5 seconds, the caller keeps it for 15: a call can meet
# one that is just being closed. One that dies takes all of them along; a new connection waits until
# the next process of the runner takes it.
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
TRIES = 3
PAUSE_S = 0.1  # after which the others that are lost are known as well, and not tried


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
    for _ in range(TRIES - 1):
        try:
            return await call([item])
        except LOST:
            await asyncio.sleep(PAUSE_S)
    return await call([item])
