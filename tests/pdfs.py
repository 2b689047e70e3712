"""PDFs that tests draw themselves: pages of text, of pictures, with forms, turned and cut."""

import ctypes
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2.raw as pdfium
from pikepdf import Dictionary, Name, Pdf
from pypdfium2 import PdfDocument

from ocr.pdf import LOCK

FONT = Path(__file__).parent / "fonts" / "NotoSansSC-subset.otf"
WIDTH, HEIGHT = 300, 200  # points
DPI = 144  # of the tests: two pixels to the point


def saved(pdf: Pdf, encryption: pikepdf.Encryption | bool = False) -> bytes:
    file = io.BytesIO()
    pdf.save(file, deterministic_id=not encryption, encryption=encryption)
    return file.getvalue()


def add_page(pdf: Pdf, content: str = "", resources: Dictionary | None = None, **keys: Any) -> None:
    """A page with the font Helvetica as /F1, and its content as PDF writes it."""
    helvetica = Dictionary(
        Type=Name.Font,
        Subtype=Name.Type1,
        BaseFont=Name.Helvetica,
        Encoding=Name.WinAnsiEncoding,
    )
    resources = resources or Dictionary()
    resources.Font = Dictionary(F1=helvetica)
    page = Dictionary(
        Type=Name.Page,
        MediaBox=[0, 0, WIDTH, HEIGHT],
        Resources=resources,
        Contents=pdf.make_stream(content.encode("latin-1")),
    )
    for key, value in keys.items():
        page[f"/{key}"] = value
    pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))


def of(*contents: str, **keys: Any) -> bytes:
    """A PDF with a page for each content; `keys` are of every page."""
    pdf = Pdf.new()
    for content in contents:
        add_page(pdf, content, **keys)
    return saved(pdf)


def text(words: str, x: float, y: float, size: float = 12, more: str = "") -> str:
    """Content that writes from a point of the baseline; `more` comes before."""
    return f"BT {more} /F1 {size} Tf {x} {y} Td ({words}) Tj ET\n"


def turned_text(words: str, matrix: str, size: float = 12) -> str:
    return f"BT /F1 {size} Tf {matrix} Tm ({words}) Tj ET\n"


def grey_picture(pdf: Pdf, level: int = 128) -> Dictionary:
    """Resources with a picture of one grey pixel, to be drawn as /P."""
    stream = pdf.make_stream(bytes([level]))
    stream.Type, stream.Subtype = Name.XObject, Name.Image
    stream.Width = stream.Height = 1
    stream.ColorSpace, stream.BitsPerComponent = Name.DeviceGray, 8
    return Dictionary(XObject=Dictionary(P=stream))


def pictured(content: str, width: float, height: float) -> bytes:
    """A page with text and a picture of this size at its bottom left."""
    pdf = Pdf.new()
    add_page(pdf, f"q {width} 0 0 {height} 0 0 cm /P Do Q {content}", grey_picture(pdf))
    return saved(pdf)


def form(value: str, note: str) -> bytes:
    """A page with a word, a form field that was filled in, and a note on it."""
    pdf = Pdf.new()
    add_page(pdf, text("Name", 20, 150))
    appearance = Dictionary(Font=pdf.pages[0].Resources.Font)
    keys: dict[str, Any] = {"Type": Name.Annot, "F": 4, "DA": "/F1 12 Tf 0 g"}
    field = pdf.make_indirect(
        Dictionary(
            Subtype=Name.Widget, FT=Name.Tx, T="name", V=value, Rect=[100, 145, 280, 165], **keys
        )
    )
    stamp = pdf.make_stream(text(note, 2, 4).encode())
    stamp.Type, stamp.Subtype = Name.XObject, Name.Form
    stamp.BBox, stamp.Resources = [0, 0, 100, 20], appearance
    comment = pdf.make_indirect(
        Dictionary(
            Subtype=Name.FreeText,
            Contents=note,
            Rect=[100, 50, 200, 70],
            AP=Dictionary(N=stamp),
            **keys,
        )
    )
    pdf.pages[0].obj.Annots = pikepdf.Array([field, comment])
    pdf.Root.AcroForm = Dictionary(
        Fields=[field], DR=appearance, DA="/F1 12 Tf 0 g", NeedAppearances=True
    )
    return saved(pdf)


def chinese(*lines: tuple[str, float, float], size: float = 16) -> bytes:
    """A page of text with an embedded font, each line from a point of its baseline."""
    with LOCK:
        document = pdfium.FPDF_CreateNewDocument()
        page = pdfium.FPDFPage_New(document, 0, WIDTH, HEIGHT)
        data = FONT.read_bytes()
        raw = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        font = pdfium.FPDFText_LoadFont(document, raw, len(data), pdfium.FPDF_FONT_TRUETYPE, 1)
        for words, x, y in lines:
            written = pdfium.FPDFPageObj_CreateTextObj(document, font, size)
            encoded = ctypes.create_string_buffer(f"{words}\0".encode("utf-16-le"))
            pdfium.FPDFText_SetText(written, ctypes.cast(encoded, pdfium.FPDF_WIDESTRING))
            pdfium.FPDFPageObj_Transform(written, 1, 0, 0, 1, x, y)
            pdfium.FPDFPage_InsertObject(page, written)
        pdfium.FPDFPage_GenerateContent(page)
        pdfium.FPDF_ClosePage(page)
        file = io.BytesIO()
        with PdfDocument(document) as made:
            made.save(file)
    return file.getvalue()


def changed(data: bytes, change: Callable[[Pdf], None]) -> bytes:
    with Pdf.open(io.BytesIO(data)) as pdf:
        change(pdf)
        return saved(pdf)
