"""The files that a command line names: files, folders, patterns, standard input."""

import glob
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ocr.errors import FileUnreadable

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One file, which may not be there; without a path it is standard input, and its `data` here.

    `name` is its place in the folder that it was found in, `source` what it is called.
    """

    path: Path | None
    name: PurePath
    data: bytes = field(default=b"", compare=False, repr=False)

    @property
    def source(self) -> str:
        return self.name.name

    def __str__(self) -> str:
        return str(self.path or self.name)

    def load(self) -> bytes:
        """Its bytes. Raises FileUnreadable."""
        try:
            return self.data if self.path is None else self.path.read_bytes()
        except OSError as error:
            raise FileUnreadable(error.strerror or str(error)) from error


def find(
    arguments: Sequence[str], suffixes: Collection[str], without: Path | None = None
) -> list[Input]:
    """The files that are named, in that order, each once.

    Of folders those with one of the suffixes, at any depth, but nothing hidden, and nothing in
    `without` where that lies in the folder. A pattern that matches nothing stands for itself.
    Standard input is read at once.
    """
    found: dict[Path | None, Input] = {}
    for argument in arguments:
        for each in _inputs(argument, suffixes, without):
            found.setdefault(each.path and each.path.resolve(), each)
    return list(found.values())


def _inputs(argument: str, suffixes: Collection[str], without: Path | None) -> Iterator[Input]:
    if argument == STDIN:
        yield Input(None, PurePath("stdin"), sys.stdin.buffer.read())
        return
    for path in _paths(argument):
        if path.is_dir():
            for file in _files(path, without):
                if file.suffix.lower() in suffixes:
                    yield Input(file, file.relative_to(path))
        else:
            yield Input(path, PurePath(path.name))


def _paths(argument: str) -> list[Path]:
    """What a pattern matches, where the shell has left one."""
    path = Path(argument)
    if path.exists():
        return [path]
    names = glob.glob(argument, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute one
    return [Path(name) for name in sorted(names)] or [path]


def _files(folder: Path, without: Path | None) -> Iterator[Path]:
    """The files of a folder and, after them, those of its folders."""
    left_out = without and without.resolve()
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (here / name).resolve() != left_out
        )
        yield from (here / name for name in sorted(files) if not name.startswith("."))
