"""hOCR 1.2 as XHTML: text, places and confidences in a page that browsers show.

An ocr_document holds the pages of one file. hOCR counts whole pixels, so quads are rounded; of a
Document it lacks text_layer, pictures and errors.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from ocr import __version__
from ocr.document import Document, Line, Page, Quad, Word
from ocr.formats import markup
from ocr.wanted import Wanted
from ocr.words import stands_alone

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8" />
<title>{title}</title>
<meta name="ocr-system" content="{system}" />
<meta name="ocr-capabilities" content="{capabilities}" />
<meta name="ocr-number-of-pages" content="{pages}" />
</head>
<body>
"""
_FOOT = "</body>\n</html>\n"
_CAPABILITIES = "ocr_document ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_poly"

_LINES = {"ocr_line", "ocrx_line", "ocr_header", "ocr_caption", "ocr_textfloat"}  # Tesseract's too
_WORDS = {"ocrx_word", "ocr_word"}

_PROPERTY = re.compile(r'(\w+)((?:"[^"]*"|[^";])*)')
_VALUE = re.compile(r'"([^"]*)"|(\S+)')
_BREAK = re.compile(r"[ \t]*[\r\n]\s*")
_UNSAFE = re.compile(r'[%";\\\x00-\x1f\x7f]')  # in a property, where many split at semicolons

Properties = dict[str, list[str]]


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """All pages of all documents that were read, as one XHTML file."""
    read = [document for document in documents if document.error is None]
    head = _HEAD.format(
        title=escape(
            markup.clean(", ".join(document.source for document in read if document.source))
        ),
        system=f"{markup.SOFTWARE} {__version__}",
        capabilities=_CAPABILITIES,
        pages=sum(len(document.pages) for document in read),
    )
    body = (
        part for i, document in enumerate(read, 1) for part in _document(document, i, len(read))
    )
    return "".join([head, *body, _FOOT]).encode()


def parse(data: bytes) -> list[Document]:
    """Read hOCR that is well-formed XML, ours or another engine's.

    A line without a polygon has its box as its quad, and one without a confidence has the mean of
    its words. Without an ocr_document, neighbouring pages of the same image are one Document.
    Raises ValueError if it is no such file.
    """
    root = markup.read(data)
    groups = _of_class(root, {"ocr_document"})
    if groups:
        return [_read_document(_of_class(group, {"ocr_page"})) for group in groups]
    documents: list[list[Element]] = []
    for page in _of_class(root, {"ocr_page"}):
        if documents and _source(documents[-1][0]) == _source(page):
            documents[-1].append(page)
        else:
            documents.append([page])
    return [_read_document(pages) for pages in documents]


def _document(document: Document, index: int, of: int) -> Iterator[str]:
    yield '<div class="ocr_document">\n'
    for position, page in enumerate(document.pages, 1):
        yield from _page(page, document.source, f"{index}_{position}", alone=of == 1)
    yield "</div>\n"


def _page(page: Page, source: str, key: str, *, alone: bool) -> Iterator[str]:
    name = _safe(source)
    properties = [f'image "{name}"', f"bbox 0 0 {page.width} {page.height}"]
    if alone:  # with pages of other files, a page's number would not be the only one of its kind
        properties.append(f"ppageno {page.number - 1}")
    if page.dpi is not None:
        properties.append(f"scan_res {round(page.dpi)} {round(page.dpi)}")
    if page.rotation:
        properties.append(f"textangle {markup.degrees_of(page.rotation // 90)}")
    properties.append(f'x_source "{name}" "{page.number}"')
    yield f'<div class="ocr_page" id="page_{key}" title="{_title(properties)}">\n'
    if page.lines:
        box = _bbox(markup.bounds(line.quad for line in page.lines), page)
        yield f'<div class="ocr_carea" id="block_{key}" title="{box}">\n'
        yield f'<p class="ocr_par" id="par_{key}" title="{box}">\n'
        for position, line in enumerate(page.lines, 1):
            yield _line(line, page, f"{key}_{position}")
        yield "</p>\n</div>\n"
    yield "</div>\n"


def _line(line: Line, page: Page, key: str) -> str:
    properties = _place(line, page)
    if line.turns:
        properties.append(f"textangle {markup.degrees_of(line.turns)}")
    text = "".join(_words(line, page))
    return f'<span class="ocr_line" id="line_{key}" title="{_title(properties)}">{text}</span>\n'


def _words(line: Line, page: Page) -> Iterator[str]:
    """The words and the spaces between them.

    The text of a line without words is one word without a polygon: by this it is told apart.
    """
    gaps = markup.gaps(line)
    if not gaps:
        box = [_bbox(markup.bounds([line.quad]), page), _confidence(line)]
        yield _word(line.text, box)
        return
    for gap, word in zip(gaps, line.words, strict=False):
        yield escape(markup.clean(gap))
        yield _word(word.text, _place(word, page))
    yield escape(markup.clean(gaps[-1]))


