"""Tensors out of published checkpoints, TensorFlow's and torch's, without either's model code.

Nothing in a file is run, and nothing in it is believed before it was checked.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ocr.errors import ModelDamaged, ModelMissing

# Of variables that training moves, TensorFlow keeps an average; of the others it does not.
AVERAGE = "/ExponentialMovingAverage"
TRAINED = {"weights", "weight", "bias", "gamma", "beta"}
STATISTICS = {"moving_mean", "moving_variance"}

WRAPPERS = ("state_dict", "model")  # what a training script may keep the tensors under
PREFIXES = ("module.", "model.", "recognizer.", "detector.")  # what wrapping modules add to names
FOLDER = 0x10  # among the attributes of an entry of an archive

# TensorFlow's numbers of the types that NumPy has as well.
TYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "u1",
    5: "<i2",
    6: "i1",
    8: "<c8",
    9: "<i8",
    10: "?",
    17: "<u2",
    18: "<c16",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48  # two handles, padding and the magic
TRAILER = 5  # of a block: kind of compression, checksum
PLAIN, SNAPPY = 0, 1
MAX_INDEX = 1 << 26  # bytes; that of SegLink++ has under 10**5
MAX_NAME = 4096
MAX_EXPANSION = 64  # snappy gets nowhere near


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Read a file that torch saved: a mapping from names to tensors, or one that holds one.

    The names lose what wrapping modules put before them, such as "module." or "recognizer.".

    Raises ModelMissing if there is no file, ModelDamaged if it is cut off or altered, or holds
    anything but plain tensors.
    """
    if not path.is_file():
        raise ModelMissing(f"no checkpoint at {path}")
    tensors: dict[str, np.ndarray] = {}
    for name, value in _unwrapped(path, _load(path)).items():
        bare = _bare(str(name))
        if bare in tensors:
            raise ModelDamaged(f"{path} has {bare} twice, under several prefixes")
        try:
            tensors[bare] = value.detach().numpy()
        except Exception as error:  # no tensor, or one of a type or layout that NumPy has not
            raise ModelDamaged(f"{path}: {name} is no tensor that can be read: {error}") from error
    return tensors


def read_tensorflow(prefix: Path) -> Mapping[str, np.ndarray]:
    """Open a TensorFlow V2 checkpoint: `prefix`.index and the data files beside it.

    The index is checked at once. A tensor is read, and its checksum compared, each time it is
    asked for: much of a training checkpoint is of no use here.

    Raises ModelMissing if a file is not there; ModelDamaged, now or when a tensor is asked for,
    if a file is cut off, altered or of another kind, or a tensor of a type that is not read.

    Format: tensor_bundle.proto and table_format.txt in TensorFlow's sources; the latter is
    LevelDB's.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        raise ModelMissing(f"no checkpoint index at {index}")
    with _naming(index):
        if index.stat().st_size > MAX_INDEX:
            raise _Fault("too large for an index")
        shards, entries = _index(index.read_bytes())
    used = {entry.shard for entry in entries.values()}
    files = {shard: _data_file(prefix, shard, shards) for shard in used}
    for name, entry in entries.items():
        if entry.offset + entry.size > files[entry.shard].stat().st_size:
            raise ModelDamaged(f"{files[entry.shard]} is cut off: it ends before {name} does")
    return _Tensors(files, entries)


def restorable(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What TensorFlow's ExponentialMovingAverage restores of a training checkpoint.

    Gives the averages under the names of what they are averages of, and the statistics of batch
    norms. Leaves out what training alone needs: the last values, optimiser slots, counters.

    Raises ModelDamaged if something that is trained has no average.
    """
    found = {}
    for name in tensors:
        base = name.removesuffix(AVERAGE)
        leaf = base.rpartition("/")[2]
        if leaf in TRAINED:
            if base + AVERAGE not in tensors:
                raise ModelDamaged(f"the checkpoint has no moving average of {base}")
            if base != name:
                found[base] = tensors[name]
        elif name == base and leaf in STATISTICS:
            found[name] = tensors[name]
    return found


# torch


def _load(path: Path) -> Any:
    import torch

    try:
        with _naming(path):
            _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ModelDamaged:
        raise
    except Exception as error:  # torch has a kind of its own for each fault
        # What torch says of it goes on for a page and tells how to run what is in the file.
        raise ModelDamaged(
            f"{path} is cut off, altered or holds more than tensors ({type(error).__name__})"
        ) from error


