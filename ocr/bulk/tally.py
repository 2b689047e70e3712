"""How far a job is: counted where pages are done, shown where the job was started."""

import threading
from contextlib import closing
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import RayError

from ocr.progress import bar, tell

EVERY_S = 1.0
TOLD_EVERY = 60  # of these, where there is no terminal


class Tally:
    """Counts inputs, a page of ten as a tenth of one, pages that were read, and failures.

    What Ray does twice is counted twice: the output itself is what is right.
    """

    def __init__(self) -> None:
        self._counts = [0.0, 0, 0]

    def add(self, inputs: float, read: int, failed: int) -> None:
        for i, more in enumerate((inputs, read, failed)):
            self._counts[i] += more

    def counts(self) -> list[float]:
        return self._counts


class Progress:
    """Shows a tally while its context lasts: a bar on a terminal, else a line now and then."""

    def __init__(self, tally: Any, inputs: int, *, quiet: bool) -> None:
        self._tally = tally
        self._inputs = inputs
        self._quiet = quiet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(bar("", " input", self._inputs, quiet=self._quiet)) as shown:
            ticks = 0
            while not self._over.wait(EVERY_S):
                try:
                    inputs, read, failed = ray.get(self._tally.counts.remote(), timeout=EVERY_S)
                except RayError:
                    continue  # busy, or its machine is lost and it starts again
                ticks += 1
                shown.set_postfix_str(f"{read:.0f} pages read, {failed:.0f} failed", refresh=False)
                shown.update(max(0.0, inputs - shown.n))
                if shown.disable and not self._quiet and ticks % TOLD_EVERY == 0:
                    tell(self._line(inputs, read, failed, ticks * EVERY_S))

    def _line(self, inputs: float, read: float, failed: float, seconds: float) -> str:
        pace = inputs / seconds
        left = f"{(self._inputs - inputs) / pace / 60:.0f} min left" if pace else "not begun"
        return (
            f"bulk: {inputs:.0f} of {self._inputs} inputs, {read:.0f} pages read, "
            f"{failed:.0f} failed, {(read + failed) / seconds:.2f} pages/s, {left}"
        )
