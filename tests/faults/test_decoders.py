"""Processes that open files die alone."""

import time

import pytest

from tests.faults.clients import asking, check, fault
from tests.faults.processes import decoders
from tests.service.served import Served

pytestmark = pytest.mark.slow


def test_a_killed_decoder(whole: Served) -> None:
    with asking(whole, 4) as account, fault(account):
        (first, *_) = decoders(whole)
        while first.status() != "running":  # it opens a file just now
            assert time.monotonic() < account.fault + 5
        first.kill()
    check(account, "a process that opens files killed, 4 clients", "IMAGE_DAMAGED")
    assert account.outcomes()["IMAGE_DAMAGED"] <= 1
    assert first not in decoders(whole)
