"""Clients that are slow, or gone, cost the others nothing."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from tests import pictures
from tests.faults.clients import WHOLE_S, asking, check, fault, tell, wait_until_whole
from tests.faults.processes import cpu_share
from tests.service.served import Served
from tests.service.test_ocr import PAGE, PNG, as_tiff

pytestmark = pytest.mark.slow

DRIPS = 64
UNREAD = 4
IDLE = 0.25  # of a core: what a service takes that nobody asks for anything
LONG = as_tiff(*[PAGE.image] * 60)


def connect(served: Served) -> socket.socket:
    at = urlsplit(served.url)
    return socket.create_connection((at.hostname or "", at.port or 0), timeout=20)


def head(path: str, length: int, media_type: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {media_type}",
        f"Content-Length: {length}",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def in_work(served: Served) -> float:
    text = served.get("/metrics").text
    return sum(map(float, re.findall(r"^ocr_requests_in_work(?:\{.*\})? (\S+)$", text, re.M)))


@contextmanager
def dripping(served: Served) -> Iterator[list[bytes]]:
    """Clients that send their request byte by byte; gives what they are told in the end."""
    told: list[bytes] = []
    over = threading.Event()

    def drip() -> None:
        with connect(served) as client:
            client.sendall(head("/ocr_system", 100_000, "application/json"))
            client.settimeout(0.2)
            while not over.is_set():
                try:
                    client.sendall(b" ")
                    told.append(client.recv(100))
                    return
                except TimeoutError:
                    continue
                except OSError:
                    told.append(b"")
                    return

    threads = [threading.Thread(target=drip) for _ in range(DRIPS)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_clients_that_drip(whole: Served) -> None:
    with dripping(whole) as told, asking(whole, 4) as account:
        with fault(account, 1):
            start = time.monotonic()
        while len(told) < DRIPS:
            assert time.monotonic() < start + WHOLE_S, f"{len(told)} of {DRIPS} were ended"
            time.sleep(0.1)
        seconds = time.monotonic() - start
    assert {each.split(b"\r\n")[0] for each in told} <= {b"HTTP/1.1 408 Request Timeout", b""}
    assert any(told)
    check(account, f"{DRIPS} clients that send a byte at a time; 4 others")
    tell("the same, for who drips", "UPLOAD_TIMEOUT (408) after OCR_UPLOAD_TIMEOUT_S", seconds)


def test_clients_that_do_not_read_their_answer(whole: Served) -> None:
    """The answer, a picture, is longer than what the system takes for a client."""
    noise = pictures.to_png(pictures.noisy(pictures.page(pictures.ENGLISH[:3], size=60), 60).image)
    with ExitStack() as clients:
        for _ in range(UNREAD):
            client = clients.enter_context(connect(whole))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(head("/ocr?format=png", len(noise), "image/png") + noise)
        while cpu_share(whole, 0.5) > IDLE:  # their answers are being made
            continue
        with asking(whole, 4) as account, fault(account, 1):
            pass
        check(account, f"{UNREAD} clients that do not read their answer; 4 others")
    assert in_work(whole) == 0


def test_clients_that_vanish(whole: Served) -> None:
    """Four of them take two minutes of a core with them, if nobody notices."""
    with ExitStack() as clients:
        for _ in range(4):
            client = clients.enter_context(connect(whole))
            client.sendall(head("/ocr?format=text", len(LONG), "image/tiff") + LONG)
        time.sleep(2)
        assert cpu_share(whole, 0.5) > 0.5, "nobody works for them"
    gone = time.monotonic()
    answered = wait_until_whole(whole)
    while cpu_share(whole, 0.5) > IDLE:
        assert time.monotonic() < gone + WHOLE_S, "it still works for those that are gone"
    seconds = time.monotonic() - gone
    tell("4 clients vanish, each with 60 pages in work", "nobody is there", seconds)
    tell("the same, for who comes then", "a right answer", answered)
    assert in_work(whole) == 0


def test_a_client_that_vanishes_while_it_sends(whole: Served) -> None:
    with connect(whole) as client:
        client.sendall(head("/ocr", len(PNG), "image/png") + PNG[:100])
    wait_until_whole(whole)
    assert in_work(whole) == 0
