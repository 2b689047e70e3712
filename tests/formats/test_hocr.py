import re
from dataclasses import replace

import lxml.html
import numpy as np
import pytest
from lxml import etree

from ocr import __version__
from ocr.document import Document, Page
from ocr.formats.hocr import parse, render
from ocr.wanted import Wanted
from tests.formats.comparing import assert_same
from tests.formats.documents import (
    ALL,
    ASTRAL,
    CONTROLS,
    ESCAPED,
    FAILED,
    MIXED,
    NAMELESS,
    PAGES,
    PLAIN,
    READ,
    SPECIAL,
    TURNED,
    TWIN,
    line,
    page,
)

WANTED = Wanted(format="hocr")
HALF_A_PIXEL = 0.501

TESSERACT = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
    "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title></title>
  <meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>
  <meta name='ocr-system' content='tesseract 5.3.0' />
 </head>
 <body>
  <div class='ocr_page' id='page_1' title='image "two pages;.tif"; bbox 0 0 640 480; ppageno 0; scan_res 300 300'>
   <div class='ocr_carea' id='block_1_1' title="bbox 30 20 300 90">
    <p class='ocr_par' id='par_1_1' lang='eng' title="bbox 30 20 300 90">
     <span class='ocr_header' id='line_1_1' title="bbox 30 20 300 50; baseline 0.002 -7; x_size 30.5">
      <span class='ocrx_word' id='word_1_1' title='bbox 30 20 120 50; x_wconf 96'>Fish&amp;Chips</span>
      <span class='ocrx_word' id='word_1_2' title='bbox 130 20 300 50; x_wconf 90'><strong>at&nbsp;noon</strong></span>
     </span>
     <span class='ocr_line' id='line_1_2' title="bbox 30 60 200 90; baseline 0 0; textangle 180">
      <span class='ocrx_word' id='word_1_3' title='bbox 30 60 60 90; x_wconf 80'>中</span>
      <span class='ocrx_word' id='word_1_4' title='bbox 60 60 90 90; x_wconf 70'>文</span>
      <span class='ocrx_word' id='word_1_5' title='bbox 100 60 200 90; x_wconf 60'>OCR</span>
      <span class='ocrx_word' id='word_1_6' title='bbox 200 60 210 90; x_wconf 95'> </span>
     </span>
    </p>
   </div>
  </div>
  <div class='ocr_page' id='page_2' title='image "two pages;.tif"; bbox 0 0 640 480; ppageno 1; scan_res 300 300'>
  </div>
  <div class='ocr_page' id='page_3' title='image "other.tif"; bbox 0 0 64 48; ppageno 2'>
  </div>
 </body>
</html>
"""  # noqa: E501


def as_html(*documents: Document) -> lxml.html.HtmlElement:
    """Read as a browser reads HTML, by a reader that knows nothing of this module's."""
    return lxml.html.document_fromstring(render(documents, WANTED))


def of_class(root: lxml.html.HtmlElement, name: str) -> list[lxml.html.HtmlElement]:
    return list(root.xpath(f"//*[@class='{name}']"))


def numbers(element: lxml.html.HtmlElement, name: str) -> list[float]:
    """The values of one property, as most readers of hOCR find them."""
    for each in element.get("title").split(";"):
        if each.split()[0] == name:
            return [float(value) for value in each.split()[1:]]
    return []


def test_it_is_xml_and_html_alike() -> None:
    data = render(ALL, WANTED)
    root = etree.fromstring(data)
    assert root.tag == "{http://www.w3.org/1999/xhtml}html"
    in_xml = [
        [each.get("class"), each.get("title"), "".join(each.itertext())]
        for each in root.iter()
        if each.get("class")
    ]
    in_html = [
        [each.get("class"), each.get("title"), each.text_content()]
        for each in as_html(*ALL).xpath("//*[@class]")
    ]
    assert in_xml == in_html


def test_its_head_says_by_whom_and_what() -> None:
    head = {meta.get("name"): meta.get("content") for meta in as_html(*ALL).xpath("//meta")}
    assert head["ocr-system"] == f"ocr-service {__version__}"
    assert head["ocr-number-of-pages"] == str(sum(len(each.pages) for each in READ))
    for each in as_html(*ALL).xpath("//*[@class]"):
        assert each.get("class") in head["ocr-capabilities"].split()
    assert "ocrp_poly" in head["ocr-capabilities"].split()


def test_elements_lie_in_one_another() -> None:
    root = as_html(*ALL)
    for inner, outer in [
        ("ocrx_word", "ocr_line"),
        ("ocr_line", "ocr_par"),
        ("ocr_par", "ocr_carea"),
        ("ocr_carea", "ocr_page"),
        ("ocr_page", "ocr_document"),
    ]:
        found = of_class(root, inner)
        assert found
        assert all(each.getparent().get("class") == outer for each in found)
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_another_reader_finds_texts_and_places() -> None:
    root = as_html(TURNED)
    (shown,) = of_class(root, "ocr_page")
    assert numbers(shown, "bbox") == [0, 0, 800, 1200]
    assert numbers(shown, "scan_res") == [200, 200]
    assert numbers(shown, "ppageno") == [0]
    lines = TURNED.pages[0].lines
    for found, written in zip(of_class(root, "ocr_line"), lines, strict=True):
        assert found.text_content() == written.text
        assert numbers(found, "x_wconf")[0] == pytest.approx(100 * written.confidence, abs=0.01)
        corners = np.array(numbers(found, "poly")).reshape(4, 2)
        assert np.abs(corners - written.quad).max() < HALF_A_PIXEL
        left, top, right, bottom = numbers(found, "bbox")
        assert np.abs(corners.min(axis=0) - [left, top]).max() <= 1
        assert np.abs(corners.max(axis=0) - [right, bottom]).max() <= 1
        words = [each.text_content() for each in found.xpath("./*[@class='ocrx_word']")]
        assert words == [word.text for word in written.words or [written]]


