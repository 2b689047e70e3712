import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ocr.catalogue import DETECTION
from ocr.detection import db
from ocr.document import Quad
from ocr.geometry import size
from ocr.model import DBModel

MODEL = DBModel(
    name="drawn", architecture="db", multiple=32, short_side=736, long_side=2000,
    threshold=0.3, box_threshold=0.5, unclip_ratio=1.5, max_candidates=1000,
)  # fmt: skip
# As ModelScope runs its DBNets.
WHOLE = MODEL.model_copy(
    update={"threshold": 0.2, "box_threshold": 0.3, "dilate": False, "whole_pixels": True}
)
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


def test_a_page_of_two_thousand_words_has_them_all() -> None:
    model = DETECTION["ppocr-v6-small"].model
    assert isinstance(model, DBModel)
    probability = blank(20 * 60, 100 * 20)
    for y in range(4, 100 * 20, 20):
        for x in range(8, 20 * 60, 60):
            probability[y : y + 8, x : x + 40] = 0.8
    assert len(db.boxes(probability, model)) == 2000


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


def test_without_dilation_a_box_is_measured_as_it_is() -> None:
    probability = blank()
    probability[60:80, 100:200] = 0.9
    (row,) = db.boxes(probability, MODEL.model_copy(update={"dilate": False}))
    growth = 99 * 19 * MODEL.unclip_ratio / (2 * (99 + 19))
    left, top, right, bottom = 100 - growth, 60 - growth, 199 + growth, 79 + growth
    expected = [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert corners(row) == pytest.approx(np.array(expected), abs=0.01)
    assert row[8] == pytest.approx(0.9)


def test_boxes_in_whole_pixels_are_modelscopes() -> None:
    # The expected ones are what its boxes_from_bitmap makes of the same map. One kernel is too low.
    probability = blank(330, 330)
    for kernel in [
        [[20, 20], [140, 20], [140, 36], [20, 36]],
        [[200, 40], [290, 70], [285, 85], [195, 55]],
        [[40, 100], [48, 100], [48, 108], [40, 108]],
        [[100, 90], [112, 102], [92, 122], [80, 110]],
        [[200, 120], [230, 120], [230, 122], [200, 122]],
        [[200, 140], [203, 140], [203, 143], [200, 143]],
        [[30, 180], [44, 182], [34, 290], [20, 288]],
        [[150, 250], [250, 200], [256, 212], [156, 262]],
        [[0, 310], [90, 310], [90, 329], [0, 329]],
    ]:
        cv2.fillPoly(probability, [np.array(kernel, np.int32)], (0.9,))
    found = db.boxes(probability, WHOLE)
    assert found[:, :8].clip(0, 330).tolist() == [
        [0, 298, 102, 298, 102, 330, 0, 330],
        [137, 245, 254, 187, 267, 216, 150, 274],
        [19, 168, 54, 171, 43, 300, 8, 297],
        [199, 139, 204, 139, 204, 144, 199, 144],
        [37, 97, 51, 97, 51, 111, 37, 111],
        [68, 110, 100, 78, 124, 102, 92, 134],
        [192, 25, 303, 62, 291, 98, 180, 61],
        [9, 9, 151, 9, 151, 47, 9, 47],
    ]
    scores = [0.9, 0.8651, 0.8348, 0.9, 0.9, 0.9, 0.8417, 0.9]
    assert found[:, 8] == pytest.approx(np.array(scores), abs=1e-3)


@pytest.mark.parametrize("distance", [1.2, 3.7, 20.0])
def test_an_outline_in_whole_pixels_is_so_far_outside(distance: float) -> None:
    polygon = np.array([[10, 10], [60, 20], [55, 45], [5, 35]], np.float64)
    outline = db._outline(polygon, distance)
    shape = polygon.astype(np.float32).reshape(-1, 1, 2)
    away = [-cv2.pointPolygonTest(shape, tuple(map(float, point)), True) for point in outline]
    # Half a pixel's diagonal is lost or won by rounding.
    assert min(away) > distance - 0.72
    assert max(away) < distance + 0.72


def test_an_outline_in_whole_pixels_has_the_hull_that_clipper_gives_it() -> None:
    polygon = np.array([[10, 10], [60, 20], [55, 45], [5, 35]], np.float64)
    hull = np.asarray(cv2.convexHull(db._outline(polygon, 12.3))).reshape(-1, 2)
    assert sorted(map(tuple, hull.tolist())) == [
        (-7, 33), (-7, 37), (-5, 42), (-2, 8), (-2, 45), (0, 3), (3, 0), (3, 47), (8, -2), (12, -2),
        (53, 57), (57, 57), (62, 8), (62, 55), (65, 52), (67, 10), (67, 47), (70, 13), (72, 18),
        (72, 22),
    ]  # fmt: skip


def test_a_kernel_in_whole_pixels_may_have_any_form() -> None:
    chance = np.random.default_rng(0)
    for _ in range(200):
        probability = blank(64, 64)
        points = chance.integers(0, 64, (4, 2)).astype(np.int32)
        cv2.fillPoly(probability, [points], (1.0,))
        found = db.boxes(probability, WHOLE)
        assert np.array_equal(found[:, :8], np.trunc(found[:, :8]))
