"""A network that hangs in the middle of a batch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import serving

from runners import watchdog
from tests.faults.clients import asking, check, fault, wait_until_whole
from tests.service.served import Served

pytestmark = pytest.mark.slow


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    return tmp_path / "stuck"


@pytest.fixture
def service(store: Path, stuck: Path, tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(store / "models")
    with serving.served(
        "tests.faults.stuck_service:OCR", BENTOML_HOME=str(home), STUCK=str(stuck), OCR_JOBS="off"
    ) as (url, pid):
        yield Served(url, pid)


def test_a_network_that_hangs(service: Served, stuck: Path) -> None:
    wait_until_whole(service)
    with asking(service, 4) as account, fault(account):
        stuck.touch()
    check(account, "a network hangs in a batch, 4 clients, STILL_S = 2")
    assert not stuck.exists()
    assert watchdog.STILL_S > 10