def test_angles_are_counterclockwise() -> None:
    angles = [numbers(each, "textangle") for each in of_class(as_html(TURNED), "ocr_line")]
    assert angles == [[], [270], [270], [180], [90], [], [270], []]


def test_boxes_are_whole_pixels_of_the_page() -> None:
    outside = Document([Page(100, 50, [line("over the edge", -3.7, 30.2, slanted=True)])])
    for each in as_html(outside).xpath("//*[contains(@title, 'bbox')]"):
        (box,) = re.findall(r"bbox (\d+ \d+ \d+ \d+)(?:;|$)", each.get("title"))
        left, top, right, bottom = map(int, box.split())
        assert 0 <= left <= right <= 100 and 0 <= top <= bottom <= 50


def test_spaces_stand_where_the_text_has_them() -> None:
    data = render([MIXED], WANTED).decode()
    assert re.search(r">欢</span><span [^>]*>迎</span>", data)
    assert re.search(r">用</span> <span [^>]*>OCR</span> <span [^>]*>服</span>", data)
    assert re.search(r">price:</span>  <span ", data)


def test_names_do_not_end_their_property() -> None:
    (shown,) = of_class(as_html(SPECIAL), "ocr_page")
    assert numbers(shown, "bbox") == [0, 0, 1654, 2339]
    names = [each.split()[0] for each in shown.get("title").split(";")]
    assert names == ["image", "bbox", "ppageno", "x_source"]
    assert shown.get("title").count('"') == 6


def test_pages_of_several_files_have_no_physical_order() -> None:
    assert [numbers(each, "ppageno") for each in of_class(as_html(PAGES), "ocr_page")] == [
        [2], [3], [7],
    ]  # fmt: skip
    assert not any(numbers(each, "ppageno") for each in of_class(as_html(*ALL), "ocr_page"))


def test_there_and_back() -> None:
    assert_same(parse(render(ALL, WANTED)), READ, HALF_A_PIXEL)


@pytest.mark.parametrize("document", READ, ids=lambda document: document.source or "nameless")
def test_each_alone_there_and_back(document: Document) -> None:
    assert_same(parse(render([document], WANTED)), [document], HALF_A_PIXEL)


def test_what_was_read_is_written_again_alike() -> None:
    once = render(ALL, WANTED)
    assert render(parse(once), WANTED) == once


def test_documents_of_the_same_name_stay_apart() -> None:
    found = parse(render([TWIN, TWIN, NAMELESS, NAMELESS], WANTED))
    assert [len(each.pages) for each in found] == [1, 1, 1, 1]


@pytest.mark.parametrize("text", ["hello new world", "hello", "hello earth", "so hello world"])
def test_words_that_are_not_the_text_s_are_left_out(text: str) -> None:
    wrong = replace(line("hello world"), text=text)
    (found,) = parse(render([Document([Page(400, 50, [wrong])])], WANTED))
    assert (found.pages[0].text, found.pages[0].lines[0].words) == (text, ())


def test_what_xml_forbids_is_replaced() -> None:
    data = render([Document([page([CONTROLS, ESCAPED, ASTRAL])], CONTROLS)], WANTED)
    (found,) = parse(data)
    assert found.pages[0].text.split("\n") == [PLAIN, ESCAPED, ASTRAL]


def test_a_file_without_text_is_whole() -> None:
    empty = Document([Page(10, 10), Page(10, 10, [line("")], 2)], "e.png")
    root = as_html(empty, FAILED)
    assert [each.getparent().tag for each in of_class(root, "ocr_page")] == ["div", "div"]
    assert parse(render([empty], WANTED))[0].pages[0].lines == []
    assert [each.text for each in parse(render([empty], WANTED))[0].pages[1].lines] == [""]
    assert parse(render([], WANTED)) == []


def test_hocr_of_tesseract_is_read() -> None:
    found, other = parse(TESSERACT.encode())
    assert (found.source, other.source) == ("two pages;.tif", "other.tif")
    first, second = found.pages
    assert (first.width, first.height, first.number, first.dpi) == (640, 480, 1, 300)
    assert (second.number, second.lines, other.pages[0].dpi) == (2, [], None)
    above, below = first.lines
    assert above.text == "Fish&Chips at\xa0noon"
    assert [word.text for word in above.words] == ["Fish&Chips", "at\xa0noon"]
    assert above.quad.tolist() == [[30, 20], [300, 20], [300, 50], [30, 50]]
    assert above.words[1].quad.tolist() == [[130, 20], [300, 20], [300, 50], [130, 50]]
    assert above.confidence == pytest.approx((10 * 0.96 + 7 * 0.9) / 17)
    assert (below.text, below.turns) == ("中文 OCR", 2)
    assert [word.text for word in below.words] == ["中", "文", "OCR"]
    assert [word.confidence for word in below.words] == [0.8, 0.7, 0.6]


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE html [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><html>&b;</html>'
    with pytest.raises(ValueError, match="Entit"):
        parse(bomb.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body></html>",
        b"<html>&nothing;</html>",
        b'<html><div class="ocr_page" title="ppageno 0"/></html>',
        b'<html><div class="ocr_page" title="bbox 0 0 10"/></html>',
        b'<html><div class="ocr_page" title="bbox 0 0 9 9"><p class="ocr_line"/></div></html>',
        b'<html><div class="ocr_page" title="poly 1 2 3"/></html>',
        b'<html><div class="ocr_page" title="bbox 0 0 inf nan"/></html>',
        b'<html><div class="ocr_page" title="bbox"/></html>',
    ],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)
