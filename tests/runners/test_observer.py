"""Inside a runner: a call's request is known, also in the batch that it becomes a part of."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from bentoml._internal.marshal.dispatcher import CorkDispatcher
from opentelemetry import baggage, propagate
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from ocr.errors import InferenceFailed
from ocr.request import Request, current, request_id
from runners import observer
from runners.observer import RunnerObserver, observe_calls


@pytest.fixture(autouse=True)
def _observed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("inbound_call", "outbound_call"):
        monkeypatch.setattr(CorkDispatcher, name, getattr(CorkDispatcher, name))
    observe_calls.__wrapped__()


def _sent(id: str | None) -> list[tuple[bytes, bytes]]:
    """The headers of a call for a request, as BentoML's client makes them."""
    headers: dict[str, str] = {}
    if id is not None:
        propagate.inject(headers, baggage.set_baggage("ocr.request", id))
    return [(name.encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(("sent", "known"), [("mine-1", "mine-1"), (None, ""), ("a b", "")])
def test_a_call_has_the_id_of_its_request(sent: str | None, known: str) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(request_id())

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "path": "/detect", "headers": _sent(sent)}
    asyncio.run(RunnerObserver(app)(scope, receive, send))
    assert seen == [known]


class Runner:
    """A batched call as BentoML makes it, with room for some pages in a batch."""

    def __init__(self, most: int = 4) -> None:
        self.batches: list[tuple[int, str]] = []
        self.waiting: list[float | None] = []
        self.free = asyncio.Event()

        def fallback() -> Any:
            raise AssertionError

        dispatcher: Any = CorkDispatcher(10_000, most, fallback=fallback, get_batch_size=len)
        self.call = dispatcher(self._run)

    async def _run(self, calls: Sequence[list[Any]]) -> list[Any]:
        self.batches.append((len(calls), request_id()))
        self.waiting.append(REGISTRY.get_sample_value("ocr_runner_queue", {"runner": "none"}))
        await self.free.wait()
        return list(calls)

    async def read(self, id: str, item: Any = "page") -> Any:
        told = current.set(Request(id))
        try:
            return await self.call([item])
        finally:
            current.reset(told)


def test_a_batch_has_the_ids_of_all_its_requests() -> None:
    async def story() -> Runner:
        runner = Runner(most=2)
        tasks = [asyncio.create_task(runner.read(id)) for id in ("a", "b", "b", "c")]
        await asyncio.sleep(0.05)
        runner.free.set()
        await asyncio.gather(*tasks)
        await runner.read("late")
        return runner

    runner = asyncio.run(story())
    assert sum(count for count, _ in runner.batches) == 5
    ids = [id for _, names in runner.batches for id in names.split(",")]
    assert list(dict.fromkeys(ids)) == ["a", "b", "c", "late"]
    assert runner.batches[-1] == (1, "late")  # and not that of the first call of all
    assert runner.waiting[0] == 4 - runner.batches[0][0]
    assert REGISTRY.get_sample_value("ocr_runner_queue", {"runner": "none"}) == 0
    assert observer._ids == {}


def test_an_item_that_fails_is_logged_for_its_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        observer.log, "error", lambda text, *rest: seen.append((request_id(), text % rest))
    )

    async def story() -> None:
        runner = Runner()
        runner.free.set()
        await asyncio.gather(
            runner.read("good"), runner.read("bad", InferenceFailed("detection: broken"))
        )

    asyncio.run(story())
    assert seen == [("bad", "INFERENCE_FAILED: detection: broken")]


def test_a_slow_batch_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        runner = Runner()
        asyncio.get_running_loop().call_later(0.05, runner.free.set)
        await runner.read("a")

    asyncio.run(story())
    assert not caplog.records
    monkeypatch.setattr(observer, "SLOW_S", 0.04)
    asyncio.run(story())
    assert [(each.levelno, each.name) for each in caplog.records] == [
        (logging.WARNING, "ocr.runner")
    ]
