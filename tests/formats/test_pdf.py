"""Searchable PDFs, as poppler and PDFium read them: every text once, and where it is seen."""

import io
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pikepdf
import pytest

from ocr import __version__
from ocr.document import Document, Line, Page, Picture
from ocr.errors import NotAnImage
from ocr.formats import pdf
from ocr.wanted import Wanted
from tests import pictures
from tests.formats import pdf_readers, written
from tests.formats.pdf_readers import Piece
from tests.pictures import CHINESE, ENGLISH, MIXED

WANTED = Wanted(format="pdf")
DPI = 150
A4_WIDTH = 595.28

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="no pdftotext: poppler does not check the PDFs"
)

PAGES = {
    "Chinese": pictures.page(CHINESE),
    "English": pictures.page(ENGLISH),
    "mixed": pictures.page(MIXED),
    "small": pictures.page(MIXED, size=14),
    "columns": pictures.two_columns(),
    "table": pictures.table(),
    "strip": pictures.receipt(rows=40),
}
TURNS = {1: 3, 2: 2, 3: 1}  # of the text: quarters by which it is turned anticlockwise


def rendered(*documents: Document, wanted: Wanted = WANTED) -> bytes:
    """The PDF, in which qpdf finds no fault."""
    data = pdf.render(documents, wanted)
    with pikepdf.open(io.BytesIO(data)) as opened:
        assert opened.check_pdf_syntax() == []
    return data


def tokens(lines: Sequence[str]) -> list[str]:
    return " ".join(lines).split()


def assert_in_place(pieces: Sequence[Piece], lines: Sequence[Line], points: float) -> None:
    """Pieces follow the lines' characters, each within half a line's height of its place.

    A pixel is `points` wide.
    """
    expected = [
        (character, place * points, written.height(line) * points)
        for line in lines
        for character, place in written.centres(line)
    ]
    assert "".join(piece.text for piece in pieces) == "".join(each[0] for each in expected)
    start = 0
    for piece in pieces:
        (_, first, height), (_, last, _) = expected[start], expected[start + len(piece.text) - 1]
        start += len(piece.text)
        away = np.hypot(*((first + last) / 2 - piece.middle))
        assert away < height / 2, piece


# Pictures


@needs_poppler
@pytest.mark.parametrize("words", [True, False], ids=["words", "lines only"])
@pytest.mark.parametrize("name", PAGES)
def test_text_and_places_as_poppler_reads_them(name: str, words: bool, tmp_path: Path) -> None:
    document = written.document(PAGES[name], dpi=DPI)
    data = rendered(document if words else written.without_words(document))
    (page,) = document.pages
    (found,) = pdf_readers.poppler_text(data, tmp_path)
    if name in ("table", "strip"):  # whose neighbours on a row poppler puts on one line
        assert tokens(found) == tokens(written.texts(page))
    else:
        assert found == written.texts(page)
    (pieces,) = pdf_readers.poppler_pieces(data, tmp_path)
    assert_in_place(pieces, page.lines, 72 / DPI)


@pytest.mark.parametrize("name", PAGES)
def test_text_and_places_as_pdfium_reads_them(name: str) -> None:
    document = written.document(PAGES[name], dpi=DPI)
    data = rendered(document)
    (page,) = document.pages
    assert tokens(pdf_readers.pdfium_text(data)[0]) == tokens(written.texts(page))
    assert_in_place(pdf_readers.pdfium_pieces(data), page.lines, 72 / DPI)


@needs_poppler
@pytest.mark.parametrize("turns", TURNS)
def test_turned_lines(turns: int, tmp_path: Path) -> None:
    drawn = pictures.turned(pictures.page([*CHINESE[:4], *MIXED]), TURNS[turns])
    document = written.document(drawn, dpi=DPI, turns=turns)
    data = rendered(document)
    (page,) = document.pages
    (found,) = pdf_readers.poppler_text(data, tmp_path)
    assert tokens(found) == tokens(written.texts(page))
    (lines,) = pdf_readers.pdfium_text(data)  # which has lines that run down from left to right
    assert sorted(lines) == sorted(written.texts(page))
    (pieces,) = pdf_readers.poppler_pieces(data, tmp_path)
    assert_in_place(pieces, page.lines, 72 / DPI)


