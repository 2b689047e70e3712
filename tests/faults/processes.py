"""The processes of a running service, found by what they were started as."""

import time

import psutil

from tests.service.served import Served

RUNNERS = ("Detection", "Recognition")
FRONT = "OCR"  # the service of the processes that take requests


def tree(served: Served) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(served.pid).children(recursive=True)
    return found


def workers(served: Served, name: str) -> list[psutil.Process]:
    """The processes of one service: a runner's, or those that take requests."""
    return [each for each in tree(served) if f"--service-name {name} " in _command(each)]


def worker(served: Served, name: str) -> psutil.Process:
    """A process of a service, waited for if need be."""
    end = time.monotonic() + 20
    while not (found := workers(served, name)):
        assert time.monotonic() < end, f"no process of {name}"
        time.sleep(0.05)
    return found[0]


def decoders(served: Served) -> list[psutil.Process]:
    """The processes that open files."""
    return [each for each in tree(served) if "ocr.decoder" in _command(each)]


def cpu_share(served: Served, seconds: float) -> float:
    """Of one core, what all processes together take for so long."""
    before = _cpu_s(served)
    time.sleep(seconds)
    return (_cpu_s(served) - before) / seconds


def _cpu_s(served: Served) -> float:
    total = 0.0
    for each in tree(served):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) + " "
    except psutil.NoSuchProcess:
        return ""
