"""Limits: what is too many, too large, too much at once or too slow."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests import pictures
from tests.hosts import host
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow

SMALL = pictures.to_base64(pictures.to_png(pictures.label("Hello 2026").image))


@pytest.fixture(scope="module")
def slow(store: Path) -> Iterator[Served]:
    """A service with little time and room for what is slow."""
    with serve(
        store,
        allow_private_urls="1",
        timeout_s="2",
        upload_timeout_s="1.5",
        max_concurrency="2",
        max_bytes_in_work="400000",
        jobs="off",
    ) as running:
        yield running


def test_too_many_images(narrow: Served) -> None:
    answer = narrow.read(*[SMALL] * 4)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "TOO_MANY_IMAGES"
    assert narrow.read(*[SMALL] * 3).status_code == 200


def test_too_many_pixels(narrow: Served) -> None:
    large = pictures.to_png(np.full((1001, 1000, 3), 255, np.uint8))
    answer = narrow.read(pictures.to_base64(large), SMALL)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["code"] == "IMAGE_TOO_LARGE"
    assert answer.json()["results"][1]


def test_too_many_bytes_in_an_image(narrow: Served) -> None:
    answer = narrow.read(pictures.to_base64(bytes(200_001)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "IMAGE_TOO_LARGE"


def test_too_many_bytes_in_a_request(narrow: Served) -> None:
    answer = narrow.post({"images": ["A" * 500_001]})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "REQUEST_TOO_LARGE"


def test_too_many_bytes_that_are_not_announced(narrow: Served) -> None:
    answer = httpx.post(
        narrow.url + "/ocr_system", content=(b"x" * 65536 for _ in range(10)), timeout=30
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "REQUEST_TOO_LARGE"


def test_too_much_at_once_is_refused_at_once(narrow: Served) -> None:
    """Two requests wait for a host that stalls; those that come meanwhile are refused."""
    with host(b"") as url, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: narrow.read(f"{url}/stall"), range(8)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 6
    for answer in refused:
        assert answer.json()["error"]["code"] == "BUSY"
        assert int(answer.headers["Retry-After"]) >= 1
    assert narrow.read(SMALL).status_code == 200


def test_a_request_that_takes_too_long_is_given_up(slow: Served) -> None:
    """A host stalls for longer than a request may take."""
    start = time.monotonic()
    with host(b"") as url:
        answer = slow.read(f"{url}/stall")
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "TIMEOUT"
    assert time.monotonic() - start < 4


def test_an_upload_that_takes_too_long_is_given_up(slow: Served) -> None:
    """A client sends its body drop by drop."""
    start = time.monotonic()
    with _begun(slow) as client:
        answer = b""
        while b"}}" not in answer:
            answer += client.recv(65536) or b"}}"  # or it was closed
    assert b" 408 " in answer.splitlines()[0]
    assert b"UPLOAD_TIMEOUT" in answer
    assert 0.9 < time.monotonic() - start < 4


def test_uploads_that_take_their_time_leave_room_for_others(slow: Served) -> None:
    """There are more of them than requests may be in work."""
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(_begun(slow))
        assert slow.read(SMALL).status_code == 200


def test_bytes_that_are_held_are_counted(slow: Served) -> None:
    """Three that are being sent hold all that may be held; when they end there is room again."""
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(_begun(slow, b"x" * 130_000))
        time.sleep(0.3)
        answer = slow.read("x" * 20_000)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "BUSY"
    time.sleep(0.3)
    assert slow.read(SMALL).status_code == 200


@contextmanager
def _begun(served: Served, body: bytes = b"{") -> Iterator[socket.socket]:
    """A request of which the last bytes do not come."""
    address = httpx.URL(served.url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as client:
        length = len(body) + 100
        head = f"POST /ocr_system HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        client.sendall(head.encode() + body)
        yield client
