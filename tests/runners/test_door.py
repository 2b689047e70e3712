"""Calls whose caller has gone leave the queue of a runner, those in work are left alone."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bentoml._internal.marshal.dispatcher import CorkDispatcher
from starlette.types import Message, Receive, Scope, Send

from ocr.settings import Settings
from runners.door import RunnerDoor
from runners.options import batching_options

batching_options(Settings())  # sets BentoML up


class Runner:
    """A queue of BentoML's before work that takes its time, behind the door."""

    def __init__(self) -> None:
        self.worked_on: list[int] = []
        self.goes_on = asyncio.Event()
        self.queue: Any = CorkDispatcher(
            60_000, 2, fallback=self._overloaded, get_batch_size=lambda item: 1
        )
        self.call = self.queue(self._work)
        self.answers: dict[int, Any] = {}

    def _overloaded(self) -> None:
        raise AssertionError("nobody is to be told that a caller has gone")

    async def _work(self, items: Sequence[int]) -> Sequence[int]:
        await self.goes_on.wait()
        self.worked_on += items
        return [10 * item for item in items]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            continue
        self.answers[scope["item"]] = await self.call(scope["item"])


class Caller:
    """One call; it sends a body in two parts, and may hang up after them."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        for more in (True, False):
            self.messages.put_nowait({"type": "http.request", "body": b"x", "more_body": more})

    def hang_up(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Message) -> None:
        raise AssertionError("the runner sends nothing in this test")

    def calls(self, runner: Runner, item: int) -> "asyncio.Task[None]":
        scope = {"type": "http", "item": item}
        return asyncio.create_task(RunnerDoor(runner)(scope, self.messages.get, self.send))


def test_calls_of_the_gone_are_dropped_and_the_others_answered() -> None:
    async def run() -> Runner:
        runner = Runner()
        callers = [Caller() for _ in range(6)]
        calls = [caller.calls(runner, item) for item, caller in enumerate(callers)]
        await asyncio.sleep(0.05)  # the first ones are in work, the others wait
        for gone in (1, 2, 4):
            callers[gone].hang_up()
        await asyncio.sleep(0.05)
        runner.goes_on.set()
        await asyncio.wait_for(asyncio.gather(*calls), 5)
        runner.queue.shutdown()
        return runner

    runner = asyncio.run(run())
    waiting = set(runner.worked_on) - {0, 1}
    assert waiting == {3, 5}
    assert {item: runner.answers[item] for item in (0, 3, 5)} == {0: 0, 3: 30, 5: 50}


def test_a_runner_that_ends_says_so() -> None:
    async def run() -> bool:
        runner = Runner()
        call = Caller().calls(runner, 0)
        second = Caller().calls(runner, 1)
        third = Caller().calls(runner, 2)
        await asyncio.sleep(0.05)
        runner.queue.shutdown()
        runner.goes_on.set()
        outcomes = await asyncio.gather(call, second, third, return_exceptions=True)
        return any(isinstance(each, AssertionError) for each in outcomes)

    assert asyncio.run(asyncio.wait_for(run(), 5))
