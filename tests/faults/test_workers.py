"""Processes that die or hang under load are missed for seconds, and by no answer."""

import signal
from pathlib import Path

import pytest

from tests.faults.clients import asking, check, fault
from tests.faults.processes import FRONT, RUNNERS, worker, workers
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", RUNNERS)
def test_a_killed_runner(whole: Served, name: str) -> None:
    first = worker(whole, name)
    with asking(whole, 8) as account, fault(account):
        first.kill()
    check(account, f"{name} killed, 8 clients")
    assert worker(whole, name) != first


def test_a_frozen_runner(whole: Served) -> None:
    first = worker(whole, "Recognition")
    with asking(whole, 4) as account, fault(account):
        first.send_signal(signal.SIGSTOP)
    check(account, "Recognition frozen, 4 clients")
    assert not first.is_running()


def test_a_killed_front(whole: Served) -> None:
    with asking(whole, 8) as account, fault(account):
        worker(whole, FRONT).kill()
    check(account, "the process that takes requests killed, 8 clients")


def test_a_killed_front_of_two(store: Path) -> None:
    with serve(store, workers="2") as served:
        first, second = workers(served, FRONT)
        with asking(served, 8) as account, fault(account):
            first.kill()
        check(account, "one of two processes that take requests killed, 8 clients")
        assert second.is_running()
        assert first not in workers(served, FRONT)
        assert len(workers(served, FRONT)) == 2
