"""A PNG of one page: its picture with the quads, and beside it what was read, at the same places.

The text is drawn in Noto Sans CJK, which comes with a package: no font of the system is needed.
What that font lacks shows as a box.
"""

import io
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from math import atan2, degrees, radians, sin

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ocr import geometry
from ocr.document import Document, Line, Page, Quad
from ocr.errors import NoPages, OnePageOnly
from ocr.wanted import Wanted

FONT = str(files("noto_cjk_sans_otc") / "NotoSansCJK-Regular.ttc")
SIMPLIFIED = 2  # of the fonts in that file
FACES = 64  # sizes that are kept

LEGIBLE = 16  # pixels of a typical line; a picture with smaller ones is enlarged,
LARGER = 3.0  # at most so many times
MAX_PIXELS = 16_000_000  # of the picture in the overlay; a larger one is reduced

FULL = 0.8  # of a quad's height that a letter's square takes
BASELINE = 0.38  # of that square, from its middle down to the letters' foot
SPREAD = 0.5  # letter heights, at most, by which letters move apart to fill a quad
LEVEL = 0.2  # of its height by which a line may fall and still be drawn level, which is sharper
DOUBTFUL, SURE = (214, 69, 0), (0, 98, 155)  # orange and blue: all eyes tell them apart
LOWEST = 0.5  # confidence that is as doubtful as can be
TINT = 0.18  # of a line's colour in the paper under its text
INK = 0.45  # of black in its text

Colour = tuple[int, int, int]


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    """The overlay of the only page, twice as wide as its picture.

    Raises NoPages if the documents have none and OnePageOnly if they have several; ValueError if
    the page has no picture.
    """
    pages = [page for document in documents for page in document.pages]
    if not pages:
        raise NoPages("there is no page to be drawn")
    if len(pages) > 1:
        raise OnePageOnly(f"png holds one page, and there are {len(pages)}: name one with pages=")
    sheet = io.BytesIO()
    _overlay(pages[0]).save(sheet, "PNG", compress_level=3)
    return sheet.getvalue()


def _overlay(page: Page) -> Image.Image:
    picture, scale = _picture(page)
    text = Image.new("RGB", picture.size, "white")
    stroke = max(2, round(max(picture.size) / 800))
    for line in page.lines:
        quad = (line.quad * scale).astype(np.float32)
        colour = _colour(line.confidence)
        _outline(picture, quad, colour, stroke)
        _fill(text, quad, _mixed(colour, (255, 255, 255), TINT))
    for line in page.lines:  # over all tints, for quads may overlap
        _write(text, line, (line.quad * scale).astype(np.float32))
    sheet = Image.new("RGB", (2 * picture.width, picture.height))
    sheet.paste(picture, (0, 0))
    sheet.paste(text, (picture.width, 0))
    return sheet


def _picture(page: Page) -> tuple[Image.Image, npt.NDArray[np.float64]]:
    """The page's picture in the size to draw on, and what to multiply its coordinates by."""
    if page.picture is None:
        raise ValueError(f"page {page.number} has no picture to draw on")
    with Image.open(io.BytesIO(page.picture.data)) as image:
        picture = image.convert("RGB")
    factor = _factor(page, picture)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return picture, np.array(size) / (page.width, page.height)


def _factor(page: Page, picture: Image.Image) -> float:
    """By which a picture is enlarged so that its text is legible, or reduced if it is huge."""
    limit = (MAX_PIXELS / (picture.width * picture.height)) ** 0.5
    if not page.lines:
        return float(min(1.0, limit))
    height = float(np.median([_size(line.quad, line.turns)[1] for line in page.lines]))
    needed = LEGIBLE * page.width / max(1.0, height * picture.width)
    return float(min(limit, max(1.0, min(LARGER, needed))))


def _size(quad: Quad, turns: int) -> tuple[float, float]:
    """A line's length and the height of its text."""
    return geometry.size(np.roll(quad, -turns, axis=0))


def _colour(confidence: float) -> Colour:
    share = min(1.0, max(0.0, (confidence - LOWEST) / (1 - LOWEST)))
    return _mixed(SURE, DOUBTFUL, share)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """So much of one, and the rest of the other."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _outline(image: Image.Image, quad: Quad, colour: Colour, stroke: int) -> None:
    corners = [(float(x), float(y)) for x, y in quad]
    pen = ImageDraw.Draw(image)
    # White round it, so that it shows on a dark picture as well.
    pen.line([*corners, *corners[:2]], (255, 255, 255), 3 * stroke, joint="curve")
    pen.line([*corners, *corners[:2]], colour, stroke, joint="curve")


def _fill(image: Image.Image, quad: Quad, colour: Colour) -> None:
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in quad], colour)


def _write(image: Image.Image, line: Line, quad: Quad) -> None:
    """Write a line along its quad, from the corner at which its text starts."""
    start = np.roll(quad, -line.turns, axis=0)
    length, height = geometry.size(start)
    mask = _mask(line.text, length, height)
    if mask is None:
        return
    along = start[1] - start[0] + start[2] - start[3]
    angle = degrees(atan2(-along[1], along[0]))
    quarters = round(angle / 90)
    if length * abs(sin(radians(angle - 90 * quarters))) <= LEVEL * height:
        mask = mask.rotate(90 * quarters, expand=True)
    else:
        mask = mask.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    middle = start.mean(axis=0)
    left, top = (middle - np.array(mask.size) / 2).round().astype(int).tolist()
    image.paste(_mixed((0, 0, 0), _colour(line.confidence), INK), (left, top), mask)


def _mask(text: str, length: float, height: float) -> Image.Image | None:
    """Text that fills a box, as the mask of that box; None where nothing can be seen."""
    text = " ".join(text.split())
    natural = sum(_advances(text, 100)) / 100
    size = int(min(FULL * height, length / natural)) if natural else 0
    if size < 1:
        return None
    advances = _advances(text, size)
    spread = min(SPREAD * size, (length - sum(advances)) / max(1, len(text) - 1))
    mask = Image.new("L", (max(1, round(length)), max(1, round(height))))
    pen, x, baseline = ImageDraw.Draw(mask), 0.0, height / 2 + BASELINE * size
    for character, advance in zip(text, advances, strict=True):
        pen.text((x, baseline), character, 255, _face(size), anchor="ls")
        x += advance + spread
    return mask


def _advances(text: str, size: int) -> list[float]:
    face = _face(size)
    return [face.getlength(character) for character in text]


@lru_cache(FACES)
def _face(size: int) -> ImageFont.FreeTypeFont:
    # The basic layout needs no library that a machine may lack.
    return ImageFont.truetype(FONT, size, SIMPLIFIED, layout_engine=ImageFont.Layout.BASIC)