@needs_poppler
@pytest.mark.parametrize("degrees", [-8, -3, 3, 8])
def test_slanted_lines(degrees: float, tmp_path: Path) -> None:
    document = written.document(pictures.rotated(PAGES["mixed"], degrees), dpi=DPI)
    data = rendered(document)
    (page,) = document.pages
    assert pdf_readers.poppler_text(data, tmp_path) == [written.texts(page)]
    (pieces,) = pdf_readers.poppler_pieces(data, tmp_path)
    assert_in_place(pieces, page.lines, 72 / DPI)
    assert_in_place(pdf_readers.pdfium_pieces(data), page.lines, 72 / DPI)


@needs_poppler
def test_lines_in_perspective(tmp_path: Path) -> None:
    document = written.document(pictures.in_perspective(PAGES["mixed"]), dpi=DPI)
    data = rendered(document)
    (page,) = document.pages
    assert pdf_readers.poppler_text(data, tmp_path) == [written.texts(page)]
    assert_in_place(pdf_readers.pdfium_pieces(data), page.lines, 72 / DPI)


@needs_poppler
@pytest.mark.parametrize(
    "text",
    [
        "𠮷野家的𠮷字 and 😀 emoji",
        "（１２３）：“全角”，。！",
        "ffi Ångström naïve — … × №",
        "繁體與简体 한국어 ひらがな",
        "<tag> (a\\b) [c] %d /e {f}",
    ],
)
def test_any_character(text: str, tmp_path: Path) -> None:
    quad = np.array([[50, 50], [650, 50], [650, 90], [50, 90]])
    blank = written.page(pictures.empty(700, 200))
    data = rendered(Document([replace(blank, lines=[written.line(text, quad)])]))
    assert pdf_readers.poppler_text(data, tmp_path) == [[text]]
    assert pdf_readers.pdfium_text(data) == [[text]]


def _placed(text: str, seed: int) -> Line:
    """A line whose words are read up to a character's width from where they should be."""
    chance = np.random.default_rng(seed)
    line = written.line(
        text, [[40, 40], [40 + 20 * len(text), 40], [40 + 20 * len(text), 70], [40, 70]]
    )
    moved = []
    for word in line.words:
        quad = word.quad.copy()
        quad[[0, 3], 0] += chance.uniform(-15, 15)
        quad[[1, 2], 0] += chance.uniform(-15, 15)
        moved.append(replace(word, quad=quad))
    return replace(line, words=tuple(moved))


@needs_poppler
def test_spaces_are_the_line_s_wherever_the_words_were_seen(tmp_path: Path) -> None:
    texts = ["Python 3.11 版本说明", "合计128.50元", "a b c d e f", "电话 010 6255 8888"]
    for seed in range(10):
        lines = [_placed(text, seed) for text in texts]
        pages = [replace(written.page(pictures.empty()), lines=[line]) for line in lines]
        data = rendered(Document(pages))
        assert pdf_readers.poppler_text(data, tmp_path) == [[text] for text in texts]
        assert pdf_readers.pdfium_text(data) == [[text] for text in texts]


@needs_poppler
@pytest.mark.parametrize(
    "quad",
    [
        [[50, 50], [120, 50], [120, 150], [50, 150]],  # far too short for its height
        [[50, 50], [580, 50], [580, 52], [50, 52]],  # flat
        [[50, 50], [50, 50], [50, 50], [50, 50]],  # a point
        [[-20, -10], [610, -10], [610, 30], [-20, 30]],  # over the edge
    ],
)
def test_odd_quads(quad: list[list[float]], tmp_path: Path) -> None:
    line = written.line("订单号 20240518 Total", quad)
    data = rendered(Document([replace(written.page(pictures.empty()), lines=[line])]))
    if quad[0] != quad[1]:
        assert pdf_readers.poppler_text(data, tmp_path) == [[line.text]]


def test_words_that_are_not_the_line_s_are_left_aside() -> None:
    line = written.line("订单号 2024", [[50, 50], [250, 50], [250, 80], [50, 80]])
    other = written.line("something else", line.quad)
    page = written.page(pictures.empty())
    data = rendered(Document([replace(page, lines=[replace(line, words=other.words)])]))
    assert pdf_readers.pdfium_text(data) == [[line.text]]


# Pages


