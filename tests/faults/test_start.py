"""A worker that dies again and again at its start ends the server, so that its host can act."""

import time
from pathlib import Path

import psutil
import pytest

from tests.faults.clients import tell
from tests.faults.processes import workers
from tests.service.served import serve

pytestmark = pytest.mark.slow


def test_a_runner_that_cannot_start(store: Path) -> None:
    with serve(store, jobs="off") as served:
        server = psutil.Process(served.pid)
        start = time.monotonic()
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < start + 40
            for each in workers(served, "Detection"):
                each.kill()
            time.sleep(0.02)
        assert server.wait() != 0
        tell("a runner that dies at each start", "the server ends", time.monotonic() - start)
