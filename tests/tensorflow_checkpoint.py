"""Writes TensorFlow V2 checkpoints, whole or spoilt, without TensorFlow.

Format: tensor_bundle.proto and table_format.txt in TensorFlow's sources, and
format_description.txt in snappy's.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import google_crc32c
import numpy as np

from ocr.checkpoints import AVERAGE, TRAINED

TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9, "bool": 10, "float16": 19}
MAGIC = 0xDB4775248B80FB57
FOOTER = 48

Change = Callable[[bytes], bytes]


def training(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a training run would have saved, had it come to these averages and statistics."""
    found: dict[str, np.ndarray] = {"global_step": np.array(80_000, np.int64)}
    for name, value in tensors.items():
        found[name] = value
        if name.rpartition("/")[2] in TRAINED:
            found[name] = value + 1  # the last value is not the average
            found[name + AVERAGE] = value
            found[name + "/Adam"] = np.zeros_like(value)
            found[name + "/Adam_1"] = np.ones_like(value)
    found["beta1_power"] = np.array(0.9, np.float32)
    return found


def write(
    prefix: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    shards: int = 1,
    block: int = 4096,
    compress: bool = False,
    spoil: Change = bytes,
) -> None:
    """Write a checkpoint; `spoil` is done to each block of the index before its checksum."""
    data = [bytearray() for _ in range(shards)]
    entries = {b"": header(shards)}
    for place, name in enumerate(sorted(tensors)):
        value = tensors[name]
        content = value.tobytes()
        shard = place % shards
        entries[name.encode()] = entry(
            TYPES[value.dtype.name], value.shape, shard, len(data[shard]), content
        )
        data[shard] += content
    write_index(prefix, entries, block=block, compress=compress, spoil=spoil)
    for shard, stored in enumerate(data):
        data_file(prefix, shard, shards).write_bytes(stored)


def data_file(prefix: Path, shard: int = 0, shards: int = 1) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def index_file(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


# Protocol buffers


def header(shards: int = 1, endianness: int = 0, oldest_reader: int = 0) -> bytes:
    version = number(1, 1) + (number(2, oldest_reader) if oldest_reader else b"")
    return number(1, shards) + (number(2, endianness) if endianness else b"") + part(3, version)


def entry(
    kind: int,
    shape: tuple[int, ...],
    shard: int = 0,
    offset: int = 0,
    content: bytes = b"",
    size: int | None = None,
) -> bytes:
    """Values of 0 are left out, as TensorFlow does."""
    axes = b"".join(part(2, number(1, length)) for length in shape)
    size = len(content) if size is None else size
    numbers = ((3, shard), (4, offset), (5, size))
    return (
        number(1, kind)
        + part(2, axes)
        + b"".join(number(field, value) for field, value in numbers if value)
        + varint(6 << 3 | 5)
        + checksum(content)
    )


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def part(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def checksum(data: bytes) -> bytes:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


# The table


def write_index(
    prefix: Path,
    entries: Mapping[bytes, bytes],
    *,
    block: int = 4096,
    compress: bool = False,
    spoil: Change = bytes,
) -> None:
    """Write entries as a table with a new block after `block` bytes or so."""
    table = bytearray()
    handles: dict[bytes, bytes] = {}
    for pairs in _groups(sorted(entries.items()), block):
        handles[pairs[-1][0]] = _append(table, _packed(pairs), compress, spoil)
    meta = _append(table, _packed([]), False, bytes)
    index = _append(table, _packed(sorted(handles.items())), compress, spoil)
    table += (meta + index).ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")
    index_file(prefix).write_bytes(table)


def _groups(pairs: list[tuple[bytes, bytes]], block: int) -> Iterator[list[tuple[bytes, bytes]]]:
    group: list[tuple[bytes, bytes]] = []
    for pair in pairs:
        group.append(pair)
        if sum(len(key) + len(value) for key, value in group) >= block:
            yield group
            group = []
    if group:
        yield group


def _append(table: bytearray, body: bytes, compress: bool, spoil: Change) -> bytes:
    """Append a block with its trailer; gives its handle."""
    body = spoil(snapped(body) if compress else body)
    handle = varint(len(table)) + varint(len(body))
    kind = bytes([compress])
    table += body + kind + checksum(body + kind)
    return handle


def _packed(pairs: list[tuple[bytes, bytes]], interval: int = 16) -> bytes:
    body, restarts, before = bytearray(), [0], b""
    for place, (key, value) in enumerate(pairs):
        shared = _shared(before, key)
        if place and place % interval == 0:
            restarts.append(len(body))
            shared = 0
        body += varint(shared) + varint(len(key) - shared) + varint(len(value))
        body += key[shared:] + value
        before = key
    numbers = [*restarts, len(restarts)]
    return bytes(body) + b"".join(value.to_bytes(4, "little") for value in numbers)


def _shared(one: bytes, other: bytes) -> int:
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


# Snappy


def snapped(data: bytes) -> bytes:
    """Compress, greedily: whatever has come before in four bytes or more is a copy."""
    found, seen = bytearray(varint(len(data))), dict[bytes, int]()
    start = at = 0
    while at + 4 <= len(data):
        before = seen.get(data[at : at + 4])
        seen[data[at : at + 4]] = at
        if before is None:
            at += 1
            continue
        length = 4
        while (
            length < 64
            and data[before + length : before + length + 1]
            == data[at + length : at + length + 1]
            != b""
        ):
            length += 1
        found += _literal(data[start:at]) + _copy(length, at - before)
        start = at = at + length
    return bytes(found + _literal(data[start:]))


def _literal(data: bytes) -> bytes:
    if not data:
        return b""
    if len(data) <= 60:
        return bytes([len(data) - 1 << 2]) + data
    length = (len(data) - 1).to_bytes(4, "little").rstrip(b"\0")
    return bytes([59 + len(length) << 2]) + length + data


def _copy(length: int, back: int) -> bytes:
    if length < 12 and back < 2048:
        return bytes([back >> 8 << 5 | length - 4 << 2 | 1, back & 0xFF])
    if back < 65536:
        return bytes([length - 1 << 2 | 2]) + back.to_bytes(2, "little")
    return bytes([length - 1 << 2 | 3]) + back.to_bytes(4, "little")