def test_documents_in_order_with_empty_pages_and_without_failures() -> None:
    first = written.document(PAGES["Chinese"], pictures.empty(), source="一.tif")
    failed = Document([], "two.png", error=NotAnImage("no picture"))
    last = written.document(PAGES["English"], source="three.jpg")
    data = rendered(first, failed, last)
    assert pdf_readers.pdfium_text(data) == [list(CHINESE), [], list(ENGLISH)]
    with pikepdf.open(io.BytesIO(data)) as opened:
        assert str(opened.docinfo.Title) == "一.tif, three.jpg"
        assert str(opened.docinfo.Producer) == f"ocr-service {__version__}"
        assert str(opened.docinfo.Creator) == f"ocr-service {__version__}"


def test_without_a_page_there_is_no_pdf() -> None:
    failed = Document([], error=NotAnImage("no picture"))
    with pytest.raises(ValueError, match="at least one page"):
        pdf.render([failed], WANTED)


def test_a_page_without_a_picture() -> None:
    page = replace(written.page(pictures.empty()), picture=None)
    with pytest.raises(ValueError, match="page 1 has no picture"):
        pdf.render([Document([page])], WANTED)


@pytest.mark.parametrize(
    ("width", "height", "dpi", "points"),
    [
        (1240, 1754, 150, (595.2, 841.92)),
        (800, 600, None, (600, 450)),  # of a screen
        (3000, 4000, None, (A4_WIDTH, A4_WIDTH * 4 / 3)),  # of a camera
        (463, 5240, None, (347.25, 3930)),  # a receipt stays legible
        (200, 40000, 100, (72, 14400)),  # as long as a page may be
        (40, 12, None, (30, 9)),
    ],
)
def test_size_in_points(
    width: int, height: int, dpi: float | None, points: tuple[float, float]
) -> None:
    small = pictures.to_jpeg(pictures.empty(20, 20).image)
    page = Page(width, height, dpi=dpi, picture=Picture(small, "image/jpeg"))
    with pikepdf.open(io.BytesIO(rendered(Document([page])))) as opened:
        assert [float(each) for each in opened.pages[0].mediabox] == pytest.approx([0, 0, *points])


def test_a_picture_smaller_than_its_page_fills_it() -> None:
    document = written.document(PAGES["mixed"])
    (page,) = document.pages
    small = pictures.to_jpeg(PAGES["mixed"].image[::2, ::2])
    data = rendered(Document([replace(page, picture=Picture(small, "image/jpeg"))]))
    assert_in_place(pdf_readers.pdfium_pieces(data), page.lines, 72 / DPI)
    seen = pdf_readers.picture(data, dpi=DPI)[: page.height, : page.width]
    assert np.abs(seen.astype(int) - PAGES["mixed"].image).mean() < 10


@pytest.mark.parametrize("mode", [3, 0], ids=["as it is", "by a reader that paints all text"])
def test_the_text_paints_nothing(mode: int) -> None:
    document = written.document(PAGES["mixed"], dpi=72)
    (page,) = document.pages
    bare = rendered(Document([replace(page, lines=[])]))
    with pikepdf.open(io.BytesIO(rendered(document))) as opened:
        text = opened.pages[0].Contents[0]
        assert text.read_bytes().count(b"3 Tr") == 1
        text.write(text.read_bytes().replace(b"3 Tr", b"%d Tr" % mode))
        file = io.BytesIO()
        opened.save(file)
    assert (pdf_readers.picture(file.getvalue()) == pdf_readers.picture(bare)).all()


def test_the_same_documents_give_the_same_bytes() -> None:
    documents = [written.document(PAGES["mixed"]), written.document(PAGES["Chinese"])]
    assert pdf.render(documents, WANTED) == pdf.render(documents, WANTED)


@needs_poppler
def test_two_hundred_pages(tmp_path: Path) -> None:
    (page,) = written.document(pictures.page([*CHINESE, *ENGLISH, *MIXED])).pages
    pages = [replace(page, number=number) for number in range(1, 201)]
    started = time.monotonic()
    data = pdf.render([Document(pages)], WANTED)
    assert time.monotonic() - started < 20
    found = pdf_readers.poppler_text(data, tmp_path)
    assert len(found) == 200
    assert all(each == written.texts(page) for each in found)
