"""One searchable PDF: the pages as they look, with what was read as invisible text on them."""

import copy
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import compress

import numpy as np
from pikepdf import (
    Array,
    Dictionary,
    Name,
    Object,
    ObjectStreamMode,
    Pdf,
    PdfError,
    PikepdfError,
)
from pikepdf import Page as PdfPage

from ocr import __version__
from ocr.document import Document, Line, Page
from ocr.errors import PictureError
from ocr.formats import old_text, text_layer
from ocr.formats.embedded_picture import embed
from ocr.formats.glyphless import Glyphless
from ocr.formats.text_layer import Baseline, Place
from ocr.pdf import PdfFile
from ocr.wanted import Wanted

Box = tuple[float, float, float, float]  # left, bottom, right, top

INCH = 72  # points
A4_WIDTH = 595.28  # points
SCREEN = 96  # dots per inch, of a picture that does not say
SHORTEST, LONGEST = 3, 14_400  # points: no page may be smaller or larger
LETTER = (0.0, 0.0, 612.0, 792.0)  # points, of a page that says no size
MAKER = f"ocr-service {__version__}"


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """All pages in order. The same documents give the same bytes.

    A page of a PDF stays as it is, with its links and its own text. Where it was read anew, the
    text of an earlier reading goes, and of the lines those are added that the page does not show as
    text. It becomes its picture if its visible text was not to be used, says something else than
    what is seen, or cannot be told apart. So nothing is there twice.

    A page that is a picture is as large as its resolution says, and otherwise as it is on a screen
    of 96 dpi, or as wide as A4 if that is smaller.

    Raises ValueError where a page has no picture, and if there is no page.
    """
    readable = [document for document in documents if document.error is None]
    try:
        return _made(readable, wanted)
    except PdfError:  # of an input that opens, and cannot be written again
        return _made([replace(document, pdf=None) for document in readable], wanted)


def _made(readable: Sequence[Document], wanted: Wanted) -> bytes:
    """The PDF of documents. Raises PdfError where the input's pages cannot be in it."""
    with ExitStack() as opened:
        inputs = [_input(document, opened) for document in readable]
        pdf = _whole(readable, inputs) or _joined(readable, inputs)
        if len(pdf.pages) == 0:
            raise ValueError("a PDF has at least one page")
        font = Glyphless(pdf)
        for sheet in _sheets(pdf, readable, inputs):
            _finish(pdf, sheet, wanted, font)
        font.finish()
        _sign(pdf, readable)
        return _saved(pdf)


def _saved(pdf: Pdf) -> bytes:
    file = io.BytesIO()
    try:
        pdf.save(file, deterministic_id=True, object_stream_mode=ObjectStreamMode.generate)
    except (RuntimeError, ValueError) as error:  # as of a number that is out of all bounds
        raise PdfError(f"the PDF cannot be written: {error}") from error
    return file.getvalue()


@dataclass(frozen=True)
class _Sheet:
    """A page, and the PDF's page that it becomes; `original` if that is the input's."""

    page: Page
    leaf: PdfPage
    original: bool


# Which pages


def _input(document: Document, opened: ExitStack) -> Pdf | None:
    """A document's own PDF. None where its pages can be had from their pictures only."""
    if document.pdf is None:
        return None
    try:
        pdf = opened.enter_context(Pdf.open(io.BytesIO(document.pdf)))
    except (PikepdfError, RuntimeError, ValueError):
        return None  # it was read by a library that forgives more
    return pdf if all(page.number <= len(pdf.pages) for page in document.pages) else None


def _whole(documents: Sequence[Document], inputs: Sequence[Pdf | None]) -> Pdf | None:
    """The only input, if all of its pages are there: its bookmarks, layers and files can stay."""
    if len(documents) != 1 or inputs[0] is None:
        return None
    numbers = [page.number for page in documents[0].pages]
    return inputs[0] if numbers == list(range(1, len(inputs[0].pages) + 1)) else None


def _joined(documents: Sequence[Document], inputs: Sequence[Pdf | None]) -> Pdf:
    """A PDF with the pages of the inputs, and empty ones for the pictures."""
    pdf = Pdf.new()
    for document, own in zip(documents, inputs, strict=True):
        if own is not None:
            pdf.add_pages_from(own, [page.number - 1 for page in document.pages])
            continue
        for page in document.pages:
            pdf.add_blank_page(page_size=_size(page))
    return pdf


def _sheets(
    pdf: Pdf, documents: Sequence[Document], inputs: Sequence[Pdf | None]
) -> Iterator[_Sheet]:
    leaves = iter(pdf.pages)
    for document, own in zip(documents, inputs, strict=True):
        for page in document.pages:
            yield _Sheet(page, next(leaves), own is not None)


def _size(page: Page) -> tuple[float, float]:
    """A picture's width and height in points."""
    dpi = page.dpi or max(SCREEN, min(page.width, page.height) * INCH / A4_WIDTH)
    scale = min(INCH / dpi, LONGEST / max(page.width, page.height))
    return max(SHORTEST, page.width * scale), max(SHORTEST, page.height * scale)


