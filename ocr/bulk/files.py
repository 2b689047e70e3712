"""Files on local disk and in object storage, by fsspec."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, BinaryIO

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from ocr.errors import FileUnreadable, OcrError

READ_S = 300.0  # in which what a http URL names must have come


class Place:
    """A file or folder: a local path, or a URL such as s3://bucket/key, gs://... or https://...

    Raises FileUnreadable for a URL of a kind that no installed package knows.
    """

    def __init__(self, name: str) -> None:
        self.fs, self.path = _file_system(name)

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, LocalFileSystem)

    def __str__(self) -> str:
        return self.name_of(self.path)

    def name_of(self, path: str) -> str:
        """What to call one of the file system's paths: a local one as it is, others as URLs.

        Bytes that are no UTF-8 are written out: no table takes them, and one file, which cannot be
        read then, must not cost the others their rows.
        """
        name = path if self.is_local else str(self.fs.unstrip_protocol(path))
        return name.encode("utf-8", "backslashreplace").decode("utf-8")

    def at(self, *parts: str) -> str:
        """The path of something in this folder."""
        return "/".join((self.path.rstrip("/"), *parts))

    def write(self, path: str, data: bytes) -> None:
        """Write a file so that it is there whole, or not at all, whatever happens meanwhile."""
        if not self.is_local:  # an object is there when all of it has come
            self.fs.pipe_file(path, data)
            return
        folder, _, name = path.rpartition("/")
        self.fs.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/.{name}.unfinished"
        with open(unfinished, "wb") as file:  # noqa: PTH123 - a path of fsspec's
            file.write(data)
            _flush(file)
        os.replace(unfinished, path)  # noqa: PTH105

    def move(self, path: str, to: str) -> None:
        """Give a file another name. Raises FileNotFoundError if it is not there."""
        if self.is_local:
            self.fs.makedirs(to.rpartition("/")[0], exist_ok=True)
            os.replace(path, to)  # noqa: PTH105
        else:
            self.fs.invalidate_cache(path)  # others write here too
            self.fs.cp_file(path, to)  # mv would take names with brackets for patterns
            self.fs.rm_file(path)

    def files(self, folder: str) -> list[str]:
        """The paths of all files in a folder, at any depth."""
        # A folder on disk that cannot be looked into would be left out in silence.
        strict = {"on_error": "raise"} if self.is_local else {}
        return sorted(self.fs.find(folder, **strict))

    def remove(self, folder: str) -> None:
        """Remove all files of a folder, which need not be there."""
        self.fs.invalidate_cache()
        for path in self.fs.find(folder):
            self.fs.rm_file(path)

    def names(self, folder: str, suffix: str) -> list[str]:
        """The names of the files with this suffix in a folder, which need not be there."""
        self.fs.invalidate_cache()
        try:
            paths = self.fs.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for path in paths if (name := path.rpartition("/")[2]).endswith(suffix))


def read(name: str) -> bytes:
    """A file's bytes. Raises FileUnreadable."""
    fs, path = _file_system(name)
    with readable():
        data: bytes = fs.cat_file(path)
    return data


@contextmanager
def readable() -> Iterator[None]:
    """Raise as FileUnreadable what a storage raises: each kind has errors of its own."""
    try:
        yield
    except OcrError:
        raise
    except Exception as error:
        raise FileUnreadable(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"


@cache
def _known(protocol: str) -> None:
    """Raises FileUnreadable."""
    try:
        fsspec.get_filesystem_class(protocol)
    except (ValueError, ImportError) as error:
        raise FileUnreadable(f"{protocol}: {error}") from None


def _file_system(name: str) -> tuple[Any, str]:
    if "://" in name:
        _known(name.partition("://")[0].lower())
    fs, _ = url_to_fs(name.partition("::")[0])  # which it would take for the end of a URL
    return fs, str(fs._strip_protocol(name))


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
