"""The picture of a page that goes along with its text, as a file."""

import io

import cv2
import numpy as np
from PIL import Image

from ocr.document import Picture, Pixels

QUALITY = 88  # of JPEG
LONGEST = 65_500  # pixels of a side of a JPEG
COLOURS = 256  # a page with no more of them may be smaller as PNG, and is sharp


def encode(pixels: Pixels, longest: int | None = None) -> Picture:
    """Make a file of a page, (height, width, 3) uint8 RGB, its longer side `longest` at most.

    PNG where the page has few colours, as a scan in black and white has, and that is smaller, or
    where a side is too long for JPEG; JPEG else.
    """
    image = Image.fromarray(_reduced(pixels, longest))
    few = _with_few_colours(image)
    found = []
    if max(image.size) <= LONGEST:
        found.append(Picture(_file(image, "JPEG", quality=QUALITY), "image/jpeg"))
    if few is not None or not found:
        found.append(Picture(_file(few or image, "PNG"), "image/png"))
    return min(found, key=lambda picture: len(picture.data))


def _reduced(pixels: Pixels, longest: int | None) -> Pixels:
    height, width = pixels.shape[:2]
    share = 1.0 if longest is None else longest / max(width, height)
    if share >= 1:
        return pixels
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _with_few_colours(image: Image.Image) -> Image.Image | None:
    """The same picture in 1, 8 or 8 bits with a palette; None if it has more colours than that."""
    counted = image.getcolors(COLOURS)
    if counted is None:
        return None
    colours = [colour for _, colour in counted if isinstance(colour, tuple)]
    if any(len(set(colour)) > 1 for colour in colours):
        return image.quantize(COLOURS, dither=Image.Dither.NONE)
    grey = image.convert("L")
    return grey.convert("1") if {colour[0] for colour in colours} <= {0, 255} else grey


def _file(image: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