def _word(text: str, properties: Sequence[str]) -> str:
    shown = escape(markup.clean(text), quote=False)
    return f'<span class="ocrx_word" title="{_title(properties)}">{shown}</span>'


def _place(part: Line | Word, page: Page) -> list[str]:
    corners = " ".join(str(round(value)) for value in part.quad.ravel().tolist())
    return [_bbox(markup.bounds([part.quad]), page), f"poly {corners}", _confidence(part)]


def _bbox(bounds: tuple[float, float, float, float], page: Page) -> str:
    """Whole pixels on the page: a box has no negative ones."""
    sizes = (page.width, page.height) * 2
    kept = (min(max(round(side), 0), size) for side, size in zip(bounds, sizes, strict=True))
    return f"bbox {' '.join(map(str, kept))}"


def _confidence(part: Line | Word) -> str:
    return f"x_wconf {round(100 * part.confidence, 2):g}"


def _title(properties: Sequence[str]) -> str:
    return escape(markup.clean("; ".join(properties)))


def _safe(source: str) -> str:
    """A name without what would end its property: percent-encoded, as in a URL."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", source)


def _read_document(pages: Sequence[Element]) -> Document:
    source = _source(pages[0]) if pages else ""
    return Document([_read_page(page, i) for i, page in enumerate(pages, 1)], source)


def _source(page: Element) -> str:
    properties = _properties(page)
    if "x_source" in properties:
        return unquote(properties["x_source"][0])
    return " ".join(properties.get("image", []))


def _read_page(page: Element, position: int) -> Page:
    properties = _properties(page)
    box = _quad(properties)
    if box is None:
        raise ValueError("an ocr_page without its bbox")
    width, height = (round(value) for value in box.max(axis=0).tolist())
    return Page(
        width,
        height,
        [_read_line(line) for line in _innermost(page, _LINES)],
        _number(properties, position),
        dpi=markup.value(properties["scan_res"][0]) if "scan_res" in properties else None,
        rotation=90 * _turns(properties),
    )


def _number(properties: Properties, position: int) -> int:
    """A page's number in its file, or its place here if that is not told."""
    source = properties.get("x_source", [])
    if len(source) > 1 and source[1].isdecimal():
        return int(source[1])
    return int(properties["ppageno"][0]) + 1 if "ppageno" in properties else position


def _read_line(line: Element) -> Line:
    properties = _properties(line)
    quad = _quad(properties)
    if quad is None:
        raise ValueError("a line without its bbox")
    found = [word for word in _of_class(line, _WORDS) if _text(word).strip()]
    words = tuple(_read_word(word, quad) for word in found)
    confidence = _confidence_of(properties, markup.mean_confidence(words))
    if "poly" in properties and not any("poly" in _properties(word) for word in found):
        words = ()  # its text as it was written for want of words
    return Line(quad, _text(line), confidence, _turns(properties), words)


def _read_word(word: Element, place: Quad) -> Word:
    properties = _properties(word)
    quad = _quad(properties)
    return Word(place if quad is None else quad, _text(word), _confidence_of(properties, 1.0))


def _properties(element: Element) -> Properties:
    """What an element's title says: names, each with its values."""
    return {
        name: [quoted or bare for quoted, bare in _VALUE.findall(values)]
        for name, values in _PROPERTY.findall(element.get("title", ""))
        if values.strip()
    }


def _quad(properties: Properties) -> Quad | None:
    if "poly" in properties:
        return markup.quad_of([markup.value(each) for each in properties["poly"]])
    if "bbox" in properties:
        left, top, right, bottom = (markup.value(each) for each in properties["bbox"])
        return markup.rectangle(left, top, right, bottom)
    return None


def _confidence_of(properties: Properties, otherwise: float) -> float:
    if "x_wconf" not in properties:
        return otherwise
    return min(max(markup.value(properties["x_wconf"][0]) / 100, 0.0), 1.0)


def _turns(properties: Properties) -> int:
    return (
        markup.turns_of(markup.value(properties["textangle"][0]))
        if "textangle" in properties
        else 0
    )


def _text(element: Element) -> str:
    """An element's text, in which a line break is a space, or nothing between ideographs."""
    return _BREAK.sub(_space, "".join(element.itertext()))


def _space(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    if not before or not after or (stands_alone(before) and stands_alone(after)):
        return ""
    return " "


def _of_class(element: Element, classes: set[str]) -> list[Element]:
    return [
        each for each in element.iter() if not classes.isdisjoint(each.get("class", "").split())
    ]


def _innermost(element: Element, classes: set[str]) -> list[Element]:
    """Those that hold no others: some engines have boxes of lines under the names of lines."""
    found = _of_class(element, classes)
    return [each for each in found if len(_of_class(each, classes)) == 1]
