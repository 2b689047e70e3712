"""A call whose connection is lost is made again; an item's error is raised."""

import asyncio
from typing import Any

import aiohttp
import pytest

from ocr.errors import InferenceFailed
from runners import calls
from runners.calls import TRIES, call_one


class Runner:
    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self, items: list[Any]) -> list[Any]:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, aiohttp.ClientError):
            raise outcome
        return [outcome]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAUSE_S", 0)


@pytest.mark.parametrize("losses", range(1, TRIES))
def test_lost_connections_are_made_again(losses: int) -> None:
    lost = [aiohttp.ServerDisconnectedError()] * losses
    assert asyncio.run(call_one(Runner(*lost, "read"), "page")) == "read"


def test_too_many_lost_connections_are_an_error() -> None:
    lost = [aiohttp.ClientPayloadError()] * TRIES
    with pytest.raises(InferenceFailed, match="did not answer"):
        asyncio.run(call_one(Runner(*lost, "read"), "page"))


def test_the_error_of_an_item_is_raised() -> None:
    with pytest.raises(InferenceFailed):
        asyncio.run(call_one(Runner(InferenceFailed("broken")), "page"))
