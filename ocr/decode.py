"""Bytes to upright RGB pages. Limits are checked before pixels are made."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ocr.document import Pixels
from ocr.errors import ImageDamaged, ImageTooLarge, NotAnImage

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
PAGED = ("TIFF",)  # formats whose frames are pages; the other formats' frames are an animation

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
    """One page that is not decoded yet, its size in pixels as stored; valid until the next one."""

    width: int
    height: int
    image: Image.Image

    def pixels(self) -> Pixels:
        """Decode it: (height, width, 3) uint8 RGB, upright. Raises ImageDamaged."""
        try:
            self.image.load()
            return np.asarray(_rgb(_upright(self.image)), np.uint8)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes them
            raise ImageDamaged(f"the picture cannot be decoded: {error}") from error


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
    with _open(data) as image:
        count = _count(image)
        if count > limits.pages:
            raise ImageTooLarge(f"{count} pages, the limit is {limits.pages}")
        for number in range(count):
            yield _frame(image, number, limits)


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


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation. Where EXIF itself is broken no orientation is known."""
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def _eight_bits(values: npt.NDArray[np.generic], mode: str) -> npt.NDArray[np.uint8]:
    """Bring one-channel pixels to 0..255: 16-bit by their range, others by what they hold."""
    if mode.startswith("I;16"):
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    floats = np.nan_to_num(values.astype(np.float32))
    low, high = float(floats.min()), float(floats.max())
    if mode == "I" and low >= 0 and 255 < high <= 65535:
        low, high = 0.0, 65535.0
    return ((floats - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8)
