import asyncio
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np
import pytest

from ocr.detection.detector import Boxes
from ocr.document import Page, Pixels
from ocr.errors import InferenceFailed
from ocr.pipeline import Pipeline
from ocr.recognition.ctc import Reading
from ocr.recognition.lines import PackedLines
from tests import pictures
from tests.pictures import CHINESE, ENGLISH, MIXED, Drawn

PAGE = pictures.page((*CHINESE[:3], *ENGLISH[:3]))


def read(reader: Pipeline, drawn: Drawn) -> Page:
    return asyncio.run(reader.read(drawn.image))


def texts(page: Page) -> list[str]:
    return [line.text for line in page.lines]


@pytest.mark.parametrize("size", [20, 48])
@pytest.mark.parametrize("written", [CHINESE, ENGLISH, MIXED], ids=["Chinese", "English", "mixed"])
def test_a_page_is_read_to_the_character(
    reader: Pipeline, written: tuple[str, ...], size: int
) -> None:
    drawn = pictures.page(written[:6], size)
    page = read(reader, drawn)
    assert texts(page) == drawn.texts
    assert page.text == "\n".join(drawn.texts)
    assert (page.height, page.width) == drawn.image.shape[:2]
    assert all(line.confidence > 0.9 for line in page.lines)


def test_a_page_with_serifs(reader: Pipeline) -> None:
    drawn = pictures.page((*CHINESE[:3], *ENGLISH[:3]), face="Serif")
    assert texts(read(reader, drawn)) == drawn.texts


def test_every_quad_lies_where_the_line_was_drawn(reader: Pipeline) -> None:
    page = read(reader, PAGE)
    found = np.array([line.quad for line in page.lines])
    assert np.abs(found - PAGE.quads).max() < 16
    assert np.abs(found.mean(axis=1) - PAGE.quads.mean(axis=1)).max() < 5


def test_chinese_words_are_characters_and_lie_where_they_were_drawn(reader: Pipeline) -> None:
    for line in read(reader, pictures.page(CHINESE[:3])).lines:
        assert "".join(word.text for word in line.words) == line.text
        left, right = line.quad[:, 0].min(), line.quad[:, 0].max()
        middles = [(word.quad[:, 0].mean() - left) / (right - left) for word in line.words]
        drawn = (np.arange(len(line.text)) + 0.5) / len(line.text)
        assert np.abs(np.array(middles) - drawn).max() < 0.5 / len(line.text) + 0.03


@pytest.mark.parametrize("size", [(600, 400), (20, 20), (1, 1), (3000, 30), (300, 5000)])
def test_an_empty_page_has_no_lines(reader: Pipeline, size: tuple[int, int]) -> None:
    page = read(reader, pictures.empty(*size))
    assert page == Page(*size, [])
    assert page.text == ""


def test_a_long_receipt_is_read_whole_and_by_rows(reader: Pipeline) -> None:
    drawn = pictures.receipt(rows=46)
    found, written = texts(read(reader, drawn)), drawn.texts
    assert len(found) == len(written)
    assert SequenceMatcher(None, found, written, autojunk=False).ratio() > 0.97


@pytest.mark.parametrize(
    "text", [" ".join(ENGLISH), "，".join(CHINESE)], ids=["English", "Chinese"]
)
def test_a_wide_banner_is_one_line(reader: Pipeline, text: str) -> None:
    assert texts(read(reader, pictures.banner(text, 36))) == [text]


@pytest.mark.parametrize("text", ["苹果", "Price", "25.00"])
def test_a_tiny_label(reader: Pipeline, text: str) -> None:
    assert texts(read(reader, pictures.label(text))) == [text]


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("text", [CHINESE[0], ENGLISH[0]])
def test_a_standing_line(reader: Pipeline, text: str, upwards: bool) -> None:
    (line,) = read(reader, pictures.standing(text, upwards=upwards)).lines
    assert line.text == text
    ((_, drawn),) = pictures.standing(text, upwards=upwards).lines
    start = line.quad[line.turns]
    assert int(np.linalg.norm(line.quad - drawn[0], axis=1).argmin()) == line.turns
    assert np.linalg.norm(start - drawn[0]) < 25


