"""Searchable PDFs against the truth: what poppler finds in them, and where.

    python benchmarks/searchable.py ../shared/data [--set zh_pdf en_pdf] [--limit N]

Reads the pictures of the sets, makes a PDF of each, and looks at it with poppler's pdftotext: text
has to be the recognised text (whitespace apart), and each word's middle has to lie within half a
line height of a line of the truth that has this word. Words that the truth has nowhere on the page
(misread ones, and what it leaves out) are counted apart. The exit status is 1 if a page's text is
another one, or if fewer than 95 % of the words lie where they should.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import defusedxml.ElementTree as ElementTree
import inprocess
import machine
import numpy as np
import truths
from arguments import count
from metrics import TextLine
from tables import table
from truths import PageSet

from ocr.budget import Budget
from ocr.decode import DecodeLimits
from ocr.document import Document
from ocr.formats import pdf
from ocr.reader import Reader
from ocr.sources import Sources
from ocr.wanted import Wanted

ENOUGH = 0.95
WORD = re.compile(r"\{[^}]*\}(\w+)$")  # the name of an element without its namespace


@dataclass(frozen=True)
class Found:
    """One page: whether its text is right, and how many words are where they should be, are not, or
    are nowhere in the truth."""

    same_text: bool
    placed: int
    misplaced: int
    unknown: int


def check(document: Document, truth: Sequence[TextLine], folder: Path) -> Found:
    path = folder / "page.pdf"
    path.write_bytes(pdf.render([document], Wanted(format="pdf")))
    (page,) = document.pages
    text = _poppler("-raw", path).replace("\f", "")
    places = [_place(word, page.width, truth) for word in words(_poppler("-bbox", path))]
    return Found(
        "".join(text.split()) == "".join(page.text.split()),
        places.count(True),
        places.count(False),
        places.count(None),
    )


def words(found: str) -> list[tuple[str, float, float, float]]:
    """Each word's text, and its middle and the page's width in points."""
    rows: list[tuple[str, float, float, float]] = []
    width = 0.0
    for element in ElementTree.fromstring(found).iter():
        name = WORD.sub(r"\1", element.tag)
        if name == "page":
            width = float(element.attrib["width"])
        elif name == "word" and element.text:
            left, top, right, bottom = (
                float(element.attrib[side]) for side in ("xMin", "yMin", "xMax", "yMax")
            )
            rows.append((element.text, (left + right) / 2, (top + bottom) / 2, width))
    return rows


def _poppler(option: str, path: Path) -> str:
    command = ["pdftotext", option, str(path), "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _place(
    word: tuple[str, float, float, float], width: int, truth: Sequence[TextLine]
) -> bool | None:
    """Whether a word is at a line of the truth that has it; None if there is no such line."""
    text, x, y, points = word
    middle = (x * width / points, y * width / points)
    homes = [line for line in truth if _squeezed(text) in _squeezed(line.text)]
    return any(_near(middle, line) for line in homes) if homes else None


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()


def _near(point: tuple[float, float], line: TextLine) -> bool:
    polygon = np.array(line.polygon, np.float32)
    height = min(cv2.minAreaRect(polygon)[1])
    return cv2.pointPolygonTest(polygon, point, measureDist=True) >= -height / 2


async def measure(truth: PageSet, limit: int | None) -> list[Found]:
    reader = Reader(
        inprocess.pipeline(), Sources(1, 1, allow_private=False), DecodeLimits(), Budget(10**9)
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for image, lines in list(truth.truth.items())[:limit]:
            data = (truth.folder / image).read_bytes()
            document = await reader.read_file(data, Wanted(format="pdf"), str(image))
            found.append(check(document, lines, Path(folder)))
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds the truth files and their pictures")
    parser.add_argument("--set", nargs="+", metavar="NAME", default=["zh_pdf", "en_pdf"])
    parser.add_argument("--limit", type=count, help="take only so many pictures of each set")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if shutil.which("pdftotext") is None:
        print("searchable: pdftotext is missing: install poppler-utils", file=sys.stderr)
        return 2
    rows, right = [], True
    for truth in truths.truth_sets(options.folder, options.set):
        if not isinstance(truth, PageSet):
            continue
        found = asyncio.run(measure(truth, options.limit))
        placed, misplaced = (sum(getattr(f, key) for f in found) for key in ("placed", "misplaced"))
        share = placed / max(1, placed + misplaced)
        same = sum(each.same_text for each in found)
        right &= same == len(found) and share >= ENOUGH
        unknown = str(sum(each.unknown for each in found))
        rows.append([truth.name, f"{same} of {len(found)}", f"{share:.3f}", str(placed), unknown])
    print(machine.describe())
    header = [
        "set",
        "pages with the recognised text",
        "words in place",
        "words",
        "not in the truth",
    ]
    print(table(header, rows))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
