"""An object store on loopback, moto's S3, and folders in it and on disk that are used alike."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import fsspec
from moto.server import ThreadedMotoServer

T = TypeVar("T")

_OTHERS: dict[Any, Any] = {}  # the file systems of another process


@contextmanager
def served() -> Iterator[str]:
    """Serve S3 on a free port; gives its URL. Every key may do everything."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def environment(url: str) -> Mapping[str, str]:
    """The environment in which s3:// is the store at a URL, for this process and for others."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


@dataclass(frozen=True)
class Lake:
    """A folder on disk or in an object store; `root` is what to call it, without a slash."""

    root: str
    fs: Any

    def put(self, name: str, data: bytes = b"x") -> str:
        """Write a file; gives what to call it."""
        self.fs.pipe_file(self._path(name), data)
        return self.name(name)

    def get(self, name: str) -> bytes:
        data: bytes = self.fs.cat_file(self._path(name))
        return data

    def remove(self, name: str) -> None:
        self.fs.rm_file(self._path(name))

    def name(self, name: str) -> str:
        return f"{self.root}/{name}"

    def names(self, folder: str = "") -> list[str]:
        """All files in it, or in a folder of it, as seen from here."""
        self.fs.invalidate_cache()
        paths = self.fs.find(self._path(folder).rstrip("/"))
        return sorted(path.removeprefix(self._path("")) for path in paths)

    def _path(self, name: str) -> str:
        return f"{self.root.removeprefix('s3://')}/{name}"


def on_disk(folder: str) -> Lake:
    return Lake(folder, fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True))


def in_store(url: str, bucket: str) -> Lake:
    """A new bucket of the store at a URL."""
    fs = _client(url)
    fs.mkdir(bucket)
    return Lake(f"s3://{bucket}", fs)


@cache
def _client(url: str) -> Any:
    return fsspec.filesystem("s3", endpoint_url=url, skip_instance_cache=True)


def elsewhere(call: Callable[..., T], *arguments: Any) -> T:
    """Call as another process would: with other file systems, which have listings of their own."""
    _swap()
    try:
        return call(*arguments)
    finally:
        _swap()


def forget() -> None:
    """Forget file systems, as the environment has changed by which they find their store."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    _OTHERS.clear()


def _swap() -> None:
    ours = fsspec.get_filesystem_class("s3")._cache
    kept = dict(ours)
    ours.clear()
    ours.update(_OTHERS)
    _OTHERS.clear()
    _OTHERS.update(kept)
