"""PDF files: their pages as pixels and, where they have it, their own text.

PDFium knows no threads. Each of its calls is made while LOCK is held, which is one for the process,
and for no longer than one page takes. Who has many files open makes the calls in RENDERER, so that
those who wait do so there and not in the threads in which pages are read.
"""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium

from ocr import glyphs, pdf_text
from ocr.document import Line, Pixels
from ocr.errors import ImageDamaged, NoPages, PdfEncrypted, PictureError
from ocr.glyphs import Glyph
from ocr.wanted import Wanted

LOCK = threading.Lock()
RENDERER = ThreadPoolExecutor(1, "pdfium")

# Gives the array of a height and a width to draw in: (height, width, 3) uint8, of any content.
Canvas = Callable[[int, int], Pixels]

POINTS = 72.0  # to the inch
WRITTEN = (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP)
ENCRYPTED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)

log = logging.getLogger(__name__)


def blank(height: int, width: int) -> Pixels:
    """A Canvas of memory of its own."""
    return np.empty((height, width, 3), np.uint8)


@dataclass(frozen=True)
class PdfFrame:
    """One page of a file that is open: its size in pixels, upright, at `dpi`.

    `lines` is its own text, in no set order, where that is to be taken.
    """

    number: int
    width: int
    height: int
    dpi: float
    lines: list[Line] | None
    render: Callable[["PdfFrame", Canvas], Pixels]
    original: bytes | None = None

    @property
    def size(self) -> str:
        return f"page {self.number}: {self.width} x {self.height} pixels at {round(self.dpi)} dpi"

    def pixels(self, canvas: Canvas = blank) -> Pixels:
        """Render it: (height, width, 3) uint8 RGB. Raises ImageDamaged."""
        return self.render(self, canvas)


class PdfFile:
    """An open PDF; to be closed. Any thread may use it.

    Raises PdfEncrypted, NoPages, or ImageDamaged where PDFium cannot repair it.
    """

    is_pdf = True
    executor: Executor | None = RENDERER

    def __init__(self, data: bytes) -> None:
        self._data = data  # PDFium does not copy it
        self._form_info = pdfium.FPDF_FORMFILLINFO(version=2)
        with LOCK:
            self._document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
            if not self._document:
                raise _failure(pdfium.FPDF_GetLastError())
            self._form = self._open_form()
            self.count = max(0, int(pdfium.FPDF_GetPageCount(self._document)))
        if not self.count:
            self.close()
            raise NoPages("the PDF has no pages")

    def _open_form(self) -> Any:
        """What fills in forms; before any page is opened, and only where there is one."""
        if pdfium.FPDF_GetFormType(self._document) == pdfium.FORMTYPE_NONE:
            return None
        return pdfium.FPDFDOC_InitFormFillEnvironment(self._document, self._form_info)

    def close(self) -> None:
        with LOCK:
            if self._document:
                if self._form:
                    pdfium.FPDFDOC_ExitFormFillEnvironment(self._form)
                pdfium.FPDF_CloseDocument(self._document)
                self._document = self._form = None

    def frame(self, number: int, wanted: Wanted) -> PdfFrame:
        """Look at a page, counted from 1, and take its text if that is wanted and fit for it."""
        with LOCK:
            width, height = self._size(number, wanted.dpi)
            found = None
            # On a larger page nobody knows where the text is, nor can it be drawn.
            if wanted.pdf_text != "ignore" and max(width, height) <= pdf_text.FINE:
                found = self._text(number, width, height, keep=wanted.pdf_text == "keep")
        lines = glyphs.lines(found, width, height) if found else None
        return PdfFrame(number, width, height, float(wanted.dpi), lines, self._render)

    def _size(self, number: int, dpi: int) -> tuple[int, int]:
        size = pdfium.FS_SIZEF()
        if not pdfium.FPDF_GetPageSizeByIndexF(self._opened(), number - 1, size):
            raise _damaged(number)
        scale = self._user_unit(number) * dpi / POINTS
        return max(1, round(size.width * scale)), max(1, round(size.height * scale))

    def _render(self, frame: PdfFrame, canvas: Canvas) -> Pixels:
        """Draw a page as a viewer does, with annotations and what forms were filled with."""
        pixels = canvas(frame.height, frame.width)
        pixels.fill(255)
        with LOCK, self._page(frame.number) as page:
            bitmap = pdfium.FPDFBitmap_CreateEx(
                frame.width,
                frame.height,
                pdfium.FPDFBitmap_BGR,
                pixels.ctypes.data,
                pixels.strides[0],
            )
            if not bitmap:
                raise _damaged(frame.number)
            try:
                flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER  # RGB
                place = (page, 0, 0, frame.width, frame.height, 0, flags)
                pdfium.FPDF_RenderPageBitmap(bitmap, *place)
                if self._form:
                    pdfium.FPDF_FFLDraw(self._form, bitmap, *place)
            finally:
                pdfium.FPDFBitmap_Destroy(bitmap)
        return pixels

    def _text(self, number: int, width: int, height: int, *, keep: bool) -> list[Glyph]:
        self._write_down_notes(number)
        with self._page(number) as page:
            return pdf_text.glyphs(page, width, height, keep=keep)

    def _write_down_notes(self, number: int) -> None:
        """Make what stands in form fields and notes a part of the page, and so of its text."""
        with self._page(number) as page:
            if any(kind in WRITTEN for kind in _annotations(page)):
                flat = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
                if flat == pdfium.FLATTEN_FAIL:
                    raise _damaged(number)

    @contextmanager
    def _page(self, number: int) -> Iterator[Any]:
        page = pdfium.FPDF_LoadPage(self._opened(), number - 1)
        if not page:
            raise _damaged(number)
        try:
            if self._form:
                pdfium.FORM_OnAfterLoadPage(page, self._form)
            yield page
        finally:
            if self._form:
                pdfium.FORM_OnBeforeClosePage(page, self._form)
            pdfium.FPDF_ClosePage(page)

    def _opened(self) -> Any:
        if not self._document:  # a page that was given up may still wait for its turn
            raise ValueError("the file is closed")
        return self._document

    def _user_unit(self, number: int) -> float:
        """How many points one unit of a page has. 1 where only PDFium can repair the file."""
        if b"/UserUnit" not in self._data and b"/ObjStm" not in self._data:
            return 1.0
        import pikepdf  # takes 10 MB, which a process that reads no PDF does without

        try:
            unit = float(self._pages[number - 1].obj.get("/UserUnit", 1))
        except (pikepdf.PdfError, IndexError, TypeError, ValueError) as error:
            log.debug("the unit of page %d is not known: %s", number, error)
            return 1.0
        return unit if 0 < unit < float("inf") else 1.0

    @cached_property
    def _pages(self) -> Any:
        """The pages as another library sees them: PDFium has no call for their unit."""
        import pikepdf

        return pikepdf.open(io.BytesIO(self._data)).pages


def _failure(code: int) -> PictureError:
    if code in ENCRYPTED:
        return PdfEncrypted("the PDF opens with a password only")
    return ImageDamaged("the PDF cannot be opened")


def _damaged(number: int) -> ImageDamaged:
    return ImageDamaged(f"page {number} of the PDF cannot be drawn")


def _annotations(page: Any) -> Iterator[int]:
    """What kinds of notes a page has."""
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            yield pdfium.FPDFAnnot_GetSubtype(annotation)
            pdfium.FPDFPage_CloseAnnot(annotation)
