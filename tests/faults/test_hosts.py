"""Hosts that pictures are fetched from, and what they may do to a request."""

import struct
import time
import zlib

import pytest

from tests import hosts
from tests.faults.clients import LABEL, TEXTS, asking, check, fault, tell
from tests.service.served import Served

pytestmark = pytest.mark.slow

SIDE = 30_000  # pixels: the picture takes 2.7 GB, and 110 KB as a file
CODES = {
    "stall": "URL_UNREACHABLE",
    "drip": "URL_UNREACHABLE",
    "loop": "URL_UNREACHABLE",
    "liar": "IMAGE_TOO_LARGE",
    "huge": "IMAGE_TOO_LARGE",
    "picture": "IMAGE_TOO_LARGE",  # a bomb
}


def bomb() -> bytes:
    """A black PNG of one bit a pixel."""
    packed = zlib.compressobj(1)
    row = bytes(1 + SIDE // 8)
    data = b"".join(packed.compress(row) for _ in range(SIDE)) + packed.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def test_hosts_that_do_what_they_should_not(whole: Served) -> None:
    with hosts.host(bomb()) as url, asking(whole, 2) as account, fault(account, 0.2):
        start = time.monotonic()
        answer = whole.read(LABEL, *(f"{url}/{path}" for path in CODES), LABEL)
        seconds = time.monotonic() - start
    assert answer.status_code == 200
    first, *others, last = answer.json()["results"]
    assert [[line["text"] for line in lines] for lines in (first, last)] == [[TEXTS[0]]] * 2
    assert others == [[]] * len(CODES)
    codes = [error and error["code"] for error in answer.json()["errors"]]
    assert codes == [None, *CODES.values(), None]
    tell(
        "hosts that stall, drip, redirect for ever, lie about the length, serve a bomb",
        f"a code for each, in its slot: {', '.join(sorted(set(CODES.values())))}",
        seconds,
    )
    check(account, "the same, for 2 other clients")
