import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ocr.detection import db
from ocr.document import Quad
from ocr.geometry import size
from ocr.model import DetectionModel

MODEL = DetectionModel(
    name="drawn", architecture="db", multiple=32, short_side=736, long_side=2000,
    threshold=0.3, box_threshold=0.5, unclip_ratio=1.5, max_candidates=1000,
)  # fmt: skip
# A box is measured with the row and the column by which its kernel was dilated, as PaddleOCR does.
RIM = 100 * 20 / (101 * 21)

Map = npt.NDArray[np.float32]


def blank(width: int = 320, height: int = 160) -> Map:
    return np.zeros((height, width), np.float32)


def grown(width: float, height: float) -> float:
    """By how much a kernel of this size grows on each side: area x ratio / girth."""
    return width * height * MODEL.unclip_ratio / (2 * (width + height))


def corners(row: Map) -> Quad:
    return row[:8].reshape(4, 2)


def test_an_empty_map_has_no_boxes() -> None:
    found = db.boxes(blank(), MODEL)
    assert found.shape == (0, 9)
    assert found.dtype == np.float32


def test_a_box_comes_out_at_its_place_with_its_score() -> None:
    probability = blank()
    probability[60:80, 100:200] = 0.9
    (row,) = db.boxes(probability, MODEL)
    growth = grown(100, 20)
    left, top, right, bottom = 100 - growth, 60 - growth, 200 + growth, 80 + growth
    expected = [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert np.abs(corners(row) - expected).max() < 2.0
    assert row[8] == pytest.approx(0.9 * RIM, abs=0.01)


def test_the_score_is_the_mean_inside_and_not_the_peak() -> None:
    probability = blank()
    probability[60:80, 100:150] = 0.9
    probability[60:80, 150:200] = 0.6
    (row,) = db.boxes(probability, MODEL)
    assert row[8] == pytest.approx(0.75 * RIM, abs=0.01)


@pytest.mark.parametrize(("value", "count"), [(0.29, 0), (0.45, 0), (0.6, 1)])
def test_thresholds_of_pixel_and_box(value: float, count: int) -> None:
    probability = blank()
    probability[60:80, 100:200] = value
    assert len(db.boxes(probability, MODEL)) == count


@pytest.mark.parametrize("side", [1, 2])
def test_specks_are_no_text(side: int) -> None:
    probability = blank()
    probability[60 : 60 + side, 100 : 100 + side] = 1.0
    assert len(db.boxes(probability, MODEL)) == 0


def test_many_boxes_each_once() -> None:
    probability = blank(640, 640)
    places = [(x, y) for y in range(20, 620, 60) for x in range(20, 600, 120)]
    for x, y in places:
        probability[y : y + 12, x : x + 60] = 0.8
    found = db.boxes(probability, MODEL)
    middles = sorted(tuple(corners(row).mean(axis=0)) for row in found)
    assert len(found) == len(places)
    expected = sorted((x + 30.0, y + 6.0) for x, y in places)
    assert np.abs(np.array(middles) - expected).max() < 1.5


def test_no_more_than_the_most_candidates() -> None:
    probability = blank(640, 640)
    for y in range(20, 620, 60):
        probability[y : y + 12, 20:100] = 0.8
    assert len(db.boxes(probability, MODEL.model_copy(update={"max_candidates": 4}))) == 4


@pytest.mark.parametrize("degrees", [-40, -12, 7, 25])
def test_a_rotated_box_keeps_its_angle(degrees: float) -> None:
    probability = blank(320, 320)
    kernel = np.asarray(cv2.boxPoints(((160, 160), (140, 20), degrees)), np.float32)
    cv2.fillPoly(probability, [kernel.round().astype(np.int32)], (0.9,))
    (row,) = db.boxes(probability, MODEL)
    quad = corners(row)
    along = quad[1] - quad[0]
    growth = 2 * grown(140, 20)
    assert np.abs(quad.mean(axis=0) - 160).max() < 1.5
    assert np.rad2deg(np.arctan2(along[1], along[0])) == pytest.approx(degrees, abs=1.0)
    assert size(quad) == pytest.approx((140 + growth, 20 + growth), abs=8)
    assert row[8] > 0.75


@pytest.mark.parametrize(
    ("left", "top", "middle"),
    [(0, 0, (40, 8)), (240, 0, (280, 8)), (0, 144, (40, 152)), (240, 144, (280, 152))],
)
def test_a_box_in_a_corner_of_the_map(left: int, top: int, middle: tuple[int, int]) -> None:
    probability = blank()
    probability[top : top + 16, left : left + 80] = 0.9
    (row,) = db.boxes(probability, MODEL)
    assert np.abs(corners(row).mean(axis=0) - middle).max() < 2.0
    assert row[8] == pytest.approx(0.9, abs=0.1)


def test_a_map_that_is_all_text_is_one_box_round_it() -> None:
    (row,) = db.boxes(np.ones((160, 320), np.float32), MODEL)
    assert corners(row).min() < 0
    assert np.all(corners(row)[2] > (319, 159))
    assert row[8] == pytest.approx(1.0)


def test_the_map_is_left_as_it_is() -> None:
    probability = blank()
    probability[60:80, 100:200] = 0.9
    before = probability.copy()
    db.boxes(probability, MODEL)
    assert np.array_equal(probability, before)
