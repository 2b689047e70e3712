"""A runner that dies is missed for a moment only."""

import time
from pathlib import Path

import psutil

from tests import pictures
from tests.service.served import Served, serve

LABEL = pictures.to_base64(pictures.to_png(pictures.label("Hello 2026", size=28).image))


def _runner(served: Served, name: str) -> psutil.Process:
    port = int(served.url.rpartition(":")[2])
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if f"--service-name {name}" in command and _serves(process, port):
            return process
    raise AssertionError(f"no process of {name}")


def _serves(process: psutil.Process, port: int) -> bool:
    """Whether a process descends from the server on this port."""
    return any(f"--port {port}" in " ".join(parent.cmdline()) for parent in process.parents())


def test_a_killed_runner_comes_back(store: Path) -> None:
    with serve(store) as served:
        assert served.texts(LABEL) == ["Hello 2026"]
        _runner(served, "Recognition").kill()
        deadline = time.monotonic() + 20
        answer = served.read(LABEL)
        while answer.status_code != 200 and time.monotonic() < deadline:
            assert answer.status_code == 500
            assert answer.json()["errors"][0]["code"] == "INFERENCE_FAILED"
            time.sleep(0.2)
            answer = served.read(LABEL)
        assert [line["text"] for line in answer.json()["results"][0]] == ["Hello 2026"]
