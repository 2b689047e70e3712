"""Starts and stops the service, and the one it is compared with, as a user does."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).parents[1]
START = 180.0  # seconds that the service may take to be ready
STOP = 20.0  # seconds that it may take to end


@contextmanager
def served(service: str = "service:OCR", /, **variables: str) -> Iterator[tuple[str, int]]:
    """Start a service of this repository on a free port; gives its URL and process id.

    `variables` are added to its environment; jobs go to a database that ends with it, unless they
    name another. Raises RuntimeError with the end of its output if it does not become ready.
    """
    port = free_port()
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", service]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        own = {"BENTOML_DO_NOT_TRACK": "True", "OCR_JOBS": f"{folder}/jobs.sqlite"} | variables
        with _running(command, port, "/readyz", own) as pid:
            yield f"http://127.0.0.1:{port}", pid


@contextmanager
def served_by_rapidocr() -> Iterator[tuple[str, int]]:
    """Start the server of the package rapidocr_api, as `served` does ours."""
    port = free_port()
    command = [sys.executable, "-m", "rapidocr_api.main", "--ip", "127.0.0.1", "--port", str(port)]
    with _running(command, port, "/", {}) as pid:
        yield f"http://127.0.0.1:{port}", pid


@contextmanager
def _running(
    command: Sequence[str], port: int, ready: str, variables: Mapping[str, str]
) -> Iterator[int]:
    """Run a server until the context ends; gives its process id once a GET of `ready` succeeds."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | dict(variables),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, port, ready, log)
            yield process.pid
        finally:
            _stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", port: int, path: str, log: IO[bytes]
) -> None:
    end = time.monotonic() + START
    while not _ready(port, path):
        if process.poll() is not None or time.monotonic() > end:
            log.seek(0)
            output = log.read().decode("utf-8", "replace")
            raise RuntimeError(f"the service did not become ready\n{output[-4000:]}")
        time.sleep(0.2)


def _ready(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):  # nobody listens yet
        return False
    finally:
        connection.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and, should they outlive it, its descendants."""
    if process.poll() is not None:
        return
    tree = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(tree, timeout=5)
    for child in alive:
        child.kill()
