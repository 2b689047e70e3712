"""Calls that are made at once become one; each gets its own answer, or its own error."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from ocr.bulk.together import Together
from ocr.errors import InferenceFailed, OcrError


class Network:
    """Doubles numbers; notes what it was shown at a time. Negative ones fail."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def double(self, numbers: Sequence[int]) -> list[int | OcrError]:
        self.calls.append(list(numbers))
        self.begun.set()
        assert self.goes_on.wait(10)
        if 0 in numbers:
            raise ZeroDivisionError("zero")
        return [2 * each if each > 0 else InferenceFailed(f"at {each}") for each in numbers]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_is_asked_at_once_is_one_call() -> None:
    network = Network()

    async def run() -> list[int]:
        together = Together(network.double)
        return await asyncio.gather(*(together.ask(number) for number in range(1, 6)))

    assert asyncio.run(run()) == [2, 4, 6, 8, 10]
    assert network.calls == [[1, 2, 3, 4, 5]]


def test_what_is_asked_while_a_call_is_made_is_the_next_one() -> None:
    network = Network()

    async def run() -> list[int]:
        together = Together(network.double)
        network.goes_on.clear()
        first = asyncio.create_task(together.ask(1))
        assert await asyncio.to_thread(network.begun.wait, 10)
        others = [asyncio.create_task(together.ask(number)) for number in (2, 3)]
        await settle()
        network.goes_on.set()
        return list(await asyncio.gather(first, *others))

    assert asyncio.run(run()) == [2, 4, 6]
    assert network.calls == [[1], [2, 3]]


def test_it_can_be_asked_again_later() -> None:
    network = Network()

    async def run() -> list[int]:
        together = Together(network.double)
        return [await together.ask(number) for number in (1, 2)]

    assert asyncio.run(run()) == [2, 4]
    assert network.calls == [[1], [2]]


def test_an_error_of_one_is_its_own() -> None:
    async def run() -> list[int | BaseException]:
        together = Together(Network().double)
        asks = (together.ask(number) for number in (1, -2, 3))
        return await asyncio.gather(*asks, return_exceptions=True)

    one, two, three = asyncio.run(run())
    assert (one, three) == (2, 6)
    assert isinstance(two, InferenceFailed)
    assert two.message == "at -2"


def test_an_error_of_the_call_is_that_of_all_in_it_and_of_no_other() -> None:
    async def run() -> list[int | BaseException]:
        together = Together(Network().double)
        asks = (together.ask(number) for number in (1, 0))
        found = await asyncio.gather(*asks, return_exceptions=True)
        return [*found, await together.ask(4)]

    one, zero, later = asyncio.run(run())
    assert isinstance(one, ZeroDivisionError)
    assert isinstance(zero, ZeroDivisionError)
    assert later == 8


def test_a_call_that_does_not_answer_all_is_an_error_and_no_wait_without_end() -> None:
    async def run() -> list[object]:
        together: Together[int, int] = Together(lambda numbers: list(numbers)[1:])
        asks = (together.ask(number) for number in (1, 2))
        async with asyncio.timeout(5):
            return list(await asyncio.gather(*asks, return_exceptions=True))

    assert [type(each) for each in asyncio.run(run())] == [ValueError, ValueError]


def test_who_no_longer_waits_does_not_disturb_the_others() -> None:
    network = Network()

    async def run() -> int:
        together = Together(network.double)
        network.goes_on.clear()
        gone = asyncio.create_task(together.ask(1))
        stays = asyncio.create_task(together.ask(2))
        assert await asyncio.to_thread(network.begun.wait, 10)
        gone.cancel()
        await settle()
        network.goes_on.set()
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.CancelledError):
                await gone
            return await stays

    assert asyncio.run(run()) == 4
