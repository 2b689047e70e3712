from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ocr.geometry import clockwise
from ocr.order import reading_order
from tests import pictures

Quads = npt.NDArray[np.float32]


def quads(*boxes: tuple[float, float, float, float]) -> Quads:
    """Quads of boxes (left, top, width, height)."""
    corners = [
        [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
        for x, y, width, height in boxes
    ]
    return np.array(corners, np.float32).reshape(-1, 4, 2)


def shuffled_order(wanted: Quads, seed: int = 0) -> list[int]:
    """The order found when the boxes, given in the right order, come in another one."""
    mixed = np.random.default_rng(seed).permutation(len(wanted))
    return [int(mixed[i]) for i in reading_order(wanted[mixed])]


def assert_in_order(wanted: Quads) -> None:
    for seed in range(5):
        assert shuffled_order(wanted, seed) == list(range(len(wanted)))


def test_nothing_has_no_order() -> None:
    assert reading_order(np.zeros((0, 4, 2), np.float32)) == []


def test_one_line() -> None:
    assert reading_order(quads((5, 5, 100, 20))) == [0]


def test_rows_from_the_top_and_from_the_left() -> None:
    assert_in_order(
        quads((0, 0, 50, 20), (60, 3, 50, 20), (0, 40, 50, 20), (60, 37, 50, 20), (0, 80, 50, 20))
    )


@pytest.mark.parametrize("size", [10, 40, 160])
def test_tolerance_is_in_text_heights(size: int) -> None:
    """Forty per cent of the height apart is one row, whatever the height is in pixels."""
    right_is_higher = quads((0, 0.4 * size, 4 * size, size), (5 * size, 0, 4 * size, size))
    assert reading_order(right_is_higher) == [0, 1]
    right_is_a_row_above = quads((0, 0.7 * size, 4 * size, size), (5 * size, 0, 4 * size, size))
    assert reading_order(right_is_a_row_above) == [1, 0]


def test_a_large_word_and_small_print_stand_in_one_row() -> None:
    assert_in_order(quads((0, 0, 100, 60), (110, 35, 80, 15), (0, 80, 100, 15)))


@pytest.mark.parametrize("degrees", [-8, -3, 3, 8])
def test_rows_of_a_skewed_page(degrees: float) -> None:
    flat = quads(*((x, y, 190, 20) for y in range(0, 400, 40) for x in (0, 200, 400)))
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert_in_order(np.asarray(flat @ turn, np.float32))


@pytest.mark.parametrize("degrees", [-8, -4, 0, 4, 8])
def test_rows_of_short_words_far_apart_whose_own_slant_is_rough(degrees: float) -> None:
    random = np.random.default_rng(4)
    slants = degrees + random.normal(-np.sign(degrees), 1.0, 24)
    places = np.array([(x, y) for y in range(0, 600, 50) for x in (0, 600)], np.float32)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    words = [
        np.asarray(cv2.boxPoints(((x, y), (52, 34), slant)), np.float32)
        for (x, y), slant in zip(places @ turn, slants, strict=True)
    ]
    assert_in_order(np.array([clockwise(word) for word in words]))


@pytest.mark.parametrize("drawn", [pictures.two_columns(), pictures.receipt(30), pictures.table()])
@pytest.mark.parametrize("degrees", [0, 4, -4])
def test_drawn_pages(drawn: pictures.Drawn, degrees: float) -> None:
    assert_in_order(pictures.rotated(drawn, degrees).quads)


def column(left: float, top: float, rows: int) -> list[tuple[float, float, float, float]]:
    return [(left, top + 30 * row, 280 - 7 * (row % 3), 20) for row in range(rows)]


def test_two_columns_with_a_title_above_and_a_footer_below() -> None:
    assert_in_order(
        quads((100, 0, 420, 40), *column(0, 60, 8), *column(320, 63, 8), (100, 330, 420, 20))
    )


def test_columns_of_different_length() -> None:
    assert_in_order(quads(*column(0, 0, 10), *column(320, 0, 4)))


def test_three_columns() -> None:
    assert_in_order(quads(*column(0, 0, 8), *column(320, 0, 8), *column(640, 0, 8)))


def test_a_table_is_read_by_rows() -> None:
    cells = [(x, y, 70, 20) for y in range(0, 300, 30) for x in (0, 200, 400)]
    assert_in_order(quads(*cells))


def test_a_receipt_is_read_by_rows() -> None:
    goods = [((0, y, 120 + y % 50, 20), (360, y + 2, 60, 20)) for y in range(0, 900, 30)]
    assert_in_order(quads(*(box for pair in goods for box in pair)))


def test_columns_that_nearly_touch_are_one_text() -> None:
    assert_in_order(quads(*((x, y, 195, 20) for y in range(0, 240, 30) for x in (0, 200))))


def test_a_standing_line_beside_text() -> None:
    order = reading_order(quads((0, 0, 20, 200), (40, 0, 200, 20), (40, 30, 200, 20)))
    assert sorted(order) == [0, 1, 2]
    assert order.index(1) < order.index(2)


def test_only_standing_lines() -> None:
    assert_in_order(quads((0, 0, 20, 200), (40, 5, 20, 200), (80, 0, 20, 200)))


@pytest.mark.parametrize("height", [0, 20])
def test_boxes_without_size_or_at_one_place(height: int) -> None:
    assert sorted(reading_order(quads(*[(5, 5, 0, height)] * 6))) == list(range(6))


@pytest.mark.parametrize("seed", range(20))
def test_every_box_occurs_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 200))
    places = random.uniform(0, 1000, (count, 1, 2))
    corners = random.uniform(-60, 60, (count, 4, 2))
    found = reading_order((places + corners).astype(np.float32))
    assert sorted(found) == list(range(count))


@pytest.mark.parametrize("layout", ["random", "rows", "columns", "cells"])
def test_a_thousand_boxes_take_less_than_two_seconds(layout: str) -> None:
    random = np.random.default_rng(7)
    boxes = {
        "random": [(x, y, 100, 20) for x, y in random.uniform(0, 3000, (1000, 2))],
        "rows": [(0, 30 * row, 500, 20) for row in range(1000)],
        "columns": [(600 * (i % 4), 30 * (i // 4), 560, 20) for i in range(1000)],
        "cells": [(90 * (i % 20), 30 * (i // 20), 60, 20) for i in range(1000)],
    }
    many = quads(*boxes[layout])
    start = perf_counter()
    found = reading_order(many)
    assert perf_counter() - start < 2.0
    assert sorted(found) == list(range(1000))
