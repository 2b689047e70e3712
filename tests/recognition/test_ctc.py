import numpy as np
import pytest

from ocr.recognition import ctc

CHARSET = ["a", "b", "中", " "]


def read(classes: list[int], probabilities: list[float] | None = None) -> ctc.Reading:
    given = probabilities or [1.0] * len(classes)
    return ctc.decode(np.array(classes), np.array(given, np.float32), CHARSET, len(classes))


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([1, 2, 3], "ab中"),
        ([1, 1, 1], "a"),
        ([1, 0, 1], "aa"),
        ([1, 1, 0, 0, 1, 2, 2], "aab"),
        ([0, 0, 3, 0], "中"),
        ([1, 4, 2], "a b"),
        ([0, 0, 0], ""),
        ([], ""),
    ],
)
def test_repeats_are_one_character_and_blanks_none(classes: list[int], text: str) -> None:
    assert read(classes).text == text


def test_nothing_has_no_confidence_and_no_spans() -> None:
    assert read([0, 0]) == ctc.Reading("", 0.0, ())


def test_confidence_is_the_mean_over_the_kept_characters() -> None:
    reading = read([0, 1, 1, 0, 2, 0], [0.1, 0.9, 0.2, 0.1, 0.7, 0.1])
    assert reading.confidence == pytest.approx(0.8)


def test_a_repeat_counts_with_its_first_step_only() -> None:
    assert read([1, 1, 1, 1, 2], [0.6, 1, 1, 1, 1.0]).confidence == pytest.approx(0.8)


def test_spans_name_each_character_and_where_it_stands() -> None:
    spans = read([0, 1, 1, 0, 3, 0, 0, 0, 0, 2]).spans
    assert [span.character for span in spans] == ["a", "中", "b"]
    assert [(span.start, span.end) for span in spans] == [(0.1, 0.3), (0.4, 0.5), (0.9, 1.0)]


def test_spans_are_shares_of_the_line_without_its_padding() -> None:
    classes = np.array([1, 0, 2, 0, 0, 0, 0, 0])
    reading = ctc.decode(classes, np.ones(8, np.float32), CHARSET, steps=2.5)
    assert [(span.start, span.end) for span in reading.spans] == [(0.0, 0.4), (0.8, 1.0)]


@pytest.mark.parametrize("seed", range(10))
def test_spans_are_in_order_and_within_the_line(seed: int) -> None:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 5, 80)
    reading = ctc.decode(classes, random.random(80), CHARSET, steps=float(random.uniform(1, 80)))
    bounds = [place for span in reading.spans for place in (span.start, span.end)]
    assert bounds == sorted(bounds)
    assert min(bounds) >= 0.0
    assert max(bounds) <= 1.0
    assert "".join(span.character for span in reading.spans) == reading.text
