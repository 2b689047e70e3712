"""What travels from stage to stage: inputs, and the pages of them."""

import logging
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa

from ocr.detection.tiles import Tile
from ocr.document import Page, Pixels
from ocr.errors import OcrError
from ocr.line_reader import Parts, Quads
from ocr.recognition import lines
from ocr.recognition.lines import PackedLines

COLUMN = "work"
SCHEMA = pa.schema([(COLUMN, pa.large_binary())])
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
    """One file to read: its path or URL, and how often that came before in what was given.

    `done` are pages of it that an earlier run has written.
    """

    source: str
    occurrence: int = 0
    done: tuple[int, ...] = ()


@dataclass(frozen=True)
class LoadedInput:
    """An input's bytes, or why they cannot be had."""

    input: Input
    data: bytes
    error: OcrError | None = None


@dataclass(frozen=True)
class UnreadPage:
    """The pixels of a page that is to be read, and what the stages so far have made of them.

    `shown` is what detection is shown; `quads` what it finds, (n, 4, 2) in pixels; `crops` are
    those of all lines, each of which is as many as `crops_of_lines` says, if they have been cut.
    """

    pixels: Pixels
    dpi: float | None = None
    shown: tuple[Tile, ...] = ()
    quads: Quads = field(default_factory=lambda: np.zeros((0, 4, 2), np.float32))
    crops: PackedLines | None = None
    crops_of_lines: tuple[int, ...] | None = None

    def located(self, quads: Quads) -> "UnreadPage":
        return replace(self, quads=quads, shown=())

    def cut(self, crops: Parts) -> "UnreadPage":
        flat = [crop for line in crops for crop in line]
        packed = lines.pack(flat) if flat else None
        return replace(self, crops=packed, crops_of_lines=tuple(len(line) for line in crops))

    def parts(self) -> list[list[Pixels]] | None:
        """The crops again, as views, if they have been cut."""
        if self.crops_of_lines is None:
            return None
        crops = iter(self.crops.unpack() if self.crops else [])
        return [[next(crops) for _ in range(count)] for count in self.crops_of_lines]


@dataclass(frozen=True)
class PageWork:
    """One page on its way, number `number` of `count`; both are 0 for an input without any.

    It is still `unread`, or has become a `page` or an `error`. `seconds` is its share of the
    stages' time.
    """

    input: Input
    number: int = 0
    count: int = 0
    unread: UnreadPage | None = None
    page: Page | None = None
    error: OcrError | None = None
    seconds: float = 0.0

    def is_now(self, unread: UnreadPage) -> "PageWork":
        return replace(self, unread=unread)

    def read(self, page: Page) -> "PageWork":
        return replace(self, unread=None, page=replace(page, number=self.number))

    def failed(self, error: OcrError) -> "PageWork":
        return replace(self, unread=None, page=None, error=error)

    def with_seconds(self, more: float) -> "PageWork":
        return replace(self, seconds=self.seconds + more)


def pack(items: Iterable[Any]) -> pa.Table:
    """A table for Ray with a row an item."""
    rows = [pickle.dumps(item, pickle.HIGHEST_PROTOCOL) for item in items]
    return pa.table([pa.array(rows, pa.large_binary())], schema=SCHEMA)


def unpack(table: pa.Table, kind: type[T]) -> list[T]:
    """The items that `pack` has put into a table."""
    buffers = (each.as_buffer() for each in table[COLUMN])
    return [cast(T, pickle.loads(each)) for each in buffers]  # noqa: S301 - of our own stages


@contextmanager
def guarded() -> Iterator[None]:
    """Raise as an OcrError whatever is none: one page must not cost the others their rows."""
    try:
        yield
    except OcrError:
        raise
    except Exception as error:
        log.exception("a page could not be read")
        raise OcrError(f"{type(error).__name__}: {error}") from error
