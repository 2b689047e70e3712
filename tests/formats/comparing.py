"""Compares Documents with what came back of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from ocr.document import Document, Line, Page, Word


def assert_same(
    found: Sequence[Document],
    written: Sequence[Document],
    pixels: float = 0.051,
    line_confidence: float = 0.0001,
) -> None:
    """Texts, places, confidences, sizes, numbers, words and sources are the same.

    Corners may be off by so many `pixels`, and the confidence of lines with words by
    `line_confidence`.
    """
    assert [document.source for document in found] == [document.source for document in written]
    for document, original in zip(found, written, strict=True):
        assert len(document.pages) == len(original.pages)
        for page, wanted in zip(document.pages, original.pages, strict=True):
            _assert_same_page(page, wanted, pixels, line_confidence)


def _assert_same_page(page: Page, wanted: Page, pixels: float, line_confidence: float) -> None:
    assert (page.width, page.height, page.number) == (wanted.width, wanted.height, wanted.number)
    assert (page.dpi, page.rotation) == (wanted.dpi, wanted.rotation)
    assert page.text == wanted.text
    for line, original in zip(page.lines, wanted.lines, strict=True):
        assert line.turns == original.turns
        _assert_same_part(line, original, pixels, line_confidence if line.words else 0.0001)
        assert len(line.words) == len(original.words)
        for word, spoken in zip(line.words, original.words, strict=True):
            _assert_same_part(word, spoken, pixels, 0.0001)


def _assert_same_part(
    part: Line | Word, original: Line | Word, pixels: float, confidence: float
) -> None:
    assert part.text == original.text
    assert part.confidence == pytest.approx(original.confidence, abs=confidence)
    assert part.quad.dtype == np.float32
    assert np.abs(part.quad - original.quad).max() <= pixels
