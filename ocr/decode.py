"""Bytes to upright RGB pages. Limits are checked before pixels are made."""

import contextlib
import io
import struct
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pillow_heif
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, features

from ocr.document import Line, Pixels
from ocr.errors import ImageDamaged, ImageTooLarge, NotAnImage
from ocr.pdf import Canvas, PdfFile, blank
from ocr.wanted import Wanted

pillow_heif.register_heif_opener()

PICTURES = {  # Pillow's names of the formats and ours
    "JPEG": "JPEG",
    "PNG": "PNG",
    "WEBP": "WEBP",
    "BMP": "BMP",
    "GIF": "GIF",
    "TIFF": "TIFF",
    "HEIF": "HEIC",
    **({"AVIF": "AVIF"} if features.check("avif") else {}),
}
FORMATS = (*PICTURES.values(), "PDF")
PAGED = ("TIFF",)  # formats whose frames are pages; the other formats' frames are an animation

BRAND = slice(4, 12)  # where HEIC and AVIF say what they are
BRANDS = tuple(b"ftyp" + name for name in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"))
PDF_MARK, PDF_START = b"%PDF-", 1024  # a PDF says so somewhere in its first bytes
LONGEST_RUN, RUN_BYTES = 255, 2  # pixels that so many bytes of a BMP stand for, at most
STRIP = 4_000_000  # pixels that are converted at a time
SANE_DPI = (30.0, 2400.0)
SQUARE = 0.05  # by which a picture's two resolutions may differ
ORIENTATION = 0x0112  # of EXIF
TURNED = range(2, 9)

# The limits below are checked here, for every format and with a code of ours.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class DecodeLimits:
    """The most that one picture may have."""

    bytes: int = 50_000_000
    pixels: int = 100_000_000
    pages: int = 100


class Frame(Protocol):
    """One page of an open file that is not decoded yet, its size in pixels.

    `lines` is its own text, in no set order, where it is to be taken and not read. `original` is
    the file where that is a JPEG that shows just what the pixels do. `size` says it in words.
    """

    @property
    def number(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def dpi(self) -> float | None: ...
    @property
    def lines(self) -> list[Line] | None: ...
    @property
    def original(self) -> bytes | None: ...
    @property
    def size(self) -> str: ...

    def pixels(self) -> Pixels:
        """Decode it, once: (height, width, 3) uint8 RGB, upright. Raises ImageDamaged."""
        ...


class File(Protocol):
    """An open file of `count` pages; to be closed. Its calls are best made in its `executor`."""

    count: int
    is_pdf: bool
    executor: Executor | None

    def frame(self, number: int, wanted: Wanted) -> Frame:
        """Look at one page, counted from 1. Raises ImageDamaged."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class PictureFrame:
    """A Frame of a picture, its size as stored."""

    number: int
    width: int
    height: int
    dpi: float | None
    image: Image.Image
    original: bytes | None
    lines: None = None

    @property
    def size(self) -> str:
        return f"{self.width} x {self.height} pixels"

    def pixels(self, canvas: Canvas = blank) -> Pixels:
        try:
            self.image.load()
            _turn_upright(self.image)
            return _pixels(self.image, canvas)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes them
            raise ImageDamaged(f"the picture cannot be decoded: {error}") from error
        finally:
            self.image.close()  # gives back what Pillow holds of a large page


class PictureFile:
    """An open picture: one page, or those of a TIFF. Raises NotAnImage, ImageDamaged."""

    is_pdf = False
    executor: Executor | None = None

    def __init__(self, data: bytes) -> None:
        self._data = data
        first = _open(data)
        self.count = _count(first)
        self._unused = [first]  # pages may be asked for side by side

    def frame(self, number: int, wanted: Wanted) -> PictureFrame:
        # Opened anew for each page, as that closes it when it is done.
        try:
            image = self._unused.pop()
        except IndexError:
            image = _open(self._data)
        try:
            if number > 1:
                image.seek(number - 1)
        except MemoryError:
            raise
        except Exception as error:
            raise ImageDamaged(f"page {number} cannot be opened: {error}") from error
        width, height = image.size
        if width < 1 or height < 1:
            raise ImageDamaged("the picture has no pixels")
        if _is_hollow(image, self._data):
            raise ImageDamaged(f"{len(self._data)} bytes are too few for {width} x {height} pixels")
        original = self._data if _is_plain_jpeg(image) else None
        return PictureFrame(number, width, height, _dpi(image), image, original)

    def close(self) -> None:
        self._unused.clear()


def pages(data: bytes, limits: DecodeLimits) -> Iterator[Pixels]:
    """Decode a file's pages, one at a time: (height, width, 3) uint8 RGB, upright.

    The format is what the bytes are, not what a name says. EXIF orientation is applied, alpha is
    laid on white, CMYK, palette, grey, 1-bit, 16-bit and float pixels become 8-bit RGB. Of an
    animation the first frame is taken, of a TIFF and a PDF every page.

    Raises NotAnImage for other formats, ImageDamaged for broken or cut files, ImageTooLarge
    beyond the limits, PdfEncrypted, NoPages.
    """
    wanted = Wanted(pdf_text="ignore")
    with closing(opened(data, limits)) as file:
        for number in numbers(file, wanted, limits):
            frame = file.frame(number, wanted)
            check_size(frame, limits)
            yield frame.pixels()


def opened(data: bytes, limits: DecodeLimits) -> PdfFile | PictureFile:
    """Open a file. Raises as `pages` does."""
    check_bytes(data, limits)
    return PdfFile(data) if is_pdf(data) else PictureFile(data)


def is_pdf(data: bytes) -> bool:
    """Whether bytes are those of a PDF, which may have some others before it but no picture."""
    if PDF_MARK not in data[:PDF_START]:
        return False
    if not data.startswith(PDF_MARK):
        with contextlib.suppress(NotAnImage), _open(data):
            return False
    return True


def suffixes() -> set[str]:
    """Those of the names of files that can be read, as `.jpg`."""
    known = Image.registered_extensions()
    return {".pdf"} | {suffix for suffix, name in known.items() if name in PICTURES}


def numbers(file: File, wanted: Wanted, limits: DecodeLimits) -> list[int]:
    """The pages to read, in their order. Raises PagesOutOfRange, ImageTooLarge."""
    found = wanted.page_numbers(file.count)
    if len(found) > limits.pages:
        raise ImageTooLarge(f"{len(found)} pages, the limit is {limits.pages}")
    return found


def check_bytes(data: bytes, limits: DecodeLimits) -> None:
    """Raises ImageTooLarge if a file has more bytes than the limit."""
    if len(data) > limits.bytes:
        raise ImageTooLarge(f"{len(data)} bytes, the limit is {limits.bytes}")


def check_size(frame: Frame, limits: DecodeLimits) -> None:
    """Raises ImageTooLarge if a page has more pixels than the limit."""
    if frame.width * frame.height > limits.pixels:
        raise ImageTooLarge(f"{frame.size}, the limit is {limits.pixels}")


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=tuple(PICTURES))
    except UnidentifiedImageError:
        if data[BRAND] in BRANDS:
            raise ImageDamaged("the picture cannot be opened") from None
        raise NotAnImage(f"not a picture that is read here ({', '.join(FORMATS)})") from None
    except MemoryError:
        raise
    except Exception as error:  # as below: a broken header makes Pillow raise anything
        raise ImageDamaged(f"the picture cannot be opened: {error}") from error


def _count(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1) if image.format in PAGED else 1
    except MemoryError:
        raise
    except Exception as error:
        raise ImageDamaged(f"the pages cannot be counted: {error}") from error


def _is_hollow(image: Image.Image, data: bytes) -> bool:
    """Whether a run-length encoded BMP cannot have all of its pixels.

    Pillow fills up its rows in Python: a tiny one that says to be huge takes a minute.
    """
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    runs = any(tile[0] == "bmp_rle" for tile in tiles)
    return runs and image.width * image.height > LONGEST_RUN * len(data) / RUN_BYTES


def _dpi(image: Image.Image) -> float | None:
    """A picture's resolution as it says itself, where that can be."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    low, high = SANE_DPI
    if not (low <= across <= high and abs(across - down) <= SQUARE * across):
        return None
    return across


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether the file is one picture that needs no turning, and that every viewer shows alike."""
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return False
    with _broken_exif():
        return image.getexif().get(ORIENTATION) not in TURNED
    return True


def _broken_exif() -> contextlib.suppress:
    """Where EXIF itself is broken no orientation is known."""
    return contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError, struct.error)


def _turn_upright(image: Image.Image) -> None:
    """Apply the EXIF orientation."""
    with _broken_exif():
        ImageOps.exif_transpose(image, in_place=True)


def _pixels(image: Image.Image, canvas: Canvas) -> Pixels:
    """Make RGB strip by strip: Pillow's conversions would each hold a whole page once more."""
    width, height = image.size
    rows = max(1, STRIP // width)
    strips = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    scale = _range(image, strips) if image.mode in ("I", "F") else (0.0, 0.0)
    pixels = canvas(height, width)
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
