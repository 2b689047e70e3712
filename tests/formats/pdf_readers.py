"""What others read in a PDF: poppler's and PDFium's text, and where they see it."""

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium

Point = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """A run of characters, and the middle of its box in points from the page's top left."""

    text: str
    middle: Point


def poppler_text(pdf: bytes, folder: Path, *options: str) -> list[list[str]]:
    """The lines of every page, in the order of the content."""
    out = _poppler(pdf, folder, "-raw", *options)
    return [[line for line in page.splitlines() if line] for page in out.split("\f")[:-1]]


def poppler_pieces(pdf: bytes, folder: Path) -> list[list[Piece]]:
    """What poppler takes for words, page by page in the order of the content."""
    out = _poppler(pdf, folder, "-raw", "-cropbox", "-bbox")
    tree = ET.fromstring(out.replace(' xmlns="http://www.w3.org/1999/xhtml"', ""))  # noqa: S314
    return [
        [Piece(word.text or "", _middle(word.attrib)) for word in page.iter("word")]
        for page in tree.iter("page")
    ]


def pdfium_text(pdf: bytes) -> list[list[str]]:
    """The lines of every page."""
    with closing(pdfium.PdfDocument(pdf)) as document:
        texts = [page.get_textpage().get_text_range() for page in document]
    return [[line for line in text.splitlines() if line] for text in texts]


def pdfium_pieces(pdf: bytes, number: int = 0) -> list[Piece]:
    """The characters of a page that is neither turned nor cut."""
    return list(_characters(pdf, number))


def picture(pdf: bytes, number: int = 0, dpi: float = 72) -> npt.NDArray[np.uint8]:
    """What a page looks like, (height, width, 3)."""
    with closing(pdfium.PdfDocument(pdf)) as document:
        image = document[number].render(scale=dpi / 72).to_pil().convert("RGB")
    return np.asarray(image, np.uint8)


def _poppler(pdf: bytes, folder: Path, *options: str) -> str:
    path = folder / "read.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(
        ["pdftotext", *options, path, "-"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def _middle(box: dict[str, str]) -> Point:
    left, top, right, bottom = (float(box[side]) for side in ("xMin", "yMin", "xMax", "yMax"))
    return (left + right) / 2, (top + bottom) / 2


def _characters(pdf: bytes, number: int) -> Iterator[Piece]:
    with closing(pdfium.PdfDocument(pdf)) as document:
        page = document[number]
        text = page.get_textpage()
        height = page.get_height()
        for index in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(index)
            character = text.get_text_range(index, 1)
            if character.strip():
                yield Piece(character, ((left + right) / 2, height - (top + bottom) / 2))
