"""The text that a page of a PDF has of its own, by PDFium. Its callers hold the lock of that."""

import ctypes
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt
import pypdfium2.raw as pdfium

from ocr.errors import ImageDamaged
from ocr.glyphs import Glyph

SANE = 0.05  # share of the characters that may be unreadable or unseen in text that is taken
PICTURED = 0.25  # share of a page that pictures may take up where its text is taken
GRID = 128  # cells a side in which that is measured
DEEPEST = 16  # form in form
FINE = 2**28  # units of the longer side in which PDFium is asked where a point is
UNSEEN = (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
SOFT_HYPHEN = "\u00ad"
ODD = ("Cc", "Cf", "Cn", "Co", "Cs")  # categories of characters that no text shows

Matrix = npt.NDArray[np.float64]  # (3, 2): a point is [x, y, 1] @ matrix


def glyphs(page: Any, width: int, height: int, *, keep: bool) -> list[Glyph]:
    """The characters of an open page that is seen at `width` x `height` pixels.

    None if there are none, or if, unless `keep`, they cannot be taken for what is seen: too many
    of them stand for no character or are not drawn, or much of the page is pictures.
    """
    characters = [each for each in _characters(page) if each.inside]
    if not keep:
        if not _sane(characters) or _pictured(page) >= PICTURED:
            return []
        characters = [each for each in characters if each.seen]
    return _glyphs(characters, _to_pixels(page, width, height))


@dataclass(frozen=True)
class _Character:
    """One character as PDFium tells it, in units of the page; boxes are left, bottom, right, top.

    `along` and `up` are the directions of its text, as long as its size. `white` says whether white
    space is written before it, and whether PDFium sees some.
    """

    text: str
    box: tuple[float, float, float, float]
    origin: tuple[float, float]
    along: tuple[float, float]
    up: tuple[float, float]
    white: tuple[bool, bool]
    seen: bool
    known: bool
    inside: bool


def _characters(page: Any) -> Iterator[_Character]:
    """The characters of a page, as they are written, without white space."""
    text = pdfium.FPDFText_LoadPage(page)
    if not text:
        return
    try:
        edge = _bounds(page)
        white = (False, False)
        for index in range(pdfium.FPDFText_CountChars(text)):
            written = chr(pdfium.FPDFText_GetUnicode(text, index))
            if pdfium.FPDFText_IsGenerated(text, index) == 1:
                white = (white[0], True)
            elif written.isspace():
                white = (True, white[1])
            else:
                yield _character(text, index, written, edge, white)
                white = (False, False)
    finally:
        pdfium.FPDFText_ClosePage(text)


def _character(
    text: Any,
    index: int,
    written: str,
    edge: tuple[float, float, float, float],
    white: tuple[bool, bool],
) -> _Character:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(text, index, left, right, bottom, top)
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text, index, x, y)
    matrix = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
    pdfium.FPDFText_GetMatrix(text, index, matrix)
    size = pdfium.FPDFText_GetFontSize(text, index)
    mode = pdfium.FPDFTextObj_GetTextRenderMode(pdfium.FPDFText_GetTextObject(text, index))
    hyphen = written == SOFT_HYPHEN or pdfium.FPDFText_IsHyphen(text, index) == 1
    shown = "-" if hyphen else _as_read(written)
    middle = (left.value + right.value) / 2, (bottom.value + top.value) / 2
    return _Character(
        text=shown,
        box=(left.value, bottom.value, right.value, top.value),
        origin=(x.value, y.value),
        along=(size * matrix.a, size * matrix.b),
        up=(size * matrix.c, size * matrix.d),
        white=white,
        seen=mode not in UNSEEN,
        known=_known(shown) and pdfium.FPDFText_HasUnicodeMapError(text, index) != 1,
        inside=edge[0] <= middle[0] <= edge[2] and edge[1] <= middle[1] <= edge[3],
    )


def _as_read(character: str) -> str:
    """What a ligature, a radical or a double of a Chinese character stands for."""
    if "\u2e80" <= character <= "\u2fdf" or "\uf900" <= character <= "\ufb06":
        return unicodedata.normalize("NFKC", character)
    return character


def _known(text: str) -> bool:
    return all(unicodedata.category(each) not in ODD and each != "\ufffd" for each in text)


