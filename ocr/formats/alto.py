"""ALTO 4.4, the XML of libraries and archives.

All pages of a request are in one file, in order. Of one document, `sourceImageInformation` has the
`fileName`; of several, it has a `documentIdentifier` each, and the `ID` of a page tells which of
them it is of: `document_2_page_1` is the first page here of the second. Lines of one direction
after another are a block, whose `ROTATION` it is. What a page's dots per inch are stands in its
`QUALITY_DETAIL`; where its text is a PDF's own, `PROCESSING` says so.

Of a Document it lacks pictures, errors and the confidence of lines that have words; a space is a
space, whatever it was.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from ocr import __version__
from ocr.document import Document, Line, Page, Quad, Word
from ocr.formats import markup
from ocr.wanted import Wanted

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"

_RECOGNITION, _TEXT_LAYER = "recognition", "text_layer"
_PAGE_ID = re.compile(r"document_(\d+)_page_\d+")
_DPI = re.compile(r"([\d.]+) dpi")


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """All pages of all documents that were read. ALTO knows no file without a page."""
    read = [document for document in documents if document.error is None]
    root = Element(
        "alto",
        {
            "xmlns": NAMESPACE,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{NAMESPACE} {SCHEMA}",
            "SCHEMAVERSION": "4.4",
        },
    )
    _description(root, read)
    layout = SubElement(root, "Layout")
    for i, document in enumerate(read, 1):
        for position, page in enumerate(document.pages, 1):
            _page(layout, page, f"document_{i}_page_{position}")
    indent(root, " ")
    data: bytes = tostring(root, "utf-8", xml_declaration=True)
    return data + b"\n"


def parse(data: bytes) -> list[Document]:
    """Read ALTO of any version that is measured in pixels, ours or another engine's.

    A line's confidence is the mean of its words'. Raises ValueError if it is no such file.
    """
    root = markup.read(data)
    unit = root.findtext(".//{*}MeasurementUnit", "pixel").strip()
    if unit != "pixel":
        raise ValueError(f"measured in {unit}, and not in pixels")
    found = root.findall("{*}Layout/{*}Page")
    sources, places = _sources(root), [_place_of(page) for page in found]
    if not all(0 <= place < len(sources) for place in places):  # another engine's IDs
        sources, places = sources[:1], [0] * len(found)
    numbers = [round(_float(page, "PHYSICAL_IMG_NR")) for page in found]
    first = 1 if 0 in numbers else 0  # some count from 0
    pages: list[list[Page]] = [[] for _ in sources]
    for place, page, number in zip(places, found, numbers, strict=True):
        pages[place].append(_read_page(page, number + first))
    return [Document(each, source) for each, source in zip(pages, sources, strict=True)]


def _description(root: Element, documents: Sequence[Document]) -> None:
    description = SubElement(root, "Description")
    _leaf(description, "MeasurementUnit", "pixel")
    information = SubElement(description, "sourceImageInformation")
    names = [document.source for document in documents]
    for name in names:
        _leaf(information, "fileName" if len(names) == 1 else "documentIdentifier", name)
    processing = SubElement(description, "OCRProcessing", ID=_RECOGNITION)
    step = SubElement(processing, "ocrProcessingStep")
    _leaf(step, "processingCategory", "contentGeneration")
    software = SubElement(step, "processingSoftware")
    _leaf(software, "softwareName", markup.SOFTWARE)
    _leaf(software, "softwareVersion", __version__)
    if any(page.text_layer for document in documents for page in document.pages):
        kept = SubElement(description, "Processing", ID=_TEXT_LAYER)
        _leaf(kept, "processingCategory", "other")
        _leaf(kept, "processingStepDescription", "text of the PDF itself")


def _page(layout: Element, page: Page, key: str) -> None:
    size = {"WIDTH": str(page.width), "HEIGHT": str(page.height)}
    element = SubElement(layout, "Page", {"ID": key, "PHYSICAL_IMG_NR": str(page.number)} | size)
    element.set("PROCESSING", _TEXT_LAYER if page.text_layer else _RECOGNITION)
    if page.dpi is not None:
        element.set("QUALITY_DETAIL", f"{markup.number(page.dpi)} dpi")
    if page.rotation:
        element.set("ROTATION", str(markup.degrees_of(page.rotation // 90)))
    space = SubElement(element, "PrintSpace", {"HPOS": "0", "VPOS": "0"} | size)
    for i, (turns, lines) in enumerate(groupby(page.lines, lambda line: line.turns), 1):
        block = SubElement(space, "TextBlock", ID=f"{key}_block_{i}")
        _block(block, list(lines))
        if turns or page.rotation:
            block.set("ROTATION", str(markup.degrees_of(turns)))


def _block(block: Element, lines: Sequence[Line]) -> None:
    _set_bounds(block, [line.quad for line in lines])
    for i, line in enumerate(lines, 1):
        _line(SubElement(block, "TextLine", ID=f"{block.get('ID')}_line_{i}"), line)


def _line(element: Element, line: Line) -> None:
    """The text of a line without words is one String without a Shape: by this it is told apart."""
    _set_bounds(element, [line.quad])
    _shape(element, line.quad)
    gaps = markup.gaps(line)
    if not gaps:
        _string(element, line)
        return
    previous: Word | None = None
    for gap, word in zip(gaps, line.words, strict=False):
        if gap and previous:
            _space(element, previous, word, line.turns)
        _shape(_string(element, word), word.quad)
        previous = word


def _string(line: Element, part: Line | Word) -> Element:
    element = SubElement(line, "String", CONTENT=markup.clean(part.text))
    element.set("WC", f"{round(part.confidence, 4):g}")
    _set_bounds(element, [part.quad])
    return element


def _space(line: Element, before: Word, after: Word, turns: int) -> None:
    """What lies between the end of one word and the start of the next."""
    end, start = np.roll(before.quad, -turns, axis=0)[1:3], np.roll(after.quad, -turns, axis=0)
    _set_bounds(SubElement(line, "SP"), [end, start[[0, 3]]])


def _shape(element: Element, quad: Quad) -> None:
    points = " ".join(f"{markup.number(x)},{markup.number(y)}" for x, y in quad.tolist())
    SubElement(SubElement(element, "Shape"), "Polygon", POINTS=points)


def _set_bounds(element: Element, quads: Sequence[Quad]) -> None:
    left, top, right, bottom = (round(side, 1) for side in markup.bounds(quads))
    sides = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    for name, value in sides.items():
        element.set(name, markup.number(value))


def _leaf(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = markup.clean(text)


def _sources(root: Element) -> list[str]:
    """The names of the documents, of which there is one at least."""
    name = root.findtext(".//{*}fileName")
    names = [each.text or "" for each in root.iterfind(".//{*}documentIdentifier")]
    return [name] if name is not None else names or [""]


def _place_of(page: Element) -> int:
    """A page's document, from 0; -1 if the ID tells none."""
    match = _PAGE_ID.fullmatch(page.get("ID", ""))
    return int(match[1]) - 1 if match else -1


