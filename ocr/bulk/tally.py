"""How far a job is: shown where it was started, as its rows come."""

import time
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa

from ocr.bulk.rows import failures
from ocr.progress import bar, tell

TOLD_EVERY_S = 60.0  # where there is no terminal


@dataclass(frozen=True)
class Counts:
    """Inputs that are done, a page of ten as a tenth of one, pages that were read, and failures."""

    inputs: float = 0.0
    read: int = 0
    failed: int = 0

    @classmethod
    def of(cls, rows: pa.Table) -> "Counts":
        failed = failures(rows)
        inputs = sum(1 / max(1, pages) for pages in rows["pages"].to_pylist())
        return cls(inputs, rows.num_rows - failed, failed)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inputs + other.inputs, self.read + other.read, self.failed + other.failed
        )


class Progress:
    """Shows how far a job is while its context lasts: a bar on a terminal, else lines."""

    def __init__(self, inputs: int, *, quiet: bool) -> None:
        self._inputs = inputs
        self._bar = bar("", " input", inputs, quiet=quiet)
        self._tells = self._bar.disable and not quiet
        self._counts = Counts()
        self._start = self._told = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def add(self, more: Counts) -> None:
        self._counts += more
        self._bar.set_postfix_str(self._pages(), refresh=False)
        self._bar.update(more.inputs)
        now = time.monotonic()
        if self._tells and self._counts.inputs and now - self._told >= TOLD_EVERY_S:
            self._told = now
            tell(self._line(now - self._start))

    def _pages(self) -> str:
        return f"{self._counts.read} pages read, {self._counts.failed} failed"

    def _line(self, seconds: float) -> str:
        inputs, pages = self._counts.inputs, self._counts.read + self._counts.failed
        left = (self._inputs - inputs) / inputs * seconds
        return (
            f"bulk: {inputs:.0f} of {self._inputs} inputs, {self._pages()}, "
            f"{pages / seconds:.2f} pages/s, {left / 60:.0f} min left"
        )
