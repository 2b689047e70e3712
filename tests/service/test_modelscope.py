"""The service with models of ModelScope. Their weights mean nothing here, nor do texts."""

import base64
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from tests import pictures
from tests.conftest import BY_HAND, BY_HUB, Imports
from tests.service.served import Served, serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def modelscope(imports: Imports) -> Iterator[Served]:
    with serve(imports.home, detection=BY_HUB, recognition=BY_HAND, min_confidence="0") as running:
        yield running


def png(picture: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", picture[..., ::-1])[1].tobytes()).decode()


def test_the_models_that_were_named_are_the_ones_that_run(modelscope: Served) -> None:
    found = modelscope.get("/capabilities").json()
    assert found["detection"]["model"] == f"ocr-detection:{BY_HUB}"
    assert found["recognition"]["model"] == f"ocr-recognition:{BY_HAND}"
    assert found["recognition"]["provider"] == "CPUExecutionProvider"


def test_pages_are_read_the_same_each_time(modelscope: Served) -> None:
    page = png(pictures.page((*pictures.CHINESE[:3], *pictures.ENGLISH[:3])).image)
    answer = modelscope.read(page, page)
    assert answer.status_code == 200
    first, second = answer.json()["results"]
    assert first == second == modelscope.read(page).json()["results"][0]
    for line in first:
        assert 0 < line["confidence"] <= 1
        assert np.array(line["text_region"]).shape == (4, 2)