def _check_archive(path: Path) -> None:
    """torch has checksums in its archives, but does not compare them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        altered = archive.testzip()
        # Where an entry is marked as a folder, torch takes whatever lies in memory for its tensor.
        folders = [entry.filename for entry in archive.infolist() if entry.external_attr & FOLDER]
    if altered is not None or folders:
        raise _Fault(f"{altered or folders[0]} was altered")


def _unwrapped(path: Path, loaded: Any) -> Mapping[Any, Any]:
    if not isinstance(loaded, Mapping):
        raise ModelDamaged(f"{path} holds a {type(loaded).__name__}, not tensors by name")
    inner = (loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping))
    return next(inner, loaded)


def _bare(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.partition(".")[2]
    return name


# TensorFlow


class _Fault(Exception):
    """What is wrong with a file; becomes ModelDamaged where the file is known."""


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (_Fault, OSError) as fault:
        raise ModelDamaged(f"{path}: {fault}") from fault


@dataclass(frozen=True)
class _Entry:
    """Where one tensor is: `kind` is TensorFlow's number of its type."""

    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool

    def decode(self, data: bytes) -> np.ndarray:
        if len(data) != self.size:
            raise _Fault("cut off")
        if _checksum(data) != self.checksum:
            raise _Fault("altered, its checksum is another")
        try:
            return np.frombuffer(data, self.dtype()).reshape(self.shape).copy()
        except ValueError as error:  # more axes, or longer ones, than NumPy takes
            raise _Fault(str(error)) from error

    def dtype(self) -> np.dtype[Any]:
        if self.sliced:
            raise _Fault("stored in slices, which are not read")
        if self.kind not in TYPES:
            raise _Fault(f"of TensorFlow's type {self.kind}, which is not read")
        dtype = np.dtype(TYPES[self.kind])
        if math.prod(self.shape) * dtype.itemsize != self.size:
            raise _Fault(f"{self.size} bytes, not an array of shape {self.shape}")
        return dtype


class _Tensors(Mapping[str, np.ndarray]):
    """The tensors of a checkpoint, each read when it is asked for."""

    def __init__(self, files: Mapping[int, Path], entries: Mapping[str, _Entry]) -> None:
        self._files = files
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        path = self._files[entry.shard]
        with _naming(path):
            try:
                entry.dtype()  # before anything is read
                with path.open("rb") as file:
                    file.seek(entry.offset)
                    return entry.decode(file.read(entry.size))
            except _Fault as fault:
                raise _Fault(f"{name}: {fault}") from fault


def _data_file(prefix: Path, shard: int, shards: int) -> Path:
    path = prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")
    if not path.is_file():
        raise ModelMissing(f"a data file of the checkpoint is not there: {path}")
    return path


def _checksum(data: bytes) -> int:
    """CRC-32C, masked as TensorFlow does, so that checksums of checksums are no trap."""
    from google_crc32c import value

    crc: int = value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _index(data: bytes) -> tuple[int, dict[str, _Entry]]:
    """The number of data files, and the entries by name."""
    table = _table(data)
    header = _fields(table.pop(b"", b""))
    shards = _number(header, 1)
    if not shards:
        raise _Fault("not the index of a checkpoint")
    if _number(header, 2):
        raise _Fault("big-endian, which is not read")
    if _number(_fields(_part(header, 3)), 2) > 1:
        raise _Fault("written for later versions of TensorFlow")
    entries = {}
    for key, value in table.items():
        if not key.startswith(b"\0"):  # that is one slice of a tensor
            entries[_text(key)] = _entry(value, shards)
    return shards, entries


def _entry(data: bytes, shards: int) -> _Entry:
    fields = _fields(data)
    shape = _fields(_part(fields, 2))
    entry = _Entry(
        kind=_number(fields, 1),
        shape=tuple(_number(_fields(_bytes(dim)), 1) for dim in shape.get(2, [])),
        shard=_number(fields, 3),
        offset=_number(fields, 4),
        size=_number(fields, 5),
        checksum=_number(fields, 6),
        sliced=7 in fields,
    )
    if entry.shard >= shards or _number(shape, 3):
        raise _Fault("an entry that no tensor can have")
    return entry


# The table: blocks of sorted pairs of bytes, and one block that says where they are.


@dataclass(frozen=True, order=True)
class _Handle:
    offset: int
    size: int


def _table(data: bytes) -> dict[bytes, bytes]:
    if not data.endswith(MAGIC) or len(data) < FOOTER:
        raise _Fault(f"cut off, or not an index; it begins with {data[:16]!r}")
    footer = _Cursor(data[-FOOTER : -len(MAGIC)])
    meta, index = _handle(footer), _handle(footer)
    if any(footer.rest()):
        raise _Fault("altered in its footer")
    handles = [_handle(_Cursor(value)) for _, value in _block(data, index)]
    _check_places([*handles, meta, index], len(data) - FOOTER)
    _block(data, meta)  # empty, but it has a checksum
    pairs = [pair for handle in handles for pair in _block(data, handle)]
    if any(one >= other for (one, _), (other, _) in pairwise(pairs)):
        raise _Fault("its names are not in order")
    return dict(pairs)


