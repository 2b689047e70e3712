from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree

from ocr import __version__
from ocr.document import Document, Line, Page, Quad, Word
from ocr.formats.alto import parse, render
from ocr.wanted import Wanted
from tests.conftest import ROOT
from tests.formats.comparing import assert_same
from tests.formats.documents import (
    ALL,
    ASTRAL,
    CONTROLS,
    ESCAPED,
    MIXED,
    NAMELESS,
    PAGES,
    PLAIN,
    READ,
    SIZE,
    TURNED,
    TWIN,
    line,
    page,
)

WANTED = Wanted(format="alto")
NAMES = {"a": "http://www.loc.gov/standards/alto/ns-v4#"}
OFFICIAL = ROOT / ".cache" / "alto-4-4.xsd"  # see README.md

# Of a line with words ALTO has no confidence: it is told by those of its words, and so without its
# spaces'.
SPACES = 0.01

# What the official schema imports; its other attributes are not used here.
XLINK = """\
<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
  <attributeGroup name="simpleLink"/>
</schema>
"""

TESSERACT = """\
<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v3#">
  <Description>
    <MeasurementUnit>pixel</MeasurementUnit>
    <sourceImageInformation><fileName>a &amp; b.png</fileName></sourceImageInformation>
  </Description>
  <Layout>
    <Page WIDTH="640" HEIGHT="480" PHYSICAL_IMG_NR="0" ID="page_0">
      <PrintSpace HPOS="0" VPOS="0" WIDTH="640" HEIGHT="480">
        <ComposedBlock ID="cblock_0" HPOS="30" VPOS="20" WIDTH="270" HEIGHT="30">
          <TextBlock ID="block_0" HPOS="30" VPOS="20" WIDTH="270" HEIGHT="30">
            <TextLine ID="line_0" HPOS="30" VPOS="20" WIDTH="270" HEIGHT="30">
              <String ID="s0" HPOS="30" VPOS="20" WIDTH="90" HEIGHT="30" WC="0.96" CONTENT="Fish"/>
              <SP WIDTH="10" VPOS="20" HPOS="120"/>
              <String ID="s1" HPOS="130" VPOS="20" WIDTH="170" HEIGHT="30" CONTENT="hyphen"/>
              <HYP CONTENT="-"/>
            </TextLine>
          </TextBlock>
        </ComposedBlock>
      </PrintSpace>
    </Page>
  </Layout>
</alto>
"""


def tree(*documents: Document) -> etree._Element:
    """Read by a reader that knows nothing of this module's."""
    return etree.fromstring(render(documents, WANTED))


