"""Many clients at a time get what one client gets, and runners really hold several pages."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from consistency import count_batches

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