def _check_places(handles: list[_Handle], length: int) -> None:
    """Blocks lie end to end and fill the file, so there is no byte without a checksum."""
    end = 0
    for handle in sorted(handles):
        if handle.offset != end:
            raise _Fault("its blocks do not lie end to end")
        end += handle.size + TRAILER
    if end != length:
        raise _Fault("its blocks do not fill it")


def _handle(cursor: "_Cursor") -> _Handle:
    return _Handle(cursor.varint(), cursor.varint())


def _block(data: bytes, handle: _Handle) -> list[tuple[bytes, bytes]]:
    end = handle.offset + handle.size
    body, trailer = data[handle.offset : end], data[end : end + TRAILER]
    if len(trailer) != TRAILER:
        raise _Fault("cut off")
    if _checksum(body + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise _Fault("altered, the checksum of a block is another")
    if trailer[0] == SNAPPY:
        body = _unsnapped(body)
    elif trailer[0] != PLAIN:
        raise _Fault(f"compressed in way {trailer[0]}, which is not read")
    return _pairs(body)


def _pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """Keys are given by what they share with the one before; restart points serve to search."""
    restarts = int.from_bytes(body[-4:], "little")
    end = len(body) - 4 * (restarts + 1)
    if end < 0:
        raise _Fault("a block is cut off")
    cursor = _Cursor(body[:end])
    found, key = [], b""
    while cursor.more():
        shared, own, length = cursor.varint(), cursor.varint(), cursor.varint()
        if shared > len(key) or shared + own > MAX_NAME:
            raise _Fault("a name that no tensor can have")
        key = key[:shared] + cursor.take(own)
        found.append((key, cursor.take(length)))
    return found


def _unsnapped(packed: bytes) -> bytes:
    """Format: format_description.txt in snappy's sources."""
    cursor = _Cursor(packed)
    length = cursor.varint()
    if length > MAX_EXPANSION * len(packed):
        raise _Fault("a compressed block that says it is larger than can be")
    found = bytearray()
    while cursor.more() and len(found) <= length:
        _expand(cursor, found)
    if len(found) != length:
        raise _Fault("a compressed block is not as long as it says")
    return bytes(found)


def _expand(cursor: "_Cursor", found: bytearray) -> None:
    """Append what one element stands for: bytes as they are, or a copy of earlier ones."""
    tag = cursor.integer(1)
    kind, upper = tag & 3, tag >> 2
    if kind == 0:
        more = max(0, upper - 59)  # bytes that the length itself takes
        found += cursor.take((cursor.integer(more) if more else upper) + 1)
        return
    if kind == 1:
        length, back = (upper & 7) + 4, (upper >> 3) << 8 | cursor.integer(1)
    else:
        length, back = upper + 1, cursor.integer(2 if kind == 2 else 4)
    if not 0 < back <= len(found):
        raise _Fault("a compressed block copies from before its beginning")
    start = len(found) - back
    piece = found[start : start + length]
    found += (piece * (length // len(piece) + 1))[:length]  # a copy may run into itself


# Protocol buffers, as far as an index has them.

Fields = dict[int, list[int | bytes]]


def _fields(data: bytes) -> Fields:
    cursor = _Cursor(data)
    fields: Fields = {}
    while cursor.more():
        key = cursor.varint()
        fields.setdefault(key >> 3, []).append(_value(cursor, key & 7))
    return fields


def _value(cursor: "_Cursor", kind: int) -> int | bytes:
    if kind == 0:
        return cursor.varint()
    if kind == 2:
        return cursor.take(cursor.varint())
    if kind in (1, 5):
        return cursor.integer(8 if kind == 1 else 4)
    raise _Fault("a message of another kind")


def _number(fields: Fields, field: int) -> int:
    value = fields.get(field, [0])[-1]
    if isinstance(value, bytes) or value >= 1 << 63:  # the latter is how a negative one looks
        raise _Fault("a message of another kind")
    return value


def _part(fields: Fields, field: int) -> bytes:
    return _bytes(fields.get(field, [b""])[-1])


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Fault("a message of another kind")
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _Fault("a name that is not UTF-8") from error


class _Cursor:
    """Takes bytes off the front. Raises _Fault where there are not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._data)

    def rest(self) -> bytes:
        return self._data[self._at :]

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise _Fault("cut off, or longer than it can be")
        self._at += count
        return self._data[self._at - count : self._at]

    def integer(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def varint(self) -> int:
        """Seven bits a byte, lowest first, until a byte is less than 128; at most 64 bits."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.integer(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value % (1 << 64)
        raise _Fault("a number with no end")
