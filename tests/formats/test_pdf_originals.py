"""Searchable PDFs of PDFs: their pages stay what they are, and get the text that they lack."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Pdf
from PIL import Image

from ocr.document import Document, Page, Picture
from ocr.formats import pdf
from ocr.wanted import Wanted
from tests import pictures
from tests.formats import pdf_readers, written
from tests.formats.test_pdf import assert_in_place, needs_poppler, rendered
from tests.pictures import CHINESE, MIXED, Drawn

DPI = 200
POINTS = 0.4  # of a pixel of the drawing on its page
DRAWN = pictures.page([*CHINESE[:3], *MIXED], margin=120)
TEXTS = [*CHINESE[:3], *MIXED]
IGNORE = Wanted(format="pdf", pdf_text="ignore")
OLD = b"BT 3 Tr /F1 12 Tf 60 300 Td (earlier reading) Tj T* (of it) ' ET"
STAMP = b"BT /F1 12 Tf 24 %d Td (visible stamp) Tj ET"
"""What a scanner, or a publisher, may have written on the page; the stamp stands at the top."""


def scan(
    drawn: Drawn = DRAWN, extra: bytes = b"", rotate: int = 0, margin: int = 0, unit: float = 1
) -> bytes:
    """A PDF of one page with a picture, of which `margin` points each side are cut off."""
    file = Pdf.new()
    add_scan(file, drawn, extra, rotate, margin)
    if unit != 1:
        file.pages[0].obj.UserUnit = unit
    return saved(file)


def add_scan(file: Pdf, drawn: Drawn, extra: bytes = b"", rotate: int = 0, margin: int = 0) -> None:
    lying = np.ascontiguousarray(np.rot90(drawn.image, rotate // 90))
    height, width = lying.shape[:2]
    image = file.make_stream(
        pictures.to_jpeg(lying),
        Type=Name.XObject, Subtype=Name.Image, Width=width, Height=height,
        ColorSpace=Name.DeviceRGB, BitsPerComponent=8, Filter=Name.DCTDecode,
    )  # fmt: skip
    left, bottom = margin * 2 - 30, margin * 3 - 20
    across, up = width * POINTS, height * POINTS
    leaf = file.add_blank_page(page_size=(across, up))
    leaf.obj.MediaBox = Array(
        [left - margin, bottom - margin, left + across + margin, bottom + up + margin]
    )
    if margin:
        leaf.obj.CropBox = Array([left, bottom, left + across, bottom + up])
    leaf.obj.Rotate = rotate
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    leaf.obj.Resources = Dictionary(XObject=Dictionary(Im0=image), Font=Dictionary(F1=font))
    # An open q and a scale that nothing ends, as there are programs that leave them.
    place = f"q {across} 0 0 {up} {left} {bottom} cm /Im0 Do Q q 2 0 0 2 0 0 cm q .5 0 0 .5 0 0 cm "
    leaf.obj.Contents = file.make_stream(place.encode() + extra)


def saved(file: Pdf, encryption: pikepdf.Encryption | None = None) -> bytes:
    data = io.BytesIO()
    file.save(data, encryption=encryption)
    return data.getvalue()


def read(data: bytes, *drawn: Drawn, dpi: float = DPI) -> Document:
    """The document as it comes of reading the pages anew at a resolution, without a mistake."""
    pages = []
    for number, each in enumerate(drawn, 1):
        image = Image.fromarray(pdf_readers.picture(data, number - 1, dpi))
        share = image.width / each.image.shape[1]
        lines = [written.line(text, quad * share) for text, quad in each.lines]
        picture = Picture(pictures.to_png(np.asarray(image)), "image/png")
        pages.append(Page(*image.size, lines, number, dpi, picture=picture))
    return Document(pages, "scan.pdf", data)


def opened(data: bytes) -> Pdf:
    return pikepdf.open(io.BytesIO(data))


def assert_same_look(one: bytes, other: bytes, number: int = 0) -> None:
    assert (pdf_readers.picture(one, number) == pdf_readers.picture(other, number)).all()


@needs_poppler
@pytest.mark.parametrize("margin", [0, 40])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_and_cut_pages(rotate: int, margin: int, tmp_path: Path) -> None:
    data = scan(rotate=rotate, margin=margin)
    document = read(data, DRAWN)
    found = rendered(document)
    (lines,) = pdf_readers.poppler_text(found, tmp_path)
    assert lines == TEXTS
    (pieces,) = pdf_readers.poppler_pieces(found, tmp_path)
    assert_in_place(pieces, document.pages[0].lines, 72 / DPI)
    assert_same_look(found, data)
    with opened(found) as file:
        assert file.pages[0].rotation == rotate


@needs_poppler
def test_a_page_in_larger_units(tmp_path: Path) -> None:
    data = scan(unit=2)
    document = read(data, DRAWN)
    (pieces,) = pdf_readers.poppler_pieces(rendered(document), tmp_path)
    share = DRAWN.image.shape[1] * POINTS / document.pages[0].width
    assert_in_place(pieces, document.pages[0].lines, share)


def test_an_earlier_reading_goes() -> None:
    data = scan(extra=OLD)
    assert pdf_readers.pdfium_text(data) == [["earlier reading of it"]]
    found = rendered(read(data, DRAWN))
    assert pdf_readers.pdfium_text(found) == [TEXTS]
    assert_same_look(found, data)


def with_drawing(file: Pdf, content: bytes, deeper: int = 0) -> None:
    """Put content into a drawing within a drawing of the first page."""
    leaf = file.pages[0]
    fonts = Dictionary(Font=leaf.obj.Resources.Font)
    for _ in range(deeper + 1):
        form = file.make_stream(
            content, Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 1000, 1000]),
            Matrix=Array([1, 0, 0, 1, 0, 0]), Resources=fonts,
        )  # fmt: skip
        fonts = Dictionary(Font=leaf.obj.Resources.Font, XObject=Dictionary(Fm0=form))
        content = b"q /Fm0 Do Q"
    leaf.obj.Resources.XObject.Fm0 = form
    leaf.contents_add(b" q /Fm0 Do Q")


@pytest.mark.parametrize("deeper", [0, 1, 5])
def test_an_earlier_reading_in_a_drawing_goes(deeper: int) -> None:
    with opened(scan()) as file:
        with_drawing(file, b"0 0 1 rg 20 20 50 50 re f " + OLD, deeper)
        data = saved(file)
    assert pdf_readers.pdfium_text(data) == [["earlier reading of it"]]
    found = rendered(read(data, DRAWN))
    assert pdf_readers.pdfium_text(found) == [TEXTS]
    assert_same_look(found, data)


@pytest.mark.parametrize(
    "tangle",
    [
        lambda file: with_drawing(file, OLD, 40),
        lambda file: file.pages[0].contents_add(b" /F1 /F1 Tf (x) (y) Tr (old) Tj"),
        lambda file: file.pages[0].contents_add(b" x\x9c\xd0 BT 3 Tr (old) Tj"),
    ],
    ids=["nested", "operands", "bytes"],
)
def test_a_page_that_cannot_be_followed_becomes_its_picture(tangle: Callable[[Pdf], None]) -> None:
    with opened(scan()) as file:
        tangle(file)
        data = saved(file)
    found = rendered(read(data, DRAWN, dpi=72 / POINTS))
    assert pdf_readers.pdfium_text(found) == [TEXTS]
    with opened(found) as file:
        assert list(file.pages[0].get_images()) == ["/Picture"]


def test_a_drawing_that_draws_itself() -> None:
    with opened(scan()) as file:
        with_drawing(file, b"q /Fm0 Do Q")
        form = file.pages[0].obj.Resources.XObject.Fm0
        form.Resources.XObject = Dictionary(Fm0=form)
        data = saved(file)
    assert pdf_readers.pdfium_text(rendered(read(data, DRAWN))) == [TEXTS]


def test_drawings_of_drawings_without_end() -> None:
    """Each draws the one before ten times: as a tree they are as many as stars."""
    with opened(scan()) as file:
        leaf = file.pages[0]
        form = file.make_stream(OLD, Subtype=Name.Form, Resources=leaf.obj.Resources)
        for _ in range(15):
            resources = Dictionary(XObject=Dictionary(Fm0=form))
            form = file.make_stream(b"/Fm0 Do " * 10, Subtype=Name.Form, Resources=resources)
        leaf.obj.Resources.XObject.Fm0 = form
        leaf.contents_add(b" /Fm0 Do")
        document = replace(read(scan(), DRAWN), pdf=saved(file))
    assert pdf.render([document], Wanted(format="pdf"))


def stamped(links: bool = False) -> bytes:
    top = round(DRAWN.image.shape[0] * POINTS) - 20 - 30
    data = scan(extra=STAMP % top + b" " + OLD)
    if not links:
        return data
    with opened(data) as file:
        annotations = [
            Dictionary(
                Type=Name.Annot, Subtype=kind, Rect=Array([0, 0, 50, 50]), Border=Array([0, 0, 0])
            )
            for kind in (Name.Link, Name.Square)
        ]
        file.pages[0].obj.Annots = Array(annotations)
        return saved(file)


def read_with_stamp(data: bytes) -> Document:
    (page,) = read(data, DRAWN).pages
    share = page.width / DRAWN.image.shape[1]
    quad = np.array([[135, 50], [300, 50], [300, 84], [135, 84]]) * share
    line = written.line("visible stamp", quad)
    return Document([replace(page, lines=[line, *page.lines])], "scan.pdf", data)


def test_a_stamp_stays_and_is_there_once() -> None:
    data = stamped()
    found = rendered(read_with_stamp(data))
    (lines,) = pdf_readers.pdfium_text(found)
    assert sorted(lines) == sorted(["visible stamp", *TEXTS])
    assert_same_look(found, data)


def test_visible_text_that_is_not_wanted_becomes_a_picture() -> None:
    data = stamped(links=True)
    document = read_with_stamp(data)
    found = rendered(document, wanted=IGNORE)
    (lines,) = pdf_readers.pdfium_text(found)
    assert lines == ["visible stamp", *TEXTS]
    seen, shown = pdf_readers.picture(found), pdf_readers.picture(data)
    assert np.abs(seen.astype(int) - shown).mean() < 5
    with opened(found) as file:
        assert list(file.pages[0].get_images()) == ["/Picture"]
        assert [each.Subtype for each in file.pages[0].obj.Annots] == [Name.Link]


def test_text_that_says_something_else_than_is_seen_becomes_a_picture() -> None:
    """As that of fonts whose characters are told wrong."""
    document = read_with_stamp(stamped())
    (page,) = document.pages
    line = replace(page.lines[0], text=CHINESE[7], words=())
    data = rendered(replace(document, pages=[replace(page, lines=[line, *page.lines[1:]])]))
    assert pdf_readers.pdfium_text(data) == [[CHINESE[7], *TEXTS]]
    with opened(data) as file:
        assert list(file.pages[0].get_images()) == ["/Picture"]


def test_a_written_page_that_was_read_stays() -> None:
    document = read_with_stamp(stamped())
    (page,) = document.pages
    data = rendered(replace(document, pages=[replace(page, lines=page.lines[:1])]))
    assert pdf_readers.pdfium_text(data) == [["visible stamp"]]
    with opened(data) as file:
        assert list(file.pages[0].get_images()) == ["/Im0"]


def test_pages_with_their_own_text_are_left_alone() -> None:
    data = scan(extra=STAMP % 5 + b" " + OLD)
    (page,) = read(data, DRAWN).pages
    own = replace(page, text_layer=True, picture=None)
    found = rendered(Document([own], "a.pdf", data))
    assert pdf_readers.pdfium_text(found) == pdf_readers.pdfium_text(data)
    with opened(found) as after, opened(data) as before:
        assert after.pages[0].Contents.read_bytes() == before.pages[0].Contents.read_bytes()


def three() -> tuple[bytes, list[Drawn]]:
    drawn = [pictures.page([CHINESE[i]]) for i in range(3)]
    with Pdf.new() as file:
        for each in drawn:
            add_scan(file, each)
        last = file.pages[2].obj
        file.pages[0].obj.Annots = Array([
            Dictionary(
                Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 50, 50]),
                Dest=Array([last, Name.Fit]),
            )
        ])  # fmt: skip
        with file.open_outline() as outline:
            outline.root.append(pikepdf.OutlineItem("Third", 2))
        file.docinfo["/Title"] = "Its own title"
        return saved(file), drawn


def test_a_whole_pdf_keeps_bookmarks_links_and_title() -> None:
    data, drawn = three()
    found = rendered(read(data, *drawn))
    assert pdf_readers.pdfium_text(found) == [[text] for text in CHINESE[:3]]
    with opened(found) as file:
        assert file.docinfo["/Title"] == "Its own title"
        target = file.pages[2].obj.objgen
        assert file.pages[0].obj.Annots[0].Dest[0].objgen == target
        with file.open_outline() as outline:
            assert outline.root[0].title == "Third"


def test_chosen_pages_and_other_documents() -> None:
    data, drawn = three()
    document = read(data, *drawn)
    chosen = replace(document, pages=[document.pages[i] for i in (2, 0, 2)])
    photo = written.document(pictures.page([CHINESE[5]]))
    found = rendered(chosen, photo, document)
    texts = [*(CHINESE[i] for i in (2, 0, 2, 5, 0, 1, 2))]
    assert pdf_readers.pdfium_text(found) == [[text] for text in texts]
    with opened(found) as file:  # the link leads to a page of this file
        targets = [leaf.obj.objgen for leaf in file.pages]
        assert file.pages[1].obj.Annots[0].Dest[0].objgen in targets


def test_a_locked_pdf_that_opens_without_a_password() -> None:
    with opened(scan()) as file:
        data = saved(file, encryption=pikepdf.Encryption(owner="secret", user=""))
    found = rendered(read(data, DRAWN))
    assert pdf_readers.pdfium_text(found) == [TEXTS]
    with opened(found) as file:
        assert not file.is_encrypted


@pytest.mark.parametrize("data", [b"%PDF-1.4 and nothing else", b""])
def test_a_pdf_that_cannot_be_opened_here(data: bytes) -> None:
    """What reads PDFs forgives more than what writes them."""
    document = replace(read(scan(), DRAWN), pdf=data)
    assert pdf_readers.pdfium_text(rendered(document)) == [TEXTS]


def test_pages_that_share_what_they_use() -> None:
    """A font is added to a page, not to all that have their resources in common."""
    with opened(scan()) as file:
        resources = file.make_indirect(file.pages[0].obj.Resources)
        file.pages[0].obj.Resources = resources
        file.pages.append(file.pages[0])
        file.pages[1].obj.Resources = resources
        data = saved(file)
    document = read(data, DRAWN, DRAWN)
    own = replace(document.pages[1], text_layer=True)
    found = rendered(replace(document, pages=[document.pages[0], own]))
    with opened(found) as file:
        fonts = [set(leaf.resources.Font.keys()) for leaf in file.pages]
    assert fonts == [{"/F1", "/Invisible"}, {"/F1"}]


def test_the_same_pdf_gives_the_same_bytes() -> None:
    document = read(stamped(), DRAWN)
    assert rendered(document) == rendered(document)
