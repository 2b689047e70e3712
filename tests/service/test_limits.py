"""Limits: what is too many, too large, too much at once or too slow."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np

from tests import pictures
from tests.hosts import host
from tests.service.served import Served

SMALL = pictures.to_base64(pictures.to_png(pictures.label("Hello 2026").image))


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


def test_a_request_that_takes_too_long_is_given_up(narrow: Served) -> None:
    """A client that sends its body drop by drop meets the time limit of 6 seconds."""
    address = httpx.URL(narrow.url)
    start = time.monotonic()
    with socket.create_connection((address.host, address.port or 80), timeout=10) as client:
        client.sendall(b"POST /ocr_system HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = client.recv(65536)
    assert b" 504 " in answer.splitlines()[0]
    assert 5 < time.monotonic() - start < 9
