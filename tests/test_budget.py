"""The budget is never overdrawn, and nobody waits for ever."""

import asyncio
import random

from ocr.budget import Budget


def test_claims_never_exceed_the_total() -> None:
    async def run() -> int:
        budget = Budget(100)
        held = most = 0
        chance = random.Random(0)

        async def worker() -> None:
            nonlocal held, most
            for _ in range(20):
                units = chance.randint(1, 60)
                async with budget.hold(units):
                    held += units
                    most = max(most, held)
                    await asyncio.sleep(0)
                    held -= units

        await asyncio.gather(*(worker() for _ in range(10)))
        assert budget.used == 0
        return most

    assert 60 < asyncio.run(run()) <= 100


def test_a_claim_larger_than_the_budget_is_served_alone() -> None:
    async def run() -> None:
        budget = Budget(10)
        async with budget.hold(1000):
            assert budget.used == 10
        assert budget.used == 0

    asyncio.run(run())


def test_claims_are_served_in_order() -> None:
    async def run() -> list[int]:
        budget, order = Budget(10), list[int]()

        async def worker(number: int, units: int) -> None:
            async with budget.hold(units):
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(worker(0, 6), worker(1, 6), worker(2, 1))
        return order

    assert asyncio.run(run()) == [0, 1, 2]


def test_a_waiter_that_is_cancelled_gives_up_its_place() -> None:
    async def run() -> None:
        budget = Budget(10)

        async def hold(units: int) -> None:
            async with budget.hold(units):
                await asyncio.sleep(0.01)

        first = asyncio.create_task(hold(10))
        await asyncio.sleep(0)
        second, third = asyncio.create_task(hold(10)), asyncio.create_task(hold(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, third)
        assert budget.used == 0

    asyncio.run(run())
