"""The files that pages are shown as."""

import io

import numpy as np
import pytest
from PIL import Image

from ocr import page_picture
from ocr.document import Picture, Pixels
from tests import pictures

PAGE = pictures.page(pictures.CHINESE[:6]).image


def opened(picture: Picture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.data))
    assert Image.MIME[image.format or ""] == picture.media_type
    return image


def shown(picture: Picture) -> Pixels:
    return np.asarray(opened(picture).convert("RGB"), np.uint8)


def test_black_and_white_is_one_bit_without_loss() -> None:
    page = np.where(PAGE > 128, 255, 0).astype(np.uint8)
    picture = page_picture.encode(page)
    assert opened(picture).mode == "1"
    assert np.array_equal(shown(picture), page)


def test_few_colours_stay_as_they_are() -> None:
    page = np.where(PAGE > 128, (255, 250, 240), (0, 0, 90)).astype(np.uint8)
    picture = page_picture.encode(page)
    assert opened(picture).mode == "P"
    assert np.array_equal(shown(picture), page)


def test_grey_text_stays_grey() -> None:
    picture = page_picture.encode(PAGE)
    assert picture.media_type == "image/png"
    assert opened(picture).mode == "L"
    assert np.array_equal(shown(picture), PAGE)


def test_a_photograph_is_a_jpeg() -> None:
    page = pictures.noisy(pictures.Drawn(PAGE), 20).image
    picture = page_picture.encode(page)
    assert picture.media_type == "image/jpeg"
    assert np.abs(shown(picture).astype(int) - page).mean() < 20


def test_what_is_smaller_is_taken() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 1), np.uint8).repeat(3, axis=2)
    assert page_picture.encode(noise).media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((3200, 100), (1600, 50)), ((100, 3200), (50, 1600)), ((900, 5), (900, 5))],
)
def test_only_what_is_too_long_is_reduced(size: tuple[int, int], expected: tuple[int, int]) -> None:
    page = pictures.empty(*size).image
    assert opened(page_picture.encode(page, 1600)).size == expected
    assert opened(page_picture.encode(page)).size == size


def test_a_page_that_is_too_long_for_jpeg_is_a_png() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (65_501, 8, 3), np.uint8)
    picture = page_picture.encode(noise)
    assert picture.media_type == "image/png"
    assert np.array_equal(np.asarray(opened(picture)), noise)