def _sign(pdf: Pdf, documents: Sequence[Document]) -> None:
    information = pdf.docinfo
    title = ", ".join(document.source for document in documents if document.source)
    if title and "/Title" not in information:
        information["/Title"] = title
    if "/Creator" not in information:
        information["/Creator"] = MAKER
    information["/Producer"] = MAKER


# What is on them


def _finish(pdf: Pdf, sheet: _Sheet, wanted: Wanted, font: Glyphless) -> None:
    """Give a page its picture, unless it is one already, and its text."""
    if sheet.original and sheet.page.text_layer:
        return
    place = _place(sheet.leaf)
    lines = _cleared(pdf, sheet, place, wanted) if sheet.original else None
    if lines is None:
        lines = sheet.page.lines
        _draw(pdf, sheet, place)
    if lines:
        name = _add_font(sheet.leaf, font)
        text = text_layer.content(sheet.page, lines, place, name, font)
        # First of all, where nothing that the page leaves behind can move it.
        sheet.leaf.contents_add(pdf.make_stream(text), prepend=True)


def _cleared(pdf: Pdf, sheet: _Sheet, place: Place, wanted: Wanted) -> Sequence[Line] | None:
    """Take an earlier reading away; gives the lines that the page does not show as text.

    None if the page's own text was not to be used, or is not what is seen.
    """
    page, leaf = sheet.page, sheet.leaf
    try:
        starts = old_text.shown(leaf)
        if len(starts) and wanted.pdf_text == "ignore":
            return None
        old_text.strip(pdf, leaf)
    except PdfError:
        return None
    there = [Baseline(page, line, place).has(starts) for line in page.lines]
    if any(there) and not _says(leaf, list(compress(page.lines, there))):
        return None
    return [line for line, known in zip(page.lines, there, strict=True) if not known]


def _says(leaf: PdfPage, lines: Sequence[Line]) -> bool:
    """Whether most characters of these lines are in the text that a page has of its own."""
    with Pdf.new() as alone:
        alone.pages.append(leaf)
        file = io.BytesIO()
        alone.save(file)
    try:
        with closing(PdfFile(file.getvalue())) as opened:
            own = opened.frame(1, Wanted(pdf_text="keep")).lines or []
    except PictureError:
        return False
    seen = _characters(lines)
    return 2 * (seen & _characters(own)).total() > seen.total()


def _characters(lines: Sequence[Line]) -> Counter[str]:
    return Counter(character for line in lines for character in line.text)


def _draw(pdf: Pdf, sheet: _Sheet, place: Place) -> None:
    """Fill a page with its picture; of what lay on it the links stay."""
    page, leaf = sheet.page, sheet.leaf
    if page.picture is None:
        raise ValueError(f"page {page.number} has no picture")
    x, y = place.origin + place.down
    matrix = [*place.right, *-place.down, x, y]  # a picture's own side is its lower left corner
    numbers = " ".join(text_layer.number(value) for value in matrix)
    leaf.obj.Contents = pdf.make_stream(f"q {numbers} cm /Picture Do Q".encode("ascii"))
    leaf.obj.Resources = Dictionary(XObject=Dictionary(Picture=embed(pdf, page.picture)))
    notes = leaf.obj.get("/Annots")
    if isinstance(notes, Array):
        leaf.obj.Annots = Array([note for note in notes if _is_link(note)])


def _is_link(note: Object) -> bool:
    return isinstance(note, Dictionary) and note.get("/Subtype") == Name.Link


def _add_font(leaf: PdfPage, font: Glyphless) -> str:
    """Name the font in a page's resources, which it may share with other pages."""
    resources = copy.copy(leaf.get_resources() or Dictionary())
    known = resources.get("/Font")
    fonts = copy.copy(known) if isinstance(known, Dictionary) else Dictionary()
    name = "/Invisible"
    while name in fonts:
        name += "_"
    fonts[name] = font.font
    resources["/Font"] = fonts
    leaf.obj.Resources = resources
    return name


def _place(leaf: PdfPage) -> Place:
    """How a page is shown: turned as it says, and of it what its crop box leaves."""
    left, bottom, right, top = _box(leaf)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    top_left, top_right, _, bottom_left = np.roll(corners, _quarters(leaf), axis=0)
    return Place(top_left, top_right - top_left, bottom_left - top_left)


def _quarters(leaf: PdfPage) -> int:
    """How far a page is turned when it is shown, clockwise."""
    degrees = leaf.obj.get("/Rotate")
    return int(degrees) // 90 if isinstance(degrees, int | Decimal) else 0


def _box(leaf: PdfPage) -> Box:
    media = _corners(leaf.obj.get("/MediaBox")) or LETTER
    crop = _corners(leaf.obj.get("/CropBox")) or media
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    return (left, bottom, right, top) if left < right and bottom < top else media


def _corners(box: Object | None) -> Box | None:
    """A box whose corners may be any two that lie opposite; None if it is none."""
    if not isinstance(box, Array) or len(box) != 4:
        return None
    if not all(isinstance(side, int | Decimal) for side in box):
        return None
    (left, right), (bottom, top) = sorted(map(float, box[::2])), sorted(map(float, box[1::2]))
    return (left, bottom, right, top) if left < right and bottom < top else None
