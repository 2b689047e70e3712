"""PDFs that are drawn here: what is seen of their pages, and what is taken of their text."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pikepdf
import pytest
from PIL import Image

from ocr import pdf as pdfs
from ocr.document import Line, Pixels
from ocr.errors import ImageDamaged, NoPages, PdfEncrypted, PictureError
from ocr.pdf import PdfFile
from ocr.wanted import PdfText, Wanted
from tests import pdfs as drawn
from tests.pdfs import DPI, HEIGHT, WIDTH, text, turned_text

INK = "0 0 {w} {h} re f\n"
LOREM = text("The quick brown fox", 30, 150) + text("jumps over", 30, 130)


@contextmanager
def opened(data: bytes) -> Iterator[PdfFile]:
    file = PdfFile(data)
    try:
        yield file
    finally:
        file.close()


def frame(
    data: bytes, number: int = 1, pdf_text: PdfText = "auto", dpi: int = DPI
) -> pdfs.PdfFrame:
    with opened(data) as file:
        return file.frame(number, Wanted(dpi=dpi, pdf_text=pdf_text))


def pixels(data: bytes, number: int = 1, dpi: int = DPI, pdf_text: PdfText = "ignore") -> Pixels:
    with opened(data) as file:
        return file.frame(number, Wanted(dpi=dpi, pdf_text=pdf_text)).pixels()


def lines(data: bytes, pdf_text: PdfText = "auto", number: int = 1) -> list[Line]:
    return frame(data, number, pdf_text).lines or []


def texts(data: bytes, pdf_text: PdfText = "auto") -> list[str]:
    return sorted(line.text for line in lines(data, pdf_text))


def ink(page: Pixels) -> tuple[int, int, int, int]:
    """The box round all that is not white: left, top, right, bottom."""
    dark = page.min(axis=2) < 200
    (rows,), (columns,) = np.nonzero(dark.any(axis=1)), np.nonzero(dark.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# Pixels


def test_a_page_is_rgb_and_upright_at_its_resolution() -> None:
    page = pixels(drawn.of("1 0 0 rg 10 20 30 40 re f"))
    assert page.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    assert page.dtype == np.uint8
    assert page[2 * (HEIGHT - 40), 50].tolist() == [255, 0, 0]
    assert ink(page) == (20, 2 * (HEIGHT - 60), 80, 2 * (HEIGHT - 20))


def test_the_resolution_is_as_wanted() -> None:
    found = frame(drawn.of(""), dpi=300)
    assert (found.width, found.height, found.dpi) == (1250, 833, 300)
    assert pixels(drawn.of(""), dpi=300).shape == (833, 1250, 3)


@pytest.mark.parametrize(
    ("rotate", "box"),
    [(90, (40, 20, 120, 80)), (180, (520, 40, 580, 120)), (270, (280, 520, 360, 580))],
)
def test_a_turned_page_is_shown_turned(rotate: int, box: tuple[int, ...]) -> None:
    page = pixels(drawn.of("10 20 30 40 re f", Rotate=rotate))
    assert page.shape[:2] == ((600, 400) if rotate % 180 else (400, 600))
    assert ink(page) == box


def test_a_page_is_cut_as_it_says() -> None:
    data = drawn.of("10 20 30 40 re f", CropBox=[5, 10, 105, 110])
    page = pixels(data)
    assert page.shape == (200, 200, 3)
    assert ink(page) == (10, 100, 70, 180)


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "in object streams"])
def test_a_page_of_larger_units_is_larger(streams: bool) -> None:
    mode = pikepdf.ObjectStreamMode
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(drawn.of(text("Large", 10, 10), UserUnit=3))) as pdf:
        pdf.save(file, object_stream_mode=mode.generate if streams else mode.disable)
    found = frame(file.getvalue())
    assert (found.width, found.height) == (6 * WIDTH, 6 * HEIGHT)
    assert found.lines is not None
    assert found.lines[0].quad[0, 0] == pytest.approx(61, abs=10)


@pytest.mark.parametrize("unit", [10**7, 2**31])
def test_a_page_beyond_all_bounds_has_no_text(unit: int) -> None:
    found = frame(drawn.of(LOREM, UserUnit=unit))
    assert found.width > 10**9
    assert found.lines is None


def test_what_forms_and_notes_hold_is_seen_and_taken() -> None:
    data = drawn.form("Ada Lovelace", "Checked")
    assert texts(data) == ["Ada Lovelace", "Checked", "Name"]
    page = pixels(data)
    assert (page[70:110, 200:560] < 100).any(), "the field is empty"
    assert (page[260:300, 200:400] < 100).any(), "the note is not there"
    seen = pixels(data, pdf_text="auto").astype(int)
    assert np.abs(seen - page).mean() < 0.3, "taking the text changes the page"


def test_a_picture_as_pdf_comes_back() -> None:
    pattern = np.random.default_rng(0).integers(0, 2, (50, 80, 1), np.uint8) * 255
    picture = pattern.repeat(8, axis=0).repeat(8, axis=1).repeat(3, axis=2)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PDF", resolution=100)
    page = pixels(file.getvalue(), dpi=100)
    assert page.shape == picture.shape
    assert np.abs(page.astype(int) - picture).mean() < 12


# Text


def test_text_is_taken_with_its_place() -> None:
    (line,) = lines(drawn.of(text("Hello big world", 50, 100, 20)))
    assert (line.text, line.confidence, line.turns) == ("Hello big world", 1.0, 0)
    page = pixels(drawn.of(text("Hello big world", 50, 100, 20)))
    left, top, right, bottom = ink(page)
    assert np.abs(line.quad[0] - (left, top)).max() < 3
    assert np.abs(line.quad[2] - (right, bottom)).max() < 3
    assert [word.text for word in line.words] == ["Hello", "big", "world"]


def test_words_lie_on_their_ink() -> None:
    data = drawn.of(text("Hello big world", 50, 100, 20))
    page = pixels(data)
    for word in lines(data)[0].words:
        left, right = float(word.quad[0, 0]), float(word.quad[1, 0])
        around = ink(page[:, round(left) - 5 : round(right) + 5])
        assert around[0] - 5 == pytest.approx(0, abs=2)
        assert around[2] - 5 == pytest.approx(right - left, abs=2)


@pytest.mark.parametrize(
    ("matrix", "turns"), [("1 0 0 1", 0), ("0 -1 1 0", 1), ("-1 0 0 -1", 2), ("0 1 -1 0", 3)]
)
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_text_on_turned_pages(matrix: str, turns: int, rotate: int) -> None:
    data = drawn.of(turned_text("Hello there", f"{matrix} 150 100"), Rotate=rotate)
    (line,) = lines(data)
    assert line.text == "Hello there"
    assert line.turns == (turns + rotate // 90) % 4
    left, top, right, bottom = ink(pixels(data))
    assert (
        np.abs(line.quad - [[left, top], [right, top], [right, bottom], [left, bottom]]).max() < 4
    )
    start = line.quad[line.turns]
    assert np.abs(line.words[0].quad[line.turns] - start).max() < 2


def test_slanting_text_is_one_line_along_its_slant() -> None:
    data = drawn.of(turned_text("Hello there my dear", "0.94 0.342 -0.342 0.94 60 40", 14))
    (line,) = lines(data)
    assert (line.text, line.turns) == ("Hello there my dear", 0)
    along = line.quad[1] - line.quad[0]
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(-20, abs=1)


def test_chinese_of_an_embedded_font() -> None:
    (line,) = lines(drawn.chinese(("欢迎使用 OCR 服务", 30, 100)))
    assert line.text == "欢迎使用 OCR 服务"
    assert [word.text for word in line.words] == ["欢", "迎", "使", "用", "OCR", "服", "务"]
    lefts = [float(word.quad[0, 0]) for word in line.words[:4]]
    assert np.diff(lefts) == pytest.approx(32, abs=5)


def test_chinese_that_is_written_downwards() -> None:
    stack = [(character, 200.0, 160.0 - 17 * i) for i, character in enumerate("欢迎使用")]
    found = lines(drawn.chinese(*stack, ("服务", 40, 100)))
    assert sorted((line.text, line.turns) for line in found) == [("服务", 0), ("欢迎使用", 1)]


def test_columns_are_lines_of_their_own() -> None:
    row = text("left one", 20, 150) + text("right one", 160, 150)
    second = "BT /F1 12 Tf 20 130 Td [(left two) -7000 (right two)] TJ ET"
    found = texts(drawn.of(row + second))
    assert found == ["left one", "left two", "right one", "right two"]


def test_words_that_were_written_one_by_one_are_a_line() -> None:
    content = text("world", 63, 100) + text("Hello", 30, 100) + text("again", 99, 100)
    assert texts(drawn.of(content)) == ["Hello world again"]


def test_an_exponent_stays_in_its_line() -> None:
    assert texts(drawn.of("BT /F1 12 Tf 30 100 Td (E = mc) Tj 5 Ts /F1 7 Tf (2) Tj ET")) == [
        "E = mc2"
    ]


def test_a_hyphen_at_the_end_of_a_line_is_one() -> None:
    content = "BT /F1 12 Tf 30 100 Td (adip-) Tj 0 -14 Td (iscing) Tj ET"
    assert texts(drawn.of(content)) == ["adip-", "iscing"]


def test_text_beside_the_page_is_none() -> None:
    content = text("seen", 20, 100) + text("beside", 400, 100)
    assert texts(drawn.of(content)) == ["seen"]
    assert texts(drawn.of(content, CropBox=[0, 0, 10, 10]), "keep") == []


# Whether to take it


def test_a_page_without_text_is_read() -> None:
    assert frame(drawn.of("0 0 10 10 re f")).lines is None
    assert frame(drawn.of(" "), pdf_text="keep").lines is None


def test_text_is_ignored_if_so_wanted() -> None:
    assert frame(drawn.of(LOREM), pdf_text="ignore").lines is None


def test_invisible_text_is_kept_only_if_so_wanted() -> None:
    data = drawn.of(text("The quick brown fox", 30, 150, more="3 Tr"))
    assert frame(data).lines is None
    assert texts(data, "keep") == ["The quick brown fox"]


def test_a_little_invisible_text_is_left_out() -> None:
    content = text("The quick brown fox jumps over", 30, 150) + text("x", 30, 50, more="3 Tr")
    assert texts(drawn.of(content)) == ["The quick brown fox jumps over"]
    assert texts(drawn.of(content), "keep") == ["The quick brown fox jumps over", "x"]


@pytest.mark.parametrize(
    ("code", "sane"), [(0xFFFD, False), (0xE001, False), (0x0007, False), (0x0041, True)]
)
def test_text_that_says_nothing_is_not_taken(code: int, sane: bool) -> None:
    def garble(pdf: pikepdf.Pdf) -> None:
        pairs = "\n".join(f"<{i + 97:02x}> <{code:04x}>" for i in range(12))
        pdf.pages[0].Resources.Font.F1.ToUnicode = pdf.make_stream(
            f"1 begincodespacerange <00> <ff> endcodespacerange\n"
            f"12 beginbfchar\n{pairs}\nendbfchar".encode()
        )

    data = drawn.changed(drawn.of(text("abcdefghijkl", 30, 100)), garble)
    assert (frame(data).lines is not None) is sane
    assert frame(data, pdf_text="keep").lines is not None


@pytest.mark.parametrize(("share", "taken"), [(0.2, True), (0.3, False), (1.0, False)])
def test_text_on_a_page_that_is_mostly_a_picture_is_not_taken(share: float, taken: bool) -> None:
    data = drawn.pictured(LOREM, WIDTH, HEIGHT * share)
    assert (frame(data).lines is not None) is taken
    assert texts(data, "keep") == ["The quick brown fox", "jumps over"]


def test_a_picture_within_drawings_counts_as_large_as_it_is_shown() -> None:
    def wrap(pdf: pikepdf.Pdf) -> None:
        page = pdf.pages[0]
        inner = pdf.make_stream(b"q 10 0 0 10 5 5 cm /P Do Q")
        inner.Type, inner.Subtype = pikepdf.Name.XObject, pikepdf.Name.Form
        inner.BBox, inner.Matrix = [0, 0, 100, 100], [1, 0, 0, 1, 5, 5]
        inner.Resources = drawn.grey_picture(pdf)
        page.Resources.XObject = pikepdf.Dictionary(X=inner)
        page.contents_add(b"q 16 0 0 16 -150 -150 cm /X Do Q", prepend=True)

    assert frame(drawn.changed(drawn.of(LOREM), wrap)).lines is None


# Files


def test_a_file_that_needs_a_password() -> None:
    with pikepdf.open(io.BytesIO(drawn.of(LOREM))) as pdf:
        data = drawn.saved(pdf, pikepdf.Encryption(user="secret", owner="boss"))
    with pytest.raises(PdfEncrypted):
        PdfFile(data)


def test_a_file_that_only_its_owner_may_change() -> None:
    with pikepdf.open(io.BytesIO(drawn.of(LOREM))) as pdf:
        data = drawn.saved(pdf, pikepdf.Encryption(user="", owner="boss"))
    assert texts(data) == ["The quick brown fox", "jumps over"]


def test_a_file_without_pages() -> None:
    with pytest.raises(NoPages):
        PdfFile(drawn.saved(pikepdf.Pdf.new()))


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-", b"%PDF-1.4\n" + bytes(5000)])
def test_a_file_that_is_none(data: bytes) -> None:
    with pytest.raises(ImageDamaged):
        PdfFile(data)


def test_broken_files_give_pages_or_an_error_of_ours() -> None:
    whole = drawn.form("Ada", "Checked")
    random = np.random.default_rng(1)
    refused = 0
    for attempt in range(150):
        data = bytearray(whole[: random.integers(len(whole))] if attempt % 2 else whole)
        for place in random.integers(0, len(data), 8) if data else ():
            data[place] = random.integers(0, 256)
        try:
            with opened(bytes(data)) as file:
                for number in range(1, min(file.count, 3) + 1):
                    found = file.frame(number, Wanted(dpi=72))
                    if found.width * found.height < 1_000_000:
                        assert found.pixels().ndim == 3
        except PictureError:
            refused += 1
    assert 20 < refused < 150


def test_a_page_that_is_broken_is_named() -> None:
    def spoil(pdf: pikepdf.Pdf) -> None:
        pdf.Root.Pages.Kids[1] = pikepdf.Dictionary(Type=pikepdf.Name.Font)

    with opened(drawn.changed(drawn.of("", "", ""), spoil)) as file:
        assert file.count == 3
        with pytest.raises(ImageDamaged, match="page 2"):
            file.frame(2, Wanted()).pixels()
        assert file.frame(3, Wanted()).pixels().any()


def test_a_huge_page_costs_nothing_until_it_is_drawn() -> None:
    found = frame(drawn.of(LOREM, MediaBox=[0, 0, 14400, 14400]), pdf_text="ignore", dpi=600)
    assert (found.width, found.height) == (120_000, 120_000)
    assert "120000 x 120000 pixels at 600 dpi" in found.size


def test_a_closed_file_says_so() -> None:
    file = PdfFile(drawn.of(""))
    found = file.frame(1, Wanted())
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        found.pixels()


def test_the_last_pages_of_a_long_file_come_quickly() -> None:
    data = drawn.of(*(text(f"page {number}", 20, 100) for number in range(1, 1001)))
    start = time.perf_counter()
    with opened(data) as file:
        found = file.frame(1000, Wanted()).lines
    assert found is not None
    assert found[0].text == "page 1000"
    assert time.perf_counter() - start < 2


def test_many_threads_may_draw() -> None:
    datas = [drawn.of(f"0 0 {10 + i} 10 re f" + LOREM) for i in range(4)]
    expected = [pixels(data) for data in datas]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(10):
            if not np.array_equal(pixels(datas[i]), expected[i]) or len(lines(datas[i])) != 2:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
