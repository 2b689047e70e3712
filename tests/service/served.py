"""The service as a user starts it, on a free port, and calls to it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    pid: int
    log: Path

    def read(self, *images: str, path: str = "/ocr_system") -> httpx.Response:
        return self.post({"images": images}, path)

    def post(self, body: Any, path: str = "/ocr_system") -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60)

    def texts(self, image: str) -> list[str]:
        answer = self.read(image)
        assert answer.status_code == 200, answer.text
        return [line["text"] for line in answer.json()["results"][0]]


@contextmanager
def serve(store: Path, log: Path, **settings: str) -> Iterator[Served]:
    """Run `bentoml serve` with OCR_* settings until the end of the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "bentoml"), "serve", "service:OCR"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OCR_")},
        "BENTOML_HOME": str(store),
        "BENTOML_DO_NOT_TRACK": "True",
        **{f"OCR_{name.upper()}": value for name, value in settings.items()},
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        served = Served(f"http://127.0.0.1:{port}", process.pid, log)
        _wait_until_ready(served, process)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(served: Served, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if served.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{served.log.read_text()}")
