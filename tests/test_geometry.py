from itertools import permutations

import cv2
import numpy as np
import pytest

from ocr import geometry
from ocr.document import Pixels, Quad

RED, GREEN, BLUE, YELLOW = (220, 0, 0), (0, 200, 0), (0, 0, 220), (220, 220, 0)


def box(left: float, top: float, right: float, bottom: float) -> Quad:
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return np.array(corners, np.float32)


def four_colours() -> Pixels:
    """Red, green, blue, yellow: the quarters of a 200 x 100 page, clockwise from the top left."""
    page = np.zeros((100, 200, 3), np.uint8)
    page[:50, :100], page[:50, 100:], page[50:, 100:], page[50:, :100] = RED, GREEN, BLUE, YELLOW
    return page


def corner_colours(line: Pixels) -> list[tuple[int, ...]]:
    """The colours well inside each quarter, clockwise from the top left."""
    height, width = line.shape[:2]
    high, low, left, right = height // 4, 3 * height // 4, width // 4, 3 * width // 4
    places = [(high, left), (high, right), (low, right), (low, left)]
    return [tuple(int(v) for v in line[place]) for place in places]


def test_clockwise_takes_corners_in_any_order() -> None:
    wanted = np.array([[10, 5], [90, 15], [88, 45], [8, 35]], np.float32)
    for shuffled in permutations(wanted):
        assert np.array_equal(geometry.clockwise(np.array(shuffled)), wanted)


def test_clockwise_takes_an_upright_box_whose_sides_share_their_x() -> None:
    for shuffled in permutations(box(0, 0, 10, 5)):
        assert np.array_equal(geometry.clockwise(np.array(shuffled)), box(0, 0, 10, 5))


def test_size_is_the_longer_of_opposite_sides() -> None:
    trapezium = np.array([[10, 0], [40, 0], [50, 20], [0, 20]], np.float32)
    width, height = geometry.size(trapezium)
    assert width == 50.0
    assert height == pytest.approx(np.hypot(10, 20))


def test_size_of_a_turned_box_is_measured_along_its_sides() -> None:
    quad = np.asarray(cv2.boxPoints(((50, 50), (60, 20), 30)), np.float32)
    assert sorted(geometry.size(quad)) == pytest.approx([20, 60], abs=1e-3)


@pytest.mark.parametrize(
    ("width", "height", "standing"), [(20, 29, False), (20, 30, True), (30, 20, False)]
)
def test_stands_from_one_and_a_half_times_its_width(
    width: float, height: float, standing: bool
) -> None:
    assert geometry.stands(box(5, 5, 5 + width, 5 + height)) is standing


def test_clip_moves_only_corners_that_lie_outside() -> None:
    quads = np.array([box(-3, 10, 120, 90), box(10, 10, 20, 20)])
    clipped = geometry.clip(quads, 100, 80)
    assert np.array_equal(clipped, np.array([box(0, 10, 100, 80), box(10, 10, 20, 20)]))
    assert clipped.dtype == np.float32


def test_bounds_are_left_top_right_bottom() -> None:
    quads = np.array([[[10, 5], [90, 15], [88, 45], [8, 35]]], np.float32)
    assert geometry.bounds(quads).tolist() == [[8, 5, 90, 45]]


def test_enclosing_is_the_smallest_rectangle_at_the_points_own_angle() -> None:
    turned = np.asarray(cv2.boxPoints(((100, 60), (120, 20), 10)), np.float32)
    middles = (turned + np.roll(turned, -1, axis=0)) / 2
    found = geometry.enclosing(np.concatenate([turned, middles]))
    assert np.allclose(found, geometry.clockwise(turned), atol=0.1)


@pytest.mark.parametrize(
    ("turns", "colours"),
    [
        (0, [RED, GREEN, BLUE, YELLOW]),
        (1, [GREEN, BLUE, YELLOW, RED]),
        (2, [BLUE, YELLOW, RED, GREEN]),
        (3, [YELLOW, RED, GREEN, BLUE]),
    ],
)
def test_crop_starts_at_the_corner_that_turns_names(
    turns: int, colours: list[tuple[int, ...]]
) -> None:
    line = geometry.crop(four_colours(), box(0, 0, 200, 100), 40, turns)
    assert line.shape == ((40, 80, 3) if turns % 2 == 0 else (40, 20, 3))
    assert corner_colours(line) == colours


@pytest.mark.parametrize("height", [16, 48, 100, 160])
def test_crop_keeps_the_width_in_proportion(height: int) -> None:
    line = geometry.crop(four_colours(), box(20, 10, 140, 50), height)
    assert line.shape == (height, 3 * height, 3)
    assert line.dtype == np.uint8


def test_crop_at_its_own_size_gives_the_same_pixels() -> None:
    page = np.random.default_rng(1).integers(0, 256, (80, 120, 3), np.uint8)
    line = geometry.crop(page, box(10, 20, 70, 50), 30)
    assert np.array_equal(line, page[20:50, 10:70])


@pytest.mark.parametrize(
    "quad", [box(0, 0, 60, 20), box(140, 80, 200, 100), box(-8, -4, 52, 16), box(150, 85, 210, 105)]
)
def test_crop_at_the_edge_repeats_the_edge_and_adds_no_black(quad: Quad) -> None:
    page = np.full((100, 200, 3), 230, np.uint8)
    line = geometry.crop(page, quad, 20)
    assert line.shape == (20, 60, 3)
    assert int(line.min()) == 230


def test_crop_makes_a_quad_in_perspective_straight() -> None:
    quad = np.array([[40, 30], [260, 50], [250, 120], [60, 90]], np.float32)
    target = box(0, 0, 200, 100)
    matrix = cv2.getPerspectiveTransform(target, quad)
    page = np.asarray(cv2.warpPerspective(four_colours(), matrix, (300, 150)), np.uint8)
    line = geometry.crop(page, quad, 48)
    assert corner_colours(line) == [RED, GREEN, BLUE, YELLOW]
    upper, lower = line[16], line[-16]
    for row in (upper, lower):  # both halves change colour in the middle: the seam stands upright
        seam = int(np.abs(np.diff(row.astype(int), axis=0)).sum(axis=1).argmax())
        assert seam == pytest.approx(line.shape[1] / 2, abs=3)


def test_crop_averages_what_it_reduces_much() -> None:
    stripes = np.zeros((480, 960, 3), np.uint8)
    stripes[:, ::2] = 255  # every second column is white: a sample would hit one or the other
    line = geometry.crop(stripes, box(0, 0, 960, 480), 48)
    middle = line[5:-5, 5:-5].astype(float)
    assert middle.mean() == pytest.approx(127.5, abs=3)
    assert middle.std() < 10


def test_crop_of_a_page_longer_than_opencv_can_address() -> None:
    page = np.full((40, 40_000, 3), 255, np.uint8)
    page[10:30, 39_000:39_100] = RED
    line = geometry.crop(page, box(39_000, 10, 39_100, 30), 20)
    assert np.abs(line.astype(int) - RED).max() <= 1


def test_crop_of_a_quad_without_height_gives_a_line_of_full_height() -> None:
    line = geometry.crop(four_colours(), box(10, 10, 40, 10), 48)
    assert line.shape[0] == 48
    assert line.shape[1] > 0
