from dataclasses import replace

from ocr.document import Document, Page
from ocr.formats.text import render
from ocr.wanted import Wanted
from tests.formats.documents import ALL, FAILED, MIXED, PAGES, TWIN, page

WANTED = Wanted(format="text")


def text(*documents: Document) -> str:
    return render(documents, WANTED).decode()


def test_a_line_is_a_line() -> None:
    assert text(MIXED) == "欢迎使用 OCR 服务\nTotal price:  $42.75\n合计128.50元\n"


def test_pages_and_documents_are_parted_by_form_feeds() -> None:
    assert text(PAGES, FAILED, TWIN) == "第三页\nthird\n\f\fits own text\n\fthe same name\n"


def test_every_page_has_its_place() -> None:
    pages = [page.text for document in ALL for page in document.pages]
    parts = text(*ALL).split("\f")
    assert [part.removesuffix("\n") for part in parts] == pages


def test_text_ends_with_a_newline_though_the_last_page_is_empty() -> None:
    assert text(Document([page(["a"]), Page(1, 1)])) == "a\n\f\n"


def test_without_text_there_is_nothing() -> None:
    assert text() == ""
    assert text(Document([Page(1, 1)]), FAILED) == ""


def test_breaks_within_a_line_make_no_lines_or_pages() -> None:
    assert text(Document([page(["a\nb\fc\r\nd\u2028e"])])) == "a b c d e\n"


def test_a_lone_surrogate_does_not_cost_the_answer() -> None:
    line = replace(MIXED.pages[0].lines[0], text="a\ud800b")
    assert text(Document([Page(1, 1, [line])])) == "a?b\n"
