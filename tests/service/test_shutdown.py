"""A server that is told to end answers what it has in work, all of it, and takes nothing new."""

import re
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from tests import pictures
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow

CLIENTS = 4
IMAGES = [
    pictures.to_base64(pictures.to_png(pictures.page(pictures.ENGLISH[n : n + 4], size=30).image))
    for n in range(3)
]


def _in_work(served: Served) -> float:
    return sum(
        float(value)
        for value in re.findall(
            r"^ocr_requests_in_work (\S+)$", served.get("/metrics").text, re.MULTILINE
        )
    )


def wait_until_all_are_in_work(served: Served) -> None:
    deadline = time.monotonic() + 20
    while _in_work(served) < CLIENTS:
        assert time.monotonic() < deadline, "the requests did not arrive"
        time.sleep(0.02)


def test_requests_in_work_are_answered_after_sigterm(store: Path) -> None:
    with serve(store, workers="2") as served, ThreadPoolExecutor(CLIENTS) as clients:
        expected = [served.texts(image) for image in IMAGES]
        answers: list[Future[httpx.Response]] = [
            clients.submit(served.read, *IMAGES) for _ in range(CLIENTS)
        ]
        wait_until_all_are_in_work(served)
        server = psutil.Process(served.pid)
        tree = server.children(recursive=True)
        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert not any(answer.done() for answer in answers), "too quick to show anything"
        with pytest.raises(httpx.ConnectError):
            served.get("/livez")
        for answer in answers:
            response = answer.result()
            assert response.status_code == 200, response.text
            texts = [[line["text"] for line in lines] for lines in response.json()["results"]]
            assert texts == expected
        assert server.wait(timeout=20) == 0
        assert psutil.wait_procs(tree, timeout=5)[1] == [], "some process was left"
