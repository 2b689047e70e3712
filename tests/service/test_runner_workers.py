"""Runners of several processes each read as those of one do."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests import pictures
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow

CLIENTS = 6
TEXTS = [f"Label {n:03}" for n in range(2 * CLIENTS)]
LABELS = [
    pictures.to_base64(pictures.to_png(pictures.label(each, size=28).image)) for each in TEXTS
]


def _processes(served: Served, runner: str) -> int:
    tree = psutil.Process(served.pid).children(recursive=True)
    return sum(f"--service-name {runner}" in " ".join(each.cmdline()) for each in tree)


def test_two_processes_of_each_runner_read_what_clients_send_at_once(store: Path) -> None:
    with serve(store, runner_workers="2") as served, ThreadPoolExecutor(CLIENTS) as clients:
        assert [_processes(served, name) for name in ("Detection", "Recognition")] == [2, 2]
        assert list(clients.map(served.texts, LABELS)) == [[text] for text in TEXTS]
