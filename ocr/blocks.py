"""Blocks of memory that two processes have in common, as files that have no name.

They are no shared memory of POSIX, of which a container has 64 MB. On Linux they are sealed: no
process can make a block shorter under the eyes of another, which would kill that.
"""

import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from typing import IO, Any

import numpy as np

from ocr.document import Pixels

NAME = "ocr"


class Block:
    """Bytes that go to another process by their descriptor `fd`, which this object owns."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        weakref.finalize(self, os.close, fd)

    @classmethod
    def of(cls, data: bytes) -> "Block":
        """A block that holds these bytes, which nobody can change."""
        block = cls.growing()
        with block.file("wb") as file:
            file.write(data)
        block._seal(writable=False)
        return block

    @classmethod
    def sized(cls, size: int) -> "Block":
        """A block of zeros, of a size in bytes that nobody can change."""
        block = cls.growing()
        os.ftruncate(block.fd, size)
        block._seal(writable=True)
        return block

    @classmethod
    def growing(cls) -> "Block":
        """An empty block, for as much as is written."""
        if sys.platform == "linux":
            return cls(os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()))

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def file(self, mode: str) -> IO[Any]:
        """Itself as a file, whose place is one for all processes that have it."""
        return os.fdopen(self.fd, mode, closefd=False)

    def content(self) -> bytes:
        """A copy of its bytes, whatever others do to it meanwhile."""
        size, place = self.size, 0
        parts: list[bytes] = []
        while part := os.pread(self.fd, size - place, place):
            parts.append(part)
            place += len(part)
        return b"".join(parts)

    def array(self, height: int, width: int) -> Pixels:
        """Its bytes as (height, width, 3) uint8, which hold them.

        Raises ValueError if there are fewer, and MemoryError.
        """
        try:
            mapped = mmap.mmap(self.fd, height * width * 3)
        except OSError as error:
            raise MemoryError(str(error)) from error
        return np.frombuffer(mapped, np.uint8).reshape(height, width, 3)

    def _seal(self, *, writable: bool) -> None:
        if sys.platform == "linux":
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            if not writable:
                seals |= fcntl.F_SEAL_WRITE
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)
