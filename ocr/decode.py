"""Bytes to upright RGB pages. Limits are checked before pixels are made."""

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ocr.document import Pixels
from ocr.errors import ImageDamaged, ImageTooLarge, NotAnImage

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
PAGED = ("TIFF",)  # formats whose frames are pages; the other formats' frames are an animation

STRIP = 4_000_000  # pixels that are converted at a time

# The limits below are checked here, for every format and with a code of ours.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class DecodeLimits:
    """The most that one picture may have."""

    bytes: int = 50_000_000
    pixels: int = 100_000_000
    pages: int = 100


@dataclass(frozen=True)
class Frame:
    """One page that is not decoded yet, its size in pixels as stored."""

    width: int
    height: int
    image: Image.Image

    def pixels(self) -> Pixels:
        """Decode it, once: (height, width, 3) uint8 RGB, upright. Raises ImageDamaged."""
        try:
            self.image.load()
            _turn_upright(self.image)
            return _pixels(self.image)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes them
            raise ImageDamaged(f"the picture cannot be decoded: {error}") from error
        finally:
            self.image.close()  # gives back what Pillow holds of a large page


def pages(data: bytes, limits: DecodeLimits) -> Iterator[Pixels]:
    """Decode a picture's pages, one at a time: (height, width, 3) uint8 RGB, upright.

    The format is what the bytes are, not what a name says. EXIF orientation is applied, alpha is
    laid on white, CMYK, palette, grey, 1-bit, 16-bit and float pixels become 8-bit RGB. Of an
    animation the first frame is taken, of a TIFF every page.

    Raises NotAnImage for other formats, ImageDamaged for broken or cut files, ImageTooLarge
    beyond the limits.
    """
    for frame in frames(data, limits):
        yield frame.pixels()


def frames(data: bytes, limits: DecodeLimits) -> Iterator[Frame]:
    """Open a picture's pages as `pages` does, leaving it to the caller when to make the pixels."""
    if len(data) > limits.bytes:
        raise ImageTooLarge(f"{len(data)} bytes, the limit is {limits.bytes}")
    first = _open(data)
    count = _count(first)
    if count > limits.pages:
        raise ImageTooLarge(f"{count} pages, the limit is {limits.pages}")
    for number in range(count):
        yield _frame(_open(data) if number else first, number, limits)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise NotAnImage(f"not a picture that is read here ({', '.join(FORMATS)})") from None
    except Exception as error:  # as below: a broken header makes Pillow raise anything
        raise ImageDamaged(f"the picture cannot be opened: {error}") from error


def _count(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1) if image.format in PAGED else 1
    except Exception as error:
        raise ImageDamaged(f"the pages cannot be counted: {error}") from error


def _frame(image: Image.Image, number: int, limits: DecodeLimits) -> Frame:
    try:
        if number:
            image.seek(number)
    except Exception as error:
        raise ImageDamaged(f"page {number + 1} cannot be opened: {error}") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageDamaged("the picture has no pixels")
    if width * height > limits.pixels:
        raise ImageTooLarge(f"{width} x {height} pixels, the limit is {limits.pixels}")
    return Frame(width, height, image)


def _turn_upright(image: Image.Image) -> None:
    """Apply the EXIF orientation. Where EXIF itself is broken no orientation is known."""
    with contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError, struct.error):
        ImageOps.exif_transpose(image, in_place=True)


def _pixels(image: Image.Image) -> Pixels:
    """Make RGB strip by strip: Pillow's conversions would each hold a whole page once more."""
    width, height = image.size
    rows = max(1, STRIP // width)
    strips = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    scale = _range(image, strips) if image.mode in ("I", "F") else (0.0, 0.0)
    pixels = np.empty((height, width, 3), np.uint8)
    for strip in strips:
        part = image.crop(strip) if len(strips) > 1 else image
        pixels[strip[1] : strip[3]] = np.asarray(_rgb(part, *scale))
    return pixels


def _range(image: Image.Image, strips: list[tuple[int, int, int, int]]) -> tuple[float, float]:
    """The least and the greatest value of a one-channel image; 16-bit files have a known range."""
    ranges = []
    for strip in strips:
        values = np.nan_to_num(np.asarray(image.crop(strip), np.float32))
        ranges.append((float(values.min()), float(values.max())))
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    if image.mode == "I" and low >= 0 and 255 < high <= 65535:
        return 0.0, 65535.0
    return low, high


def _rgb(image: Image.Image, low: float, high: float) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.clip(np.nan_to_num(np.asarray(image, np.float32)), low, high)
        image = Image.fromarray(((values - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")
