"""Many clients at a time get what one client gets, and runners really hold several pages."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import psutil
import pytest
from consistency import count_batches

from tests import pictures
from tests.service.served import Served

pytestmark = pytest.mark.slow


def _requests() -> list[list[str]]:
    """Mixed requests: labels, lines, pages, several images, and images that fail."""
    sheets = [
        pictures.page(pictures.CHINESE[:4], size=24),
        pictures.page(pictures.ENGLISH[:4], size=30),
        pictures.rotated(pictures.page(pictures.MIXED[:3], size=28), 4),
        pictures.label("Label 42", size=20),
        pictures.label("中文标签", size=24),
        pictures.noisy(pictures.label("noise 17", size=28)),
        pictures.standing("站立文字"),
        pictures.banner("Every line has its own place, " * 3),
        pictures.empty(),
    ]
    images = [pictures.to_base64(pictures.to_png(sheet.image)) for sheet in sheets]
    bad = ["not base64!", pictures.to_base64(b"no picture " * 20), "http://127.0.0.1/x.png"]
    return [[image] for image in [*images, *bad]] + [images[3:6], [images[0], bad[0], images[1]]]


def test_concurrent_answers_equal_the_serial_ones(served: Served) -> None:
    requests = _requests()

    def answer(images: list[str]) -> tuple[int, Any]:
        response = served.read(*images)
        return response.status_code, response.json()

    serial = [answer(images) for images in requests]
    assert {status for status, _ in serial} == {200, 422}
    before = count_batches(served.get("/metrics").text)
    order = [number for number in range(len(requests)) for _ in range(4)]
    Random(0).shuffle(order)
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(lambda number: answer(requests[number]), order))
    for number, found in zip(order, together, strict=True):
        assert found == serial[number], requests[number]
    for method, after in count_batches(served.get("/metrics").text).items():
        new = after - before[method]
        assert new["sum"] / new["count"] > 1.2, f"{method}: {new}"


def test_one_image_does_not_wait_for_the_many_of_another_request(served: Served) -> None:
    sheet = pictures.to_base64(pictures.to_png(pictures.page(pictures.CHINESE[:4]).image))
    label = pictures.to_base64(pictures.to_png(pictures.label("Label 42", size=20).image))
    with ThreadPoolExecutor(1) as other:
        start = time.monotonic()
        large = other.submit(served.read, *[sheet] * 48)
        time.sleep(1)
        began = time.monotonic()
        assert served.texts(label) == ["Label 42"]
        alone = time.monotonic() - began
        assert large.result().status_code == 200
        whole = time.monotonic() - start
    assert alone < whole / 3, f"{alone:.1f} of {whole:.1f} s"


def test_a_request_whose_client_goes_away_stops_costing_work(served: Served) -> None:
    sheet = pictures.to_png(pictures.page(pictures.CHINESE[:8], size=30).image)
    before = _cpu_seconds(served)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(served.url + "/ocr", files=[("file", sheet)] * 60, timeout=2)
    spent = _cpu_seconds(served)
    deadline = time.monotonic() + 20
    while _cpu_seconds(served, over_s=0.5) > 0.15 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert time.monotonic() < deadline
    assert "ocr_requests_in_work 0.0" in served.get("/metrics").text
    after = _cpu_seconds(served) - spent
    assert after < 3 * (spent - before), f"{after:.1f} s after {spent - before:.1f} s"


def _cpu_seconds(served: Served, over_s: float = 0.0) -> float:
    """What all processes of a server have used so far, or within some time."""

    def total() -> float:
        root = psutil.Process(served.pid)
        times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    if not over_s:
        return total()
    before = total()
    time.sleep(over_s)
    return total() - before
