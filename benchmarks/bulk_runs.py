"""Runs of bulk.py as a user starts it, on this machine: their output, memory and end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from machine import Sampler, tree
from serving import ROOT

SAMPLING_S = 1.0
END_S = 120.0  # in which all of Ray's processes have to be gone: its agents take a minute
TOLD = 4000  # bytes of what a failed run said


@dataclass(frozen=True)
class Mark:
    """So many rows were there so many seconds after the start."""

    seconds: float
    rows: int


@dataclass(frozen=True)
class Memory:
    """The most that a run took at one moment, in bytes, and its largest process.

    Proportional set sizes: of what several processes share, and of the object store, which Ray maps
    into all of them, each has its part, so that a sum counts everything once.
    """

    peak_bytes: int
    process: str
    process_bytes: int


class MemoryWatch(Sampler):
    """Samples a process and all that descend from it each second while its context lasts."""

    def __init__(self, pid: int) -> None:
        super().__init__(SAMPLING_S)
        self._root = psutil.Process(pid)
        self._peak = 0
        self._largest: tuple[int, str] = (0, "")

    @property
    def memory(self) -> Memory:
        size, name = self._largest
        return Memory(self._peak, name, size)

    def look(self) -> None:
        """Take a sample."""
        sizes = [(0, ""), *_sizes(tree(self._root))]
        self._peak = max(self._peak, sum(size for size, _ in sizes))
        self._largest = max(self._largest, *sizes)


def _sizes(processes: Sequence[psutil.Process]) -> Iterator[tuple[int, str]]:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended since it was listed
            yield process.memory_full_info().pss, _name(process.cmdline())


def _name(command: Sequence[str]) -> str:
    """What to call a process: what Ray's name themselves, or the file that runs."""
    if not command:
        return "?"
    named = command[0] if command[0].startswith("ray::") else " ".join(command[:3])
    return " ".join(part.rpartition("/")[2] for part in named.split())


class Run:
    """A bulk.py that runs, or has run."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path, log: Path) -> None:
        self._process = process
        self._output = output
        self._log = log
        self._start = time.time()  # comparable with the times of files
        self._orphans: list[psutil.Process] = []
        self.seconds = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, *allowed: int) -> None:
        """Wait for its end. Raises RuntimeError, with what it said last, for another status."""
        status = self._process.wait()
        self.seconds = time.time() - self._start
        if status not in allowed:
            said = self._log.read_bytes()[-TOLD:].decode("utf-8", "replace")
            raise RuntimeError(f"bulk.py ended with {status}\n{said}")

    def kill_at(self, count: int) -> None:
        """SIGKILL it, and nothing else, when so many rows are there.

        Raises RuntimeError if it ends before.
        """
        while rows_there(self._output) < count:
            if self._process.poll() is not None:
                self.wait()
            time.sleep(0.2)
        self._orphans = tree(psutil.Process(self.pid))[1:]
        self._process.kill()
        self._process.wait()
        self.seconds = time.time() - self._start

    def orphans(self) -> list[str]:
        """Which processes have not ended by themselves after a kill; these are ended."""
        _, alive = psutil.wait_procs(self._orphans, timeout=END_S)
        names = [name for _, name in _sizes(alive)]
        for each in alive:
            each.kill()
        return names

    def marks(self) -> list[Mark]:
        """How its output grew: when each of its parts was written."""
        parts = [(path.stat().st_mtime, path) for path in _parts(self._output)]
        found, rows = [], 0
        for written, path in sorted(parts):
            if written >= self._start:
                rows += pq.read_metadata(path).num_rows
                found.append(Mark(written - self._start, rows))
        return found


@contextmanager
def running(inputs: Path, output: Path, part_rows: int | None = None) -> Iterator[Run]:
    """Start bulk.py over a list of inputs on a Ray of its own; one that still runs is ended."""
    command = [sys.executable, "bulk.py", str(inputs), str(output), "--address", "local", "--quiet"]
    command += ["--part-rows", str(part_rows)] if part_rows else []
    log = output.with_suffix(".log")
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield Run(process, output, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def rows(output: Path, columns: Sequence[str]) -> pa.Table:
    """All rows of an output."""
    return pa.concat_tables(pq.read_table(path, columns=list(columns)) for path in _parts(output))


def rows_there(output: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in _parts(output))


def _parts(output: Path) -> list[Path]:
    return sorted(output.glob("part-*.parquet"))
