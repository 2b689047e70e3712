"""Where what was read goes: a file for each input, whole or not at all."""

import asyncio
import os
import secrets
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from ocr import progress
from ocr.command.inputs import Input

SEPARATORS = {"json": "", "text": "==> {} <==\n", "markdown": "<!-- {} -->\n\n"}


class Output(ABC):
    """What takes the files that are made of inputs."""

    def has(self, each: Input) -> bool:
        """Whether what an input says is there already."""
        return False

    @abstractmethod
    async def put(self, each: Input, data: bytes | None) -> None:
        """Take the file made of an input, None if it could not be read. Raises OSError."""


class Files(Output):
    """A file of its own for each input; what is there is made again only if that is `forced`."""

    def __init__(self, places: Mapping[Input, Path], forced: bool = False) -> None:
        self._places = places
        self._forced = forced

    def has(self, each: Input) -> bool:
        return not self._forced and is_done(self._places[each], each)

    async def put(self, each: Input, data: bytes | None) -> None:
        if data is not None:
            await asyncio.to_thread(write, self._places[each], data)


class Stream(Output):
    """One file after the other, in the order of the inputs, whichever is made first.

    Several inputs are told apart as their format allows it, one of SEPARATORS.
    """

    def __init__(self, stream: BinaryIO, inputs: Sequence[Input], kind: str) -> None:
        self._stream = stream
        self._inputs = inputs
        self._kind = kind
        self._made: dict[Input, bytes | None] = {}
        self._next = 0

    async def put(self, each: Input, data: bytes | None) -> None:
        self._made[each] = data
        while self._next < len(self._inputs) and self._inputs[self._next] in self._made:
            following = self._inputs[self._next]
            self._next += 1
            self._write(following, self._made.pop(following))

    def _write(self, each: Input, data: bytes | None) -> None:
        if data is None:
            return
        with progress.aside():
            if len(self._inputs) > 1:
                self._stream.write(SEPARATORS[self._kind].format(each).encode("utf-8", "replace"))
            self._stream.write(data)
            if self._kind in SEPARATORS and not data.endswith(b"\n"):
                self._stream.write(b"\n")
            self._stream.flush()


def places(inputs: Sequence[Input], folder: Path, suffix: str) -> list[Path]:
    """A file in the folder for each input, all of them different, named after it.

    Where two would be the same the inputs keep their suffixes as well, and where that does not
    help, the folders that they lie in.
    """
    names = [_names(each, _common(inputs), suffix) for each in inputs]
    chosen = [0] * len(inputs)
    while True:
        taken = [folder / options[level] for options, level in zip(names, chosen, strict=True)]
        count = Counter(taken)
        clashing = [i for i, place in enumerate(taken) if count[place] > 1 and chosen[i] < 2]
        if not clashing:
            return taken
        for i in clashing:
            chosen[i] += 1


def _names(each: Input, common: Path, suffix: str) -> tuple[PurePath, PurePath, PurePath]:
    """What an input's file may be called, from short to unmistakable."""
    full = PurePath(_absolute(each.path).relative_to(common)) if each.path else each.name
    return (
        each.name.with_suffix(suffix),
        each.name.with_name(each.name.name + suffix),
        full.with_name(full.name + suffix),
    )


def _common(inputs: Sequence[Input]) -> Path:
    """The folder that all inputs lie in."""
    folders = [_absolute(each.path).parent for each in inputs if each.path]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave a linked folder


def is_done(place: Path, each: Input) -> bool:
    """Whether there is a file already that was made after its input."""
    if each.path is None:
        return False
    try:
        return place.stat().st_mtime_ns >= each.path.stat().st_mtime_ns
    except OSError:  # one of them is not there, which is told when it is read
        return False


def write(place: Path, data: bytes) -> None:
    """Write a file, in place of one that is there; nobody ever sees half of it. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(place) as half, half.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """A path beside a file, of which the file then takes the place."""
    half = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield half
        half.replace(place)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
