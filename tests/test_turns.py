"""Who is next, who may wait, and that no turn is lost."""

import asyncio
from collections.abc import Callable

import pytest

from ocr.errors import Busy
from ocr.request import Request, current
from ocr.turns import Turns

TICK = 0.01  # seconds


async def read(turns: Turns, images: int, note: Callable[[], None] = lambda: None) -> None:
    """A request that brings so many images, each a tick of work."""
    current.set(Request())

    async def one() -> None:
        async with turns.turn():
            await asyncio.sleep(TICK)
        note()
        turns.done()

    with turns.admitted(images):
        await asyncio.gather(*(one() for _ in range(images)))


def test_no_more_are_in_work_than_there_are_turns() -> None:
    async def run() -> int:
        turns, most, inside = Turns(3), 0, 0

        async def one() -> None:
            nonlocal most, inside
            async with turns.turn():
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(TICK)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(10)))
        return most

    assert asyncio.run(run()) == 3


def test_one_image_does_not_wait_for_all_of_a_large_request() -> None:
    async def run() -> list[str]:
        turns, order = Turns(1), list[str]()
        large = asyncio.create_task(read(turns, 20, lambda: order.append("large")))
        await asyncio.sleep(TICK / 2)
        await read(turns, 1, lambda: order.append("one"))
        await large
        return order

    order = asyncio.run(run())
    assert len(order) == 21
    assert order.index("one") <= 2


def test_requests_that_wait_have_turns_one_after_the_other() -> None:
    async def run() -> list[int]:
        turns, order = Turns(1), list[int]()
        await asyncio.gather(
            *(read(turns, 4, lambda number=number: order.append(number)) for number in range(3))  # type: ignore[misc]
        )
        return order

    order = asyncio.run(run())
    for first in range(3, 12, 3):  # the first request has its first turn before others are there
        assert len(set(order[first - 2 : first + 1])) >= 2, order
    assert sorted(order) == [0] * 4 + [1] * 4 + [2] * 4


def test_who_gives_up_leaves_its_turn_to_others() -> None:
    async def run() -> None:
        turns = Turns(1)
        first = asyncio.create_task(read(turns, 1))
        await asyncio.sleep(0)
        given_up = [asyncio.create_task(read(turns, 3)) for _ in range(5)]
        await asyncio.sleep(TICK / 2)
        for task in given_up:
            task.cancel()
        last = asyncio.create_task(read(turns, 2))
        await asyncio.gather(first, last)
        assert turns.images == 0
        for _ in range(3):  # none is lost, and none is made up
            async with turns.turn():
                assert turns._in_work == 1
        assert turns._in_work == 0

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_turn_that_was_given_is_given_on_if_nobody_takes_it() -> None:
    async def run() -> None:
        turns = Turns(1)
        async with turns.turn():
            waiting = asyncio.create_task(read(turns, 1))
            await asyncio.sleep(0)
        waiting.cancel()  # between the gift and its taking
        await asyncio.gather(waiting, return_exceptions=True)
        assert turns._in_work == 0

    asyncio.run(asyncio.wait_for(run(), 5))


def test_too_many_images_are_refused_but_not_those_of_a_request_that_is_alone() -> None:
    async def run() -> None:
        turns = Turns(2, most=3)
        large = asyncio.create_task(read(turns, 30))
        await asyncio.sleep(TICK / 2)
        with pytest.raises(Busy) as caught:
            await read(turns, 1)
        assert caught.value.retry_after_s >= 0
        await large
        await read(turns, 1)

    asyncio.run(run())


def test_what_would_take_too_long_is_refused_at_once() -> None:
    async def run() -> None:
        turns = Turns(1, time_limit_s=20 * TICK)
        await read(turns, 5)  # now it knows how long an image takes
        waiting = [asyncio.create_task(read(turns, 5)) for _ in range(2)]
        await asyncio.sleep(TICK / 2)
        with pytest.raises(Busy, match="too long"):
            await read(turns, 20)
        small = asyncio.create_task(read(turns, 1))  # which shares turns with the others
        await asyncio.gather(*waiting, small)

    asyncio.run(run())