def _sane(characters: list[_Character]) -> bool:
    """Whether text can be taken for what is seen on the page."""
    odd = sum(not (each.known and each.seen) for each in characters)
    return odd < SANE * len(characters)


def _glyphs(characters: list[_Character], to_pixels: Matrix) -> list[Glyph]:
    shown = [each for each in characters if any(each.along) and any(each.up) and each.text]
    if not shown:
        return []
    boxes = np.array([each.box for each in shown]).reshape(-1, 2, 2)
    corners = boxes @ to_pixels[:2] + to_pixels[2]
    low, high = corners.min(axis=1).tolist(), corners.max(axis=1).tolist()
    origins = (np.array([each.origin for each in shown]) @ to_pixels[:2] + to_pixels[2]).tolist()
    along = (np.array([each.along for each in shown]) @ to_pixels[:2]).tolist()
    up = (np.array([each.up for each in shown]) @ to_pixels[:2]).tolist()
    return [
        Glyph(
            each.text,
            (*low[i], *high[i]),
            (origins[i][0], origins[i][1]),
            (along[i][0] / hypot(*along[i]), along[i][1] / hypot(*along[i])),
            hypot(*up[i]),
            *each.white,
        )
        for i, each in enumerate(shown)
    ]


def _to_pixels(page: Any, width: int, height: int) -> Matrix:
    """How PDFium lays a page out: turned and cut as it says."""
    left, bottom, right, top = _bounds(page)
    fine = max(1, FINE // max(width, height))
    corners = [(left, bottom), (right, bottom), (left, top)]
    seen = []
    for corner in corners:
        x, y = ctypes.c_int(), ctypes.c_int()
        place = (0, 0, width * fine, height * fine, 0)
        pdfium.FPDF_PageToDevice(page, *place, *corner, x, y)
        seen.append((x.value / fine, y.value / fine))
    return np.linalg.solve(np.column_stack([corners, np.ones(3)]), np.array(seen))


def _bounds(page: Any) -> tuple[float, float, float, float]:
    """The part of a page that is shown: left, bottom, right, top."""
    box = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, box):
        raise ImageDamaged("a page of the PDF has no size")
    return box.left, box.bottom, box.right, box.top


def _pictured(page: Any) -> float:
    """The share of a page that pictures take up."""
    left, bottom, right, top = _bounds(page)
    covered = np.zeros((GRID, GRID), bool)
    scale = np.array([GRID / (right - left), GRID / (top - bottom)])
    for corners in _pictures(page):
        cells = (corners - (left, bottom)) * scale
        low = np.clip(np.floor(cells.min(axis=0) + 0.5), 0, GRID).astype(int)
        high = np.clip(np.floor(cells.max(axis=0) + 0.5), 0, GRID).astype(int)
        covered[low[0] : high[0], low[1] : high[1]] = True
    return float(covered.mean())


def _pictures(page: Any) -> Iterator[Matrix]:
    """The corners (4, 2) of a page's pictures, in its units."""
    count = pdfium.FPDFPage_CountObjects(page)
    objects = (pdfium.FPDFPage_GetObject(page, index) for index in range(count))
    yield from _pictures_among(objects, np.array([[1.0, 0], [0, 1], [0, 0]]), 0)


def _pictures_among(objects: Iterator[Any], matrix: Matrix, depth: int) -> Iterator[Matrix]:
    for each in objects:
        kind = pdfium.FPDFPageObj_GetType(each)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = (ctypes.c_float() for _ in range(4))
            if pdfium.FPDFPageObj_GetBounds(each, left, bottom, right, top):
                xs, ys = (left.value, right.value), (bottom.value, top.value)
                yield np.array([(x, y) for x in xs for y in ys]) @ matrix[:2] + matrix[2]
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < DEEPEST:
            own = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
            pdfium.FPDFPageObj_GetMatrix(each, own)
            inner = np.array([[own.a, own.b], [own.c, own.d], [own.e, own.f]])
            outer = inner @ matrix[:2] + np.array([[0, 0], [0, 0], matrix[2]])
            count = pdfium.FPDFFormObj_CountObjects(each)
            inside = (pdfium.FPDFFormObj_GetObject(each, index) for index in range(count))
            yield from _pictures_among(inside, outer, depth + 1)