def find(root: etree._Element, path: str) -> list[Any]:
    return list(root.xpath(path, namespaces=NAMES))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The official one, with what it imports beside it, so that nothing is fetched."""
    if not OFFICIAL.is_file():
        pytest.skip(f"no schema at {OFFICIAL}: ALTO is not validated")
    folder: Path = tmp_path_factory.mktemp("schema")
    (folder / "xlink.xsd").write_text(XLINK)
    text = OFFICIAL.read_text("utf-8")
    local = text.replace("http://www.loc.gov/standards/xlink/xlink.xsd", "xlink.xsd")
    assert local != text
    (folder / "alto.xsd").write_text(local, "utf-8")
    return etree.XMLSchema(etree.parse(folder / "alto.xsd", etree.XMLParser(no_network=True)))


@pytest.mark.parametrize(
    "documents", [ALL, *([each] for each in READ)], ids=lambda each: each[0].source or "nameless"
)
def test_it_is_valid(schema: etree.XMLSchema, documents: list[Document]) -> None:
    schema.assertValid(etree.fromstring(render(documents, WANTED)))


def test_odd_text_is_valid(schema: etree.XMLSchema) -> None:
    odd = Document([page([CONTROLS, ESCAPED, ASTRAL, "", " "])], CONTROLS)
    schema.assertValid(etree.fromstring(render([odd], WANTED)))


def test_the_schema_can_fail(schema: etree.XMLSchema) -> None:
    root = tree(MIXED)
    find(root, "//a:String")[0].set("WC", "1.5")
    assert not schema.validate(root)


def test_ids_are_unique_and_name_what_they_refer_to() -> None:
    root = tree(*ALL)
    ids = find(root, "//@ID")
    assert len(ids) == len(set(ids))
    assert {each.get("PROCESSING") for each in find(root, "//a:Page")} <= set(ids)


def test_a_line_is_strings_with_spaces_between_some() -> None:
    for each in find(tree(*ALL), "//a:TextLine"):
        shape, *parts = (part.tag.rpartition("}")[2] for part in each)
        assert shape == "Shape"
        assert set(parts) <= {"String", "SP"}
        assert parts[0] == parts[-1] == "String"
        assert ("SP", "SP") not in pairwise(parts)


def test_it_says_by_whom_and_of_what() -> None:
    root = tree(MIXED)
    assert [each.text for each in find(root, "//a:MeasurementUnit")] == ["pixel"]
    assert [each.text for each in find(root, "//a:fileName")] == ["收据 1.png"]
    assert [each.text for each in find(root, "//a:OCRProcessing//a:softwareName")] == [
        "ocr-service"
    ]
    assert [each.text for each in find(root, "//a:softwareVersion")] == [__version__]
    assert root.get("SCHEMAVERSION") == "4.4"


def test_each_page_tells_its_document() -> None:
    root = tree(*ALL)
    assert find(root, "//a:fileName") == []
    names = [each.text or "" for each in find(root, "//a:documentIdentifier")]
    assert names == [each.source for each in READ]
    pages = [
        (names[int(each.get("ID", "").split("_")[1]) - 1], int(each.get("PHYSICAL_IMG_NR", "")))
        for each in find(root, "//a:Page")
    ]
    assert pages == [(each.source, page.number) for each in READ for page in each.pages]


def test_places_and_confidences_are_there_for_other_readers() -> None:
    lines = TURNED.pages[0].lines
    for found, written in zip(find(tree(TURNED), "//a:TextLine"), lines, strict=True):
        _assert_lies(found, written.quad)
        parts: Sequence[Line | Word] = written.words or (written,)
        for string, part in zip(found.findall("a:String", NAMES), parts, strict=True):
            assert string.get("CONTENT") == part.text
            assert float(string.get("WC", "")) == pytest.approx(part.confidence, abs=0.0001)
            _assert_lies(string, part.quad)


def _assert_lies(element: etree._Element, quad: Quad) -> None:
    left, top, width, height = (
        float(element.get(name, "")) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")
    )
    box = np.array([[left, top], [left + width, top + height]])
    assert np.abs(box - [quad.min(axis=0), quad.max(axis=0)]).max() < 0.15
    for shape in element.findall("a:Shape/a:Polygon", NAMES):
        points = [point.split(",") for point in shape.get("POINTS", "").split(" ")]
        assert np.abs(np.array(points, float) - quad).max() < 0.051


def test_spaces_lie_between_their_words() -> None:
    for document in (MIXED, TURNED):
        for space in find(tree(document), "//a:SP"):
            before, after = space.getprevious(), space.getnext()
            assert before is not None and after is not None
            middles = [
                [
                    float(each.get(place, "")) + float(each.get(size, "")) / 2
                    for place, size in (("HPOS", "WIDTH"), ("VPOS", "HEIGHT"))
                ]
                for each in (before, space, after)
            ]
            ends = np.array([middles[0], middles[2]])
            assert (ends.min(axis=0) - 1 <= middles[1]).all()
            assert (middles[1] <= ends.max(axis=0) + 1).all()
            sides = sorted(float(space.get(name, "")) for name in ("WIDTH", "HEIGHT"))
            assert sides[0] < sides[1] + 1 < 2 * SIZE


def test_rotation_is_counterclockwise_and_a_block_s_or_its_page_s() -> None:
    root = tree(TURNED)
    assert [each.get("ROTATION") for each in find(root, "//a:Page")] == ["270"]
    rotations = [each.get("ROTATION") for each in find(root, "//a:TextBlock")]
    assert rotations == ["0", "270", "180", "90", "0", "270", "0"]
    assert find(tree(MIXED), "//@ROTATION") == []


def test_text_of_the_pdf_itself_is_told_from_what_was_read() -> None:
    root = tree(PAGES)
    steps = {each.get("ID"): each.tag for each in find(root, "//*[@ID][self::a:*]")}
    used = [steps[each.get("PROCESSING")] for each in find(root, "//a:Page")]
    assert [each.rpartition("}")[2] for each in used] == [
        "OCRProcessing", "OCRProcessing", "Processing",
    ]  # fmt: skip
    assert find(tree(MIXED), "//a:Processing") == []


def test_there_and_back() -> None:
    found = parse(render(ALL, WANTED))
    assert_same(found, [_with_single_spaces(each) for each in READ], line_confidence=SPACES)
    assert [each.text_layer for document in found for each in document.pages] == [
        each.text_layer for document in READ for each in document.pages
    ]


@pytest.mark.parametrize("document", READ, ids=lambda each: each.source or "nameless")
def test_each_alone_there_and_back(document: Document) -> None:
    (found,) = parse(render([document], WANTED))
    assert_same([found], [_with_single_spaces(document)], line_confidence=SPACES)


def _with_single_spaces(document: Document) -> Document:
    pages = [
        replace(
            each,
            lines=[replace(line, text=line.text.replace("  ", " ").strip()) for line in each.lines],
        )
        for each in document.pages
    ]
    return replace(document, pages=pages)


def test_what_was_read_is_written_again_alike() -> None:
    once = render(ALL, WANTED)
    assert render(parse(once), WANTED) == once


def test_documents_of_the_same_name_stay_apart() -> None:
    found = parse(render([TWIN, NAMELESS, TWIN, NAMELESS], WANTED))
    assert [(each.source, len(each.pages)) for each in found] == [
        ("scan.pdf", 1), ("", 1), ("scan.pdf", 1), ("", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["hello new world", "hello", "hello earth", "so hello world"])
def test_words_that_are_not_the_text_s_are_left_out(text: str) -> None:
    wrong = replace(line("hello world"), text=text)
    (found,) = parse(render([Document([Page(400, 50, [wrong])])], WANTED))
    assert (found.pages[0].text, found.pages[0].lines[0].words) == (text, ())


def test_what_xml_forbids_is_replaced() -> None:
    data = render([Document([page([CONTROLS, ESCAPED, ASTRAL])], CONTROLS)], WANTED)
    (found,) = parse(data)
    assert found.pages[0].text.split("\n") == [PLAIN.replace("  ", " "), ESCAPED, ASTRAL]
    assert found.source == PLAIN


def test_alto_of_tesseract_is_read() -> None:
    (found,) = parse(TESSERACT.encode())
    assert found.source == "a & b.png"
    (shown,) = found.pages
    assert (shown.width, shown.height, shown.number) == (640, 480, 1)
    assert (shown.rotation, shown.dpi) == (0, None)
    (only,) = shown.lines
    assert only.text == "Fish hyphen-"
    assert only.quad.tolist() == [[30, 20], [300, 20], [300, 50], [30, 50]]
    assert [(each.text, each.confidence) for each in only.words] == [("Fish", 0.96), ("hyphen", 1)]


def test_a_block_is_turned_as_its_page_unless_it_says_otherwise() -> None:
    turned = TESSERACT.replace('ID="page_0"', 'ID="page_0" ROTATION="90"')
    (found,) = parse(turned.encode())
    assert (found.pages[0].rotation, found.pages[0].lines[0].turns) == (270, 3)
    upright = turned.replace('ID="block_0"', 'ID="block_0" ROTATION="0"')
    (found,) = parse(upright.encode())
    assert (found.pages[0].rotation, found.pages[0].lines[0].turns) == (270, 0)


def test_pages_with_another_engine_s_ids_are_one_document() -> None:
    data = TESSERACT.replace("fileName>", "documentIdentifier>")
    data = data.replace("</source", "<documentIdentifier>x</documentIdentifier></source")
    assert [(each.source, len(each.pages)) for each in parse(data.encode())] == [("a & b.png", 1)]


def test_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match="mm10"):
        parse(TESSERACT.replace("pixel", "mm10").encode())


def test_polygons_of_many_points_become_their_box() -> None:
    shape = '<Shape><Polygon POINTS="5 9 50 4 90 12 88 40 6 38"/></Shape>'
    data = TESSERACT.replace('HEIGHT="30">\n              <', f'HEIGHT="30">{shape}<')
    assert data != TESSERACT
    quad = parse(data.encode())[0].pages[0].lines[0].quad
    assert quad.tolist() == [[5, 4], [90, 4], [90, 40], [5, 40]]


def test_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE alto [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><alto>&b;</alto>'
    with pytest.raises(ValueError, match="Entit"):
        parse(bomb.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<alto><Layout></alto>",
        TESSERACT.replace('WIDTH="640"', "").encode(),
        TESSERACT.replace('WC="0.96"', 'WC="sure"').encode(),
        TESSERACT.replace('HPOS="130"', "").encode(),
        TESSERACT.replace('HEIGHT="480"', 'HEIGHT="INF"').encode(),
    ],
)
def test_anything_else_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data)
