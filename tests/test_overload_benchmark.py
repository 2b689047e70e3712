"""The overload benchmark sees who was refused, how soon, and what is not in order with it."""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import overload
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from latencies import Latencies, latencies
from overload import Answer, Report

from tests import pictures

WORK_S = 0.05
AT_ONCE = 2
RETRY = {"Retry-After": "1"}

Refuse = Callable[[], Awaitable[web.Response]]


async def properly() -> web.Response:
    return web.json_response({}, status=503, headers=RETRY)


async def without_retry_after() -> web.Response:
    return web.json_response({}, status=429)


async def late() -> web.Response:
    await asyncio.sleep(0.1)
    return await properly()


async def badly() -> web.Response:
    return web.json_response({}, status=500)


def server(refuse: Refuse, limit_s: float = 5.0) -> TestServer:
    """A service that reads AT_ONCE pictures at a time, and refuses others in this way."""
    in_work = 0

    async def read(request: web.Request) -> web.Response:
        nonlocal in_work
        if in_work >= AT_ONCE:
            return await refuse()
        in_work += 1
        try:
            await asyncio.sleep(WORK_S)
            return web.json_response({"results": [[]]})
        finally:
            in_work -= 1

    async def capabilities(request: web.Request) -> web.Response:
        return web.json_response({"limits": {"timeout_s": limit_s}})

    app = web.Application()
    app.add_routes([web.post("/ocr_system", read), web.get("/capabilities", capabilities)])
    return TestServer(app)


def measure(service: TestServer) -> Report:
    options = argparse.Namespace(factor=4.0, seconds=0.5, measure=0.5)

    async def run() -> Report:
        async with service:
            url = str(service.make_url("")).rstrip("/")
            return await overload.measure(url, [b"{}"], options)

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "WARM_UP_S", 0.1)
    monkeypatch.setattr(overload, "GIVE_UP_S", 3.0)


def test_a_service_that_refuses_at_once_is_within_all_bounds() -> None:
    found = measure(server(properly))
    assert found.faults == []
    assert found.accepted.count + found.refused.count == found.requests
    assert found.requests == pytest.approx(4 * found.capacity * 0.5, abs=1)
    assert found.capacity <= AT_ONCE / WORK_S
    assert found.refused.count > found.accepted.count
    assert found.accepted.p50_ms >= 1000 * WORK_S > found.refused.p50_ms
    assert found.recovery_s is not None and found.recovery_s >= 1
    assert found.client_lag.count > 10


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        (lambda: server(without_retry_after), "refusals without Retry-After"),
        (lambda: server(late), "of the refusals took 50 ms or longer"),
        (lambda: server(badly), "other answers: {500: "),
        (
            lambda: server(properly, limit_s=WORK_S / 2),
            "accepted requests took longer than 0.025 s",
        ),
    ],
)
def test_what_a_service_should_not_do_is_a_fault(
    service: Callable[[], TestServer], fault: str
) -> None:
    assert fault in "; ".join(measure(service()).faults)


def test_what_nobody_can_read_is_not_measured() -> None:
    async def run() -> None:
        async with server(badly) as service:
            url = str(service.make_url("")).rstrip("/")
            await overload.measure(url, [], argparse.Namespace(factor=4.0, seconds=1, measure=0.1))

    with pytest.raises((RuntimeError, StopIteration)):
        asyncio.run(run())


def test_the_clients_own_lag_is_no_fault_of_the_service() -> None:
    answers = [
        Answer(0.03, 503, True, 0.0),
        Answer(0.08, 503, True, 0.06),
        Answer(1, 200, False, 0),
    ]
    found = overload.report(answers, [], 10.0, 5.0, 1.0, 0.1, 1.0)
    assert found.prompt_share == 0.5 and found.served_prompt_share == 1.0
    assert not found.faults
    assert replace(found, recovery_s=None).faults and replace(found, recovery_s=9.0).faults
    assert overload.report([], [], 10.0, 5.0, 1.0, 0.1, 1.0).faults == ["nothing was accepted"]


def test_lag_is_that_of_the_time_of_a_request() -> None:
    async def run() -> tuple[float, float]:
        lag = overload.Lag()
        watch = asyncio.create_task(lag.watch())
        await asyncio.sleep(0.05)
        before = time.perf_counter()
        time.sleep(0.1)  # noqa: ASYNC251 - nothing else is to run meanwhile
        await asyncio.sleep(0.02)
        after = time.perf_counter()
        await asyncio.sleep(0.05)
        watch.cancel()
        return lag.between(before, after), lag.between(before - 0.04, before - 0.02)

    within, outside = asyncio.run(run())
    assert 0.08 < within < 0.3
    assert outside < 0.08


def test_latencies_are_those_of_so_many_in_a_hundred() -> None:
    assert latencies([]) == Latencies(0, 0, 0, 0, 0)
    found = latencies(number / 1000 for number in range(100, 0, -1))
    assert found == pytest.approx(Latencies(100, 50, 95, 99, 100))


def test_line_crops_and_pages_are_sent(tmp_path: Path) -> None:
    (tmp_path / "crop.png").write_bytes(pictures.to_png(pictures.label("Label 42").image))
    (tmp_path / "page.png").write_bytes(bytes(70_000))
    records = {
        "words": {"image": "crop.png", "text": ""},
        "pages": {"image": "page.png", "lines": []},
    }
    for name, record in records.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record) + "\n")
    assert max(map(len, overload.requests(tmp_path, pages=False))) < 70_000
    assert min(map(len, overload.requests(tmp_path, pages=True))) > 70_000
