"""Many clients at a time get what one client gets, and runners really hold several pages."""

import re
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from tests import pictures
from tests.service.served import Served


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


def _batches(served: Served) -> dict[str, tuple[float, float]]:
    """For each runner's method its batches and the pages in them, so far."""
    found: dict[str, dict[str, float]] = {}
    pattern = r'adaptive_batch_size_(sum|count)\{method_name="(\w+)".*\} ([\d.]+)'
    for kind, method, value in re.findall(pattern, served.get("/metrics").text):
        found.setdefault(method, {})[kind] = float(value)
    return {method: (each["count"], each["sum"]) for method, each in found.items()}


def test_concurrent_answers_equal_the_serial_ones(served: Served) -> None:
    requests = _requests()

    def answer(images: list[str]) -> tuple[int, Any]:
        response = served.read(*images)
        return response.status_code, response.json()

    serial = [answer(images) for images in requests]
    assert {status for status, _ in serial} == {200, 422}
    before = _batches(served)
    order = [number for number in range(len(requests)) for _ in range(4)]
    Random(0).shuffle(order)
    with ThreadPoolExecutor(16) as clients:
        together = list(clients.map(lambda number: answer(requests[number]), order))
    for number, found in zip(order, together, strict=True):
        assert found == serial[number], requests[number]
    for method, (count, total) in _batches(served).items():
        batches, pages = count - before[method][0], total - before[method][1]
        assert pages / batches > 1.2, f"{method}: {pages} pages in {batches} batches"
