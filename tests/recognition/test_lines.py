import numpy as np
import pytest

from ocr.catalogue import PRESETS
from ocr.document import Pixels
from ocr.model import RecognitionModel
from ocr.recognition import lines
from ocr.recognition.ctc import Reading, Span

_MODEL = PRESETS["ppocr"].recognition.model
assert isinstance(_MODEL, RecognitionModel)
MODEL: RecognitionModel = _MODEL


def noise(width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (MODEL.height, width, 3), np.uint8)


def with_gaps(width: int, gaps: list[int], breadth: int = 40) -> Pixels:
    """Noise, and white where a gap begins."""
    line = noise(width)
    for gap in gaps:
        line[:, gap : gap + breadth] = 255
    return line


def reading(text: str, confidence: float = 1.0) -> Reading:
    """Characters of equal width over the whole line."""
    count = max(len(text), 1)
    spans = tuple(Span(c, i / count, (i + 1) / count) for i, c in enumerate(text))
    return Reading(text, confidence, spans)


@pytest.mark.parametrize("widths", [[1], [160], [3, 700, 48, 48]])
def test_what_was_packed_comes_out_again(widths: list[int]) -> None:
    given = [noise(width, seed) for seed, width in enumerate(widths)]
    packed = lines.pack(given)
    assert packed.pixels.ndim == 1
    assert packed.pixels.flags.c_contiguous
    assert packed.widths == tuple(widths)
    found = packed.unpack()
    assert len(found) == len(given)
    assert all(np.array_equal(a, b) for a, b in zip(found, given, strict=True))


def test_pack_takes_lines_that_are_views() -> None:
    wide = noise(300)
    (found,) = lines.pack([wide[:, 50:130]]).unpack()
    assert np.array_equal(found, wide[:, 50:130])


@pytest.mark.parametrize("widths", [(10, 11), (10, 9), (20,), (), (10, 10, 1)])
def test_widths_that_do_not_fit_the_pixels_are_refused(widths: tuple[int, ...]) -> None:
    pixels = np.zeros(MODEL.height * 20 * 3, np.uint8)
    packed = lines.PackedLines(pixels, widths, MODEL.height)
    if sum(widths) == 20:
        assert len(packed.unpack()) == len(widths)
        return
    with pytest.raises(ValueError, match="bytes are not lines"):
        packed.unpack()


@pytest.mark.parametrize("widths", [(30, -10), (-20,)])
def test_widths_that_are_no_widths_are_refused(widths: tuple[int, ...]) -> None:
    pixels = np.zeros(MODEL.height * 20 * 3, np.uint8)
    with pytest.raises(ValueError, match=r"reshape|bytes"):
        lines.PackedLines(pixels, widths, MODEL.height).unpack()


@pytest.mark.parametrize(
    ("width", "padded"), [(1, 160), (159, 160), (160, 160), (161, 192), (192, 192), (193, 224)]
)
def test_pad_widths_depend_on_the_line_only(width: int, padded: int) -> None:
    line = noise(width)
    found = lines.pad(line, MODEL)
    assert found.shape == (MODEL.height, padded, 3)
    assert np.array_equal(found[:, :width], line)
    assert np.all(found[:, width:] == MODEL.padding)


@pytest.mark.parametrize("width", [1, 2560, 2561, 4000, 7680, 12_345])
def test_split_keeps_every_column_and_no_part_is_too_wide(width: int) -> None:
    line = noise(width)
    parts = lines.split(line, MODEL)
    assert all(0 < part.shape[1] <= MODEL.max_width for part in parts)
    assert all(part.flags.c_contiguous for part in parts)
    assert np.array_equal(np.concatenate(parts, axis=1), line)


def test_a_line_that_fits_is_not_split() -> None:
    assert len(lines.split(with_gaps(MODEL.max_width, [1500]), MODEL)) == 1


def test_split_cuts_at_gaps() -> None:
    gaps = [900, 2100, 3300, 4500, 5800]
    parts = lines.split(with_gaps(7000, gaps), MODEL)
    cuts = np.cumsum([part.shape[1] for part in parts])[:-1]
    assert len(cuts) >= 2
    for cut in cuts:
        assert any(gap < cut < gap + 40 for gap in gaps)


def test_split_takes_the_last_of_equal_gaps() -> None:
    first, *_ = lines.split(with_gaps(4000, [1400, 1900, 2400]), MODEL)
    assert 2400 < first.shape[1] < 2440


def test_split_of_empty_paper() -> None:
    blank = np.full((MODEL.height, 6000, 3), 255, np.uint8)
    parts = lines.split(blank, MODEL)
    assert sum(part.shape[1] for part in parts) == 6000


def test_join_of_one_part_is_that_part() -> None:
    only = reading("中文")
    assert lines.join([only], [100]) is only


def test_join_moves_the_spans_to_their_place_in_the_whole() -> None:
    joined = lines.join([reading("一二"), reading("三四")], [300, 100])
    assert joined.text == "一二三四"
    assert [(s.start, s.end) for s in joined.spans] == [
        (0.0, 0.375), (0.375, 0.75), (0.75, 0.875), (0.875, 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("Hello", "world", "Hello world"),
        ("price", "42", "price 42"),
        ("中文", "文字", "中文文字"),
        ("中文", "text", "中文text"),
        ("text", "中文", "text中文"),
        ("Hello ", "world", "Hello world"),
        ("Hello", " world", "Hello world"),
        ("", "world", "world"),
        ("Hello", "", "Hello"),
        ("", "", ""),
    ],
)
def test_join_gives_latin_words_their_space_and_chinese_none(
    left: str, right: str, text: str
) -> None:
    joined = lines.join([reading(left), reading(right)], [200, 100])
    assert joined.text == text
    assert "".join(span.character for span in joined.spans) == text
    places = [place for span in joined.spans for place in (span.start, span.end)]
    assert places == sorted(places)


def test_join_keeps_the_space_over_an_empty_part() -> None:
    parts = [reading("Hello"), reading("", 0.0), reading("world")]
    assert lines.join(parts, [200, 100, 200]).text == "Hello world"


def test_joined_confidence_is_the_mean_over_all_characters() -> None:
    parts = [reading("abc", 0.9), reading("中", 0.5), reading("", 0.0)]
    assert lines.join(parts, [100, 100, 100]).confidence == pytest.approx(0.8)
    assert lines.join([reading("", 0.0)] * 2, [100, 100]).confidence == 0.0
