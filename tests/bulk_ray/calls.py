"""The bulk job as a user calls it: a process of its own, and what it has written."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tests.conftest import ROOT

ALL, NONE, INTERRUPTED = 0, 3, 130
PATIENCE_S = 120.0  # of a call on a machine that is busy
PROGRAM = (str(ROOT / "bulk.py"),)
KEY = ("source", "occurrence", "page")

Row = dict[str, Any]


@dataclass(frozen=True)
class Bulk:
    """bulk.py, called in a folder with an environment."""

    folder: Path
    environment: Mapping[str, str]
    program: tuple[str, ...] = PROGRAM

    def by(self, module: str) -> "Bulk":
        """The same, by a module of this package that stands in for bulk.py."""
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        return Bulk(self.folder, environment, ("-m", f"{__package__}.{module}"))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call it, and wait until it ends."""
        with self.begun(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @contextmanager
    def begun(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Call it as a terminal does: in a group of its own, which is ended in the end."""
        process = subprocess.Popen(
            [sys.executable, *self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def rows(self, output: str = "out", **options: Any) -> list[Row]:
        """The rows of an output, as any reader of Parquet or JSON lines finds them, in order."""
        found = ds.dataset(str(self.folder / output), **{"format": "parquet"} | options)
        rows: list[Row] = found.to_table().to_pylist()
        return sorted(rows, key=key)


def key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def twice(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The pages that have more than one row."""
    return [page for page, count in Counter(map(key, rows)).items() if count > 1]


def parts(output: Path) -> list[str]:
    """The parts that count."""
    return sorted(path.name for path in output.glob("part-*"))


def sizes(output: Path) -> list[int]:
    """Rows of the parts that count, fewest first."""
    return sorted(pq.read_metadata(output / name).num_rows for name in parts(output))


def wait_for_parts(process: subprocess.Popen[str], output: Path, count: int) -> None:
    """Wait until so many parts count; fails if the process ends before."""
    end = time.monotonic() + PATIENCE_S
    while len(parts(output)) < count:
        if process.poll() is not None:
            raise AssertionError(f"it ended: {process.communicate()}")
        assert time.monotonic() < end, f"{parts(output)} after {PATIENCE_S} s"
        time.sleep(0.02)