def test_a_page_upside_down_is_read_in_the_right_order(reader: Pipeline) -> None:
    page = read(reader, pictures.turned(PAGE, 2))
    assert texts(page) == PAGE.texts
    assert {line.turns for line in page.lines} == {2}


@pytest.mark.parametrize("quarters", [1, 3])
@pytest.mark.parametrize(
    "drawn",
    [PAGE, pictures.two_columns(), pictures.receipt(rows=12, width=600)],
    ids=["page", "columns", "receipt"],
)
def test_a_page_on_its_side_is_read_in_the_right_order(
    reader: Pipeline, drawn: Drawn, quarters: int
) -> None:
    assert texts(read(reader, pictures.turned(drawn, quarters))) == drawn.texts


def test_rows_of_a_table_upside_down(reader: Pipeline) -> None:
    drawn = pictures.table()
    assert texts(read(reader, pictures.turned(drawn, 2))) == drawn.texts


@pytest.mark.parametrize("degrees", [-6, 3])
def test_rows_of_a_skewed_page_are_in_order(reader: Pipeline, degrees: float) -> None:
    drawn = pictures.rotated(pictures.receipt(rows=12, width=700), degrees)
    assert texts(read(reader, drawn)) == drawn.texts


def test_two_columns_a_title_and_a_footer(reader: Pipeline) -> None:
    drawn = pictures.two_columns()
    assert texts(read(reader, drawn)) == drawn.texts


def test_a_table_is_read_by_rows(reader: Pipeline) -> None:
    drawn = pictures.table()
    assert texts(read(reader, drawn)) == drawn.texts


@pytest.mark.parametrize(
    "drawn",
    [
        pictures.sheared(PAGE, 4),
        pictures.in_perspective(PAGE),
        pictures.blurred(PAGE),
        pictures.noisy(PAGE),
        pictures.jpeg(PAGE),
        pictures.shaded(PAGE),
        pictures.faded(PAGE),
    ],
    ids=["sheared", "perspective", "blurred", "noisy", "jpeg", "shaded", "faded"],
)
def test_a_photographed_page(reader: Pipeline, drawn: Drawn) -> None:
    assert texts(read(reader, drawn)) == PAGE.texts


def test_a_page_reads_the_same_beside_others(reader: Pipeline) -> None:
    drawn = [PAGE, pictures.table(), pictures.label("苹果"), pictures.standing(ENGLISH[0])]

    async def together() -> list[Page]:
        return await asyncio.gather(*(reader.read(each.image) for each in drawn))

    def facts(page: Page) -> list[tuple[object, ...]]:
        return [(line.text, line.confidence, line.quad.tolist()) for line in page.lines]

    alone = [facts(read(reader, each)) for each in drawn]
    assert [facts(page) for page in asyncio.run(together())] == alone


def test_lines_below_the_least_confidence_are_left_out(reader: Pipeline) -> None:
    strict = replace(reader, min_confidence=1.1)
    assert read(strict, PAGE).lines == []


def test_the_page_is_left_as_it_is(reader: Pipeline) -> None:
    image = PAGE.image.copy()
    asyncio.run(reader.read(image))
    assert np.array_equal(image, PAGE.image)


async def _fails_to_detect(image: Pixels) -> Boxes:
    raise InferenceFailed("detection: out of memory")


async def _fails_to_recognise(lines: PackedLines) -> list[Reading]:
    raise InferenceFailed("recognition: out of memory")


def test_a_failing_network_fails_the_page(reader: Pipeline) -> None:
    with pytest.raises(InferenceFailed, match="detection"):
        read(replace(reader, detect=_fails_to_detect), PAGE)
    with pytest.raises(InferenceFailed, match="recognition"):
        read(replace(reader, recognise=_fails_to_recognise), PAGE)