def _read_page(page: Element, number: int) -> Page:
    dpi = _DPI.fullmatch(page.get("QUALITY_DETAIL", ""))
    degrees = markup.value(page.get("ROTATION", "0"))
    return Page(
        round(_float(page, "WIDTH")),
        round(_float(page, "HEIGHT")),
        [
            _read_line(line, markup.turns_of(markup.value(block.get("ROTATION", str(degrees)))))
            for block in page.iterfind(".//{*}TextBlock")
            for line in block.iterfind("{*}TextLine")
        ],
        number,
        markup.value(dpi[1]) if dpi else None,
        90 * markup.turns_of(degrees),
        page.get("PROCESSING") == _TEXT_LAYER,
    )


def _read_line(line: Element, turns: int) -> Line:
    strings = line.findall("{*}String")
    words = tuple(_read_word(string) for string in strings)
    text = "".join(_texts(line))
    quad, confidence = _quad(line), markup.mean_confidence(words)
    if line.find("{*}Shape") is not None and all(each.find("{*}Shape") is None for each in strings):
        words = ()  # its text as it was written for want of words
    return Line(quad, text, confidence, turns, words)


def _texts(line: Element) -> Iterator[str]:
    for part in line:
        name = part.tag.rpartition("}")[2]
        if name == "SP":
            yield " "
        elif name in ("String", "HYP"):
            yield part.get("CONTENT", "")


def _read_word(string: Element) -> Word:
    return Word(_quad(string), string.get("CONTENT", ""), markup.value(string.get("WC", "1")))


def _quad(element: Element) -> Quad:
    polygon = element.find("{*}Shape/{*}Polygon")
    if polygon is not None:
        points = polygon.get("POINTS", "").replace(",", " ").split()
        return markup.quad_of([markup.value(each) for each in points])
    left, top = _float(element, "HPOS"), _float(element, "VPOS")
    width, height = _float(element, "WIDTH"), _float(element, "HEIGHT")
    return markup.rectangle(left, top, left + width, top + height)


def _float(element: Element, name: str) -> float:
    value = element.get(name)
    if value is None:
        raise ValueError(f"a {element.tag.rpartition('}')[2]} without its {name}")
    return markup.value(value)
