"""Bars of progress on standard error, where that is a terminal."""

import sys
import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, cast

from tqdm import tqdm

PATIENCE_S = 0.5  # what is done sooner shows no bar


def bar(title: str, unit: str, total: int | None = None, *, quiet: bool = False) -> Any:
    """A bar that goes away when it is closed; of bytes where the unit is B."""
    return tqdm(
        desc=title,
        unit=unit,
        total=total,
        unit_scale=unit == "B",
        dynamic_ncols=True,
        leave=False,
        delay=PATIENCE_S,
        file=sys.stderr,
        disable=quiet or not sys.stderr.isatty(),
    )


def tell(line: str) -> None:
    """Write a line on standard error, above a bar that is there."""
    tqdm.write(line, file=sys.stderr)


def aside() -> AbstractContextManager[None]:
    """While this lasts no bar stands in the way of what else is written on the terminal."""
    return cast(AbstractContextManager[None], tqdm.external_write_mode())


class Pages:
    """One bar for the pages of many files, each taken for one page until it is opened."""

    def __init__(self, files: int, *, quiet: bool = False) -> None:
        self._bar = bar("", " page", files, quiet=quiet)
        self.shown = not self._bar.disable

    @property
    def done(self) -> int:
        return int(self._bar.n)

    @property
    def total(self) -> int:
        return int(self._bar.total)

    def file(self) -> "FilePages":
        return FilePages(self)

    def add(self, more: int, done: int = 0) -> None:
        self._bar.total += more
        self._bar.update(done)

    def close(self) -> None:
        self._bar.close()


class FilePages:
    """One file's share of the bar, told by what reads it; pages left at its end will not come."""

    def __init__(self, pages: Pages) -> None:
        self._all = pages
        self._left = 1
        self.shown = pages.shown

    def begin(self, count: int) -> None:
        self._all.add(count - self._left)
        self._left = count

    def page(self) -> None:
        self._left -= 1
        self._all.add(0, 1)

    def end(self) -> None:
        self._all.add(0, self._left)
        self._left = 0


class Downloads:
    """One bar for the bytes of several files that come side by side; for use with `with`.

    `file` is what ModelScope's client takes as a class of progress callbacks. A file that comes
    anew, because what came was damaged, is counted once.
    """

    def __init__(self, title: str) -> None:
        self._bar = bar(title, "B", total=0)
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    @property
    def come(self) -> int:
        return int(self._bar.n)

    @property
    def size(self) -> int:
        return int(self._bar.total)

    def file(self, name: str, size: int) -> "_File":
        """Begin a file of `size` bytes, or begin it again."""
        with self._lock:
            before = self._files.get(name)
            self._bar.total += size - (before.size if before else 0)
            self._bar.update(-before.come if before else 0)
            self._files[name] = _File(self, size)
            return self._files[name]

    def update(self, file: "_File", count: int) -> None:
        """Count bytes of a file; a file that starts over takes some back."""
        with self._lock:
            file.come += count
            self._bar.update(count)


class _File:
    """One file's share of a bar, with the methods of the client's callbacks."""

    def __init__(self, downloads: Downloads, size: int) -> None:
        self._downloads = downloads
        self.size = size
        self.come = 0

    def update(self, size: int) -> None:
        self._downloads.update(self, size)

    def end(self) -> None:
        """The bar ends with all files together."""
