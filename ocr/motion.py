"""Whether work that was begun moves on: a network can hang, and then says nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Motion:
    """Batches in work and when one of them last moved on. For many threads."""

    def __init__(self) -> None:
        self._batches = 0
        self._moved = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A batch is in work while this lasts."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def moved(self) -> None:
        """A part of some batch is done."""
        self._moved = time.monotonic()

    @property
    def still_s(self) -> float:
        """Seconds since anything moved, if a batch is in work, else 0."""
        with self._lock:
            return time.monotonic() - self._moved if self._batches else 0.0

    def _count(self, change: int) -> None:
        with self._lock:
            self._batches += change
            self.moved()
