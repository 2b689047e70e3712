"""Files of all formats, and what comes of them when bytes are changed at random."""

import re
import struct
import zlib
from collections.abc import Callable
from random import Random

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin

from tests import pdfs
from tests.pictures import encoded
from tests.test_decode import run_length_bmp

pillow_heif.register_heif_opener()

HEAD = 600  # bytes in which most of what a header says is
ODD = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    2**32 - 1,
)
NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"65536",
    b"99999",
    b"2147483648",
    b"1e38",
    b"0.00001",
    b"99999999999",
)
SIGNATURE = 8  # bytes of a PNG
NUMBER = re.compile(rb"\d+")
NAME = re.compile(rb"/[A-Z][A-Za-z0-9]+")


def seeds() -> dict[str, bytes]:
    """Small files of all formats and of many of their ways to store pixels."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8))
    flat = Image.new("RGB", (60, 40), "white")
    flat.paste((200, 30, 40), (10, 10, 40, 30))
    grey = Image.fromarray(np.arange(0, 60_000, 40).astype(np.uint16).reshape(30, 50))
    floats = np.linspace(-1, 2, 300, dtype=np.float32).reshape(15, 20)
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "drawn " * 20, zip=True)
    pages = [noise.convert(mode) for mode in ("L", "1", "CMYK", "P")]
    return {
        "jpeg": encoded(noise, "JPEG", exif=exif, dpi=(300, 300)),
        "jpeg progressive": encoded(noise, "JPEG", progressive=True, restart_marker_rows=1),
        "jpeg cmyk": encoded(noise.convert("CMYK"), "JPEG"),
        "png": encoded(noise, "PNG", pnginfo=text, exif=exif, dpi=(150, 150)),
        "png palette": encoded(noise.convert("P"), "PNG", transparency=3),
        "png 16 bit": encoded(grey, "PNG"),
        "png animated": encoded(flat, "PNG", save_all=True, append_images=[noise.resize((60, 40))]),
        "webp": encoded(noise, "WEBP", exif=exif),
        "webp lossless": encoded(flat.convert("RGBA"), "WEBP", lossless=True),
        "webp animated": encoded(flat, "WEBP", save_all=True, append_images=[flat.rotate(180)]),
        "bmp": encoded(noise, "BMP"),
        "bmp palette": encoded(flat.convert("P"), "BMP"),
        "bmp rle": run_length_bmp(4, 2, bytes([4, 1, 0, 0, 1, 0, 3, 1, 0, 0, 0, 1])),
        "gif": encoded(flat, "GIF", save_all=True, append_images=[noise]),
        "tiff": encoded(noise, "TIFF", save_all=True, append_images=pages, exif=exif),
        **{
            f"tiff {how}": encoded(image, "TIFF", compression=how)
            for how, image in (
                ("tiff_lzw", noise),
                ("tiff_deflate", noise),
                ("jpeg", noise),
                ("packbits", flat),
                ("group4", flat.convert("1")),
            )
        },
        "tiff float": encoded(Image.fromarray(floats), "TIFF"),
        "heic": encoded(noise, "HEIF", exif=exif.tobytes()),
        "avif": encoded(noise, "AVIF", exif=exif.tobytes()),
        "pdf": pdfs.of(*(pdfs.text(f"page {i}", 30, 150) + "10 10 40 30 re f" for i in range(3))),
        "pdf turned": pdfs.of(pdfs.turned_text("aslant", "1 1 -1 1 99 50"), Rotate=90, UserUnit=2),
        "pdf of a picture": pdfs.pictured(pdfs.text("seen", 20, 20), 200, 150),
        "pdf of a photograph": encoded(noise, "PDF", save_all=True, append_images=[flat]),
        "pdf form": pdfs.form("filled in", "a note"),
        "pdf chinese": pdfs.chinese(("你好", 20, 100), ("世界", 20, 70)),
    }  # fmt: skip


def mutated(random: Random, files: dict[str, bytes]) -> tuple[str, bytes]:
    """One of the files, changed in one or several ways, and what it was."""
    name = random.choice(list(files))
    data = files[name]
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = random.choice(WAYS)(random, data, files)
    if name.startswith("png") and random.random() < 0.8:
        data = _with_sums(data)
    return name, data


Way = Callable[[Random, bytes, dict[str, bytes]], bytes]


def _place(random: Random, data: bytes | bytearray) -> int:
    """A byte of a file, more often one of its head."""
    end = min(len(data), HEAD) if random.random() < 0.6 else len(data)
    return random.randrange(max(1, end))


def _flip_bits(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 2, 4, 16))):
        changed[_place(random, changed)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _set_bytes(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(random.choice((1, 2, 4, 16))):
        changed[_place(random, changed)] = random.randrange(256)
    return bytes(changed)


def _set_number(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    """A field of 2, 4 or 8 bytes gets a value that few expect."""
    form = random.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = random.choice(ODD) % 256**size
    place = _place(random, data)
    return data[:place] + struct.pack(form, value) + data[place + size :]


def _cut(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _leave_out(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    place = _place(random, data)
    return data[:place] + data[place + random.choice((1, 2, 4, 40, 400)) :]


def _repeat(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    place, size = _place(random, data), random.choice((1, 4, 12, 100, 1000))
    return data[:place] + data[place : place + size] * random.choice((2, 3, 50)) + data[place:]


def _splice(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    other = random.choice(list(files.values()))
    return data[: _place(random, data)] + other[_place(random, other) :]


def _move(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    size = random.choice((4, 12, 100))
    source, target = _place(random, data), _place(random, data)
    return data[:target] + data[source : source + size] + data[target + size :]


def _set_written_number(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    """As a PDF has them; where there is none, as _set_number."""
    found = list(NUMBER.finditer(data))
    if not found or not data.startswith(b"%PDF"):
        return _set_number(random, data, files)
    match = random.choice(found)
    return data[: match.start()] + random.choice(NUMBERS) + data[match.end() :]


def _swap_names(random: Random, data: bytes, files: dict[str, bytes]) -> bytes:
    """As a PDF has them; where there is none, as _set_bytes."""
    found = list(NAME.finditer(data))
    if not found or not data.startswith(b"%PDF"):
        return _set_bytes(random, data, files)
    one, other = random.choice(found), random.choice(found)
    return data[: one.start()] + other[0] + data[one.end() :]


WAYS: tuple[Way, ...] = (
    _flip_bits,
    _set_bytes,
    _set_number,
    _cut,
    _leave_out,
    _repeat,
    _splice,
    _move,
    _set_written_number,
    _swap_names,
)


def _with_sums(data: bytes) -> bytes:
    """A PNG whose chunks have right sums: a reader stops at the first one that has not."""
    parts, place = [data[:SIGNATURE]], SIGNATURE
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        length = min(length, len(data) - place - 12)
        body = data[place + 4 : place + 8 + length]
        parts += [data[place : place + 4], body, struct.pack(">I", zlib.crc32(body))]
        place += length + 12
    return b"".join(parts)
