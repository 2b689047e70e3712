"""A service with small limits, which has to be as well after each test as it was before."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from machine import tree
from processes import DECODER, Names

from tests.service.served import Served, serve

TIMEOUT_S = 20
REST_S = 60.0  # in which all that was begun has to end


@pytest.fixture(scope="session")
def running(store: Path) -> Iterator[Served]:
    with serve(
        store,
        max_images="4",
        max_pixels="1000000",
        max_image_bytes="300000",
        max_request_bytes="500000",
        max_pages="3",
        max_job_pages="3",
        timeout_s=str(TIMEOUT_S),
        upload_timeout_s="3",
        url_timeout_s="1",
    ) as service:
        yield service


@pytest.fixture
def fuzzed(running: Served) -> Iterator[Served]:
    """The service; nothing of it has crashed, hangs or is still in work when a test ends."""
    before = _processes(running.pid)
    yield running
    end = time.monotonic() + REST_S
    while (busy := _in_work(running)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not busy
    assert running.get("/health/inference").json()["status"] == "ok"
    assert _processes(running.pid) == before


def _processes(pid: int) -> dict[str, int]:
    """The processes by name, but for those that open files: they may die of it."""
    named = Names().of(tree(psutil.Process(pid)))
    return {name: each.pid for each, name in named.items() if not name.startswith(DECODER)}


def _in_work(service: Served) -> float:
    lines = service.get("/metrics").text.splitlines()
    (value,) = [each.split()[1] for each in lines if each.startswith("ocr_requests_in_work")]
    return float(value)
