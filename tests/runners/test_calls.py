"""A call that meets a closing connection is made once more; an item's error is raised."""

import asyncio
from typing import Any

import aiohttp
import pytest

from ocr.errors import InferenceFailed
from runners.calls import call_one


class Runner:
    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self, items: list[Any]) -> list[Any]:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, aiohttp.ClientError):
            raise outcome
        return [outcome]


def test_a_lost_connection_is_tried_once_more() -> None:
    assert (
        asyncio.run(call_one(Runner(aiohttp.ServerDisconnectedError(), "read"), "page")) == "read"
    )


def test_two_lost_connections_are_an_error() -> None:
    lost = [aiohttp.ClientPayloadError(), aiohttp.ClientPayloadError(), "read"]
    with pytest.raises(InferenceFailed, match="did not answer"):
        asyncio.run(call_one(Runner(*lost), "page"))


def test_the_error_of_an_item_is_raised() -> None:
    with pytest.raises(InferenceFailed):
        asyncio.run(call_one(Runner(InferenceFailed("broken")), "page"))
