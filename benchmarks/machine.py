"""The machine a benchmark ran on, and what its processes use of it."""

import json
import os
import platform
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

PACKAGES = (
    "onnxruntime",
    "torch",
    "bentoml",
    "rapidocr",
    "numpy",
    "opencv-python-headless",
)
SAMPLING = 0.2  # seconds


@dataclass(frozen=True)
class Usage:
    """What a tree of processes used: user and system time, and the most memory at one moment.

    Memory is what is resident, `peak_bytes` summed over the processes (pages that they share
    are counted once each), `peak_process_bytes` of the largest.
    """

    cpu_seconds: float
    peak_bytes: int
    peak_process_bytes: int


class Sampler(ABC):
    """Looks every so many seconds, in a thread, while its context lasts, and once at its end."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self.look()

    def _run(self) -> None:
        while not self._done.is_set():
            self.look()
            self._done.wait(self._every_s)

    @abstractmethod
    def look(self) -> None:
        """Take a sample."""


class Meter(Sampler):
    """Measures a process and all that descend from it, between entering and leaving.

    with Meter(pid) as meter:
        ...
    usage = meter.usage()
    """

    def __init__(self, pid: int) -> None:
        super().__init__(SAMPLING)
        self._root = psutil.Process(pid)
        self._before: dict[psutil.Process, float] = {}
        self._latest: dict[psutil.Process, float] = {}
        self._peak = 0
        self._peak_process = 0

    def __enter__(self) -> Self:
        self.look()
        self._before = dict(self._latest)
        return super().__enter__()

    def usage(self) -> Usage:
        """What was used until now. A process that started in between counts from its start."""
        seconds = sum(
            total - self._before.get(process, 0.0) for process, total in self._latest.items()
        )
        return Usage(seconds, self._peak, self._peak_process)

    def look(self) -> None:
        sizes = [self._look_at(process) for process in tree(self._root)]
        self._peak = max(self._peak, sum(sizes))
        self._peak_process = max(self._peak_process, *sizes, 0)

    def _look_at(self, process: psutil.Process) -> int:
        """Note a process's time; gives its resident bytes."""
        try:
            with process.oneshot():
                times, size = process.cpu_times(), int(process.memory_info().rss)
        except psutil.NoSuchProcess:  # it ended since it was listed; its last sample stands
            return 0
        self._latest[process] = times.user + times.system
        return size


def tree(root: psutil.Process) -> list[psutil.Process]:
    """A process and all that descend from it; none if it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def facts() -> dict[str, object]:
    """The processor, its cores as this system counts them, memory, and versions."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": _versions(),
    }


def describe() -> str:
    """The facts in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    return f"{_cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def write_json(path: Path, content: object) -> None:
    """Write a benchmark's results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # platform.processor() names no model on Linux
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
