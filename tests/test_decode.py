import resource
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing

import cv2
import numpy as np
import pytest
from PIL import Image

from ocr import decode
from ocr.document import Pixels
from ocr.errors import ImageDamaged, ImageTooLarge, NotAnImage, PictureError
from ocr.wanted import Wanted
from tests import pdfs
from tests.pictures import encoded

LIMITS = decode.DecodeLimits()
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF", "AVIF")
SHARP: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "HEIF": {"quality": -1, "chroma": 444},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
}
LOSSLESS = ("PNG", "BMP", "GIF", "TIFF")
ALMOST = {"JPEG": 3.0, "HEIF": 3.0, "AVIF": 3.0}  # grey levels, on the average


def read(data: bytes, limits: decode.DecodeLimits = LIMITS) -> list[Pixels]:
    return list(decode.pages(data, limits))


def only(data: bytes) -> Pixels:
    (page,) = read(data)
    assert page.dtype == np.uint8
    assert page.ndim == 3
    assert page.shape[2] == 3
    return page


def four_colours(width: int = 60, height: int = 40) -> Pixels:
    """Red, green, blue, black: the quarters, so that no turning or mirroring looks the same."""
    page = np.zeros((height, width, 3), np.uint8)
    page[: height // 2, : width // 2] = RED
    page[: height // 2, width // 2 :] = GREEN
    page[height // 2 :, width // 2 :] = BLUE
    return page


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def png_that_says(width: int, height: int) -> bytes:
    """A valid header of any size, and hardly any pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def bmp_that_says(width: int, height: int) -> bytes:
    data = bytearray(encoded(Image.new("RGB", (1, 1)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def gif_that_says(width: int, height: int, *, in_frame: bool = False) -> bytes:
    """A GIF has two sizes: the screen's and each frame's."""
    data = bytearray(encoded(Image.new("P", (1, 1)), "GIF"))
    place = data.index(b",") + 5 if in_frame else 6
    data[place : place + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def webp_that_says(width: int, height: int) -> bytes:
    """An animation of two tiny frames on a canvas of any size."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    data = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    place = data.index(b"VP8X") + 12
    data[place : place + 3] = (width - 1).to_bytes(3, "little")
    data[place + 3 : place + 6] = (height - 1).to_bytes(3, "little")
    return bytes(data)


def tiff_of(*colours: tuple[int, ...], size: tuple[int, int] = (20, 10)) -> bytes:
    first, *others = (Image.new("RGB", size, colour) for colour in colours)
    return encoded(first, "TIFF", save_all=True, append_images=others)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(kind: str) -> None:
    page = only(encoded(Image.fromarray(four_colours()), kind))
    tolerance = 0 if kind in LOSSLESS else 40
    inside = np.s_[4:16, 4:26]  # away from the seams, which JPEG and WebP smear
    assert page.shape == (40, 60, 3)
    assert np.abs(page[inside].astype(int) - four_colours()[inside]).max() <= tolerance
    assert np.abs(page[25:35, 35:55].astype(int) - BLUE).max() <= tolerance


STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "HEIF", "AVIF"])
def test_every_exif_orientation_gives_the_same_picture(kind: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](four_colours())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # As bytes, from which pillow-heif makes HEIC's own orientation.
    page = only(encoded(stored, kind, exif=exif.tobytes(), **SHARP.get(kind, {})))
    assert page.shape == (40, 60, 3)
    assert np.abs(page.astype(int) - four_colours()).mean() < ALMOST.get(kind, 1e-9)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_unknown_orientation_is_none(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    page = only(encoded(Image.fromarray(four_colours()), "PNG", exif=exif))
    assert np.array_equal(page, four_colours())


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    image = Image.new("RGBA", (30, 10), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (10, 0, 20, 10))
    image.paste((0, 0, 0, 128), (20, 0, 30, 10))
    page = only(encoded(image, kind, **SHARP.get(kind, {})))
    assert page[5, 5].tolist() == [255, 255, 255]
    assert page[5, 15].tolist() == [255, 0, 0]
    assert np.abs(page[5, 25].astype(int) - 127).max() <= 1


def test_grey_with_alpha() -> None:
    image = Image.new("LA", (20, 10), (0, 0))
    image.paste((90, 255), (10, 0, 20, 10))
    page = only(encoded(image, "PNG"))
    assert page[5, 5].tolist() == [255, 255, 255]
    assert page[5, 15].tolist() == [90, 90, 90]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("ink", "colour"), [((0, 255, 255, 0), RED), ((0, 0, 0, 0), WHITE), ((0, 0, 0, 255), BLACK)]
)
def test_cmyk(kind: str, ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    page = only(encoded(Image.new("CMYK", (20, 10), ink), kind))
    assert np.abs(page.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_cut(kind: str) -> None:
    values = np.array([[0, 255, 32_768, 65_535]], np.uint16).repeat(4, axis=0)
    page = only(encoded(Image.fromarray(values), kind))
    assert page[0, :, 0].tolist() == [0, 0, 128, 255]
    assert np.array_equal(page[..., 0], page[..., 2])


def test_big_endian_sixteen_bit_grey() -> None:
    values = np.array([[0, 32_768, 65_535]], np.uint16)
    image = Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes())
    assert only(encoded(image, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_sixteen_bit_colour() -> None:
    values = np.zeros((4, 3, 3), np.uint16)
    values[..., 0] = (0, 32_768, 65_535)  # OpenCV's first plane is blue
    done, data = cv2.imencode(".png", values)
    assert done
    page = only(data.tobytes())
    assert page[0, :, 2].tolist() == [0, 128, 255]
    assert page[..., :2].max() == 0


def test_float_tiff_is_spread_over_the_range() -> None:
    values = np.linspace(-2.0, 6.0, 5, dtype=np.float32)[np.newaxis].repeat(3, axis=0)
    page = only(encoded(Image.fromarray(values), "TIFF"))
    assert page[0, :, 0].tolist() == [0, 63, 127, 191, 255]


def test_float_tiff_with_nothing_to_count_on() -> None:
    values = np.array([[0.0, np.nan, np.inf, 1.0]], np.float32)
    assert only(encoded(Image.fromarray(values), "TIFF")).shape == (1, 4, 3)


def palette_picture() -> Image.Image:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (10, 0, 20, 10))
    return image


@pytest.mark.parametrize("kind", LOSSLESS)
def test_palette(kind: str) -> None:
    page = only(encoded(palette_picture(), kind))
    assert page[5, 5].tolist() == [*RED]
    assert page[5, 15].tolist() == [*BLUE]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(kind: str) -> None:
    page = only(encoded(palette_picture(), kind, transparency=0))
    assert page[5, 5].tolist() == [*WHITE]
    assert page[5, 15].tolist() == [*BLUE]


def test_colour_with_a_transparent_colour() -> None:
    image = Image.fromarray(four_colours())
    page = only(encoded(image, "PNG", transparency=RED))
    assert page[5, 5].tolist() == [*WHITE]
    assert page[5, 45].tolist() == [*GREEN]


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_and_grey(kind: str, mode: str) -> None:
    image = Image.new(mode, (20, 10), 255)
    image.paste(0, (10, 0, 20, 10))
    page = only(encoded(image, kind))
    assert page[5, 5].tolist() == [*WHITE]
    assert page[5, 15].tolist() == [*BLACK]


def test_every_page_of_a_tiff() -> None:
    found = read(tiff_of(RED, GREEN, BLUE))
    assert [page[5, 5].tolist() for page in found] == [[*RED], [*GREEN], [*BLUE]]


def test_pages_of_different_size_and_mode() -> None:
    second = Image.new("L", (30, 8), 90)
    data = encoded(Image.new("RGB", (20, 10)), "TIFF", save_all=True, append_images=[second])
    assert [page.shape for page in read(data)] == [(10, 20, 3), (8, 30, 3)]


def test_pages_stay_as_they_are_when_the_next_one_is_read() -> None:
    found = decode.pages(tiff_of(RED, BLUE), LIMITS)
    first = next(found)
    next(found)
    assert first[5, 5].tolist() == [*RED]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(only(data)[5, 5].astype(int) - RED).max() <= 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"no picture at all",
        bytes(5000),
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises((NotAnImage, ImageDamaged)):
        read(data)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "PCX", "TGA"])
def test_formats_that_are_not_offered_are_refused(kind: str) -> None:
    with pytest.raises(NotAnImage):
        read(encoded(Image.new("RGB", (20, 20)), kind))


def noise_as(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    return encoded(Image.fromarray(pixels), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "HEIF", "AVIF"])
def test_a_file_cut_in_the_middle_is_damaged(kind: str) -> None:
    data = noise_as(kind)
    with pytest.raises(ImageDamaged):
        read(data[: len(data) // 2])


def broken() -> list[bytes]:
    """Files cut anywhere, and files with some bytes changed; most cannot be read."""
    random = np.random.default_rng(3)
    found = []
    for whole in [
        *(noise_as(kind) for kind in FORMATS),
        tiff_of(RED, BLUE, GREEN),
        noise_as("PNG"),
    ]:
        found += [whole[:end] for end in random.integers(0, len(whole), 25)]
        for _ in range(25):
            changed = bytearray(whole)
            for place in random.integers(0, min(len(whole), 600), 4):
                changed[place] = random.integers(0, 256)
            found.append(bytes(changed))
    return found


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of what it skips
def test_broken_files_give_pages_or_an_error_of_ours() -> None:
    limits = decode.DecodeLimits(pixels=1_000_000)
    refused = 0
    for data in broken():
        try:
            assert all(page.ndim == 3 for page in read(data, limits))
        except PictureError:
            refused += 1
    assert refused > 100


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of what it skips
def test_a_tiff_whose_second_page_is_broken() -> None:
    data = bytearray(tiff_of(RED, BLUE))
    (first,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[first : first + 2])
    link = first + 2 + 12 * entries
    data[link : link + 4] = struct.pack("<I", len(data) - 3)
    with pytest.raises(PictureError):
        read(bytes(data))


@pytest.mark.parametrize("data", [png_that_says(0, 5), png_that_says(5, 0), bmp_that_says(0, 0)])
def test_pictures_without_pixels_are_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        read(data)


def run_length_bmp(width: int, height: int, runs: bytes) -> bytes:
    """A BMP in black and white, of which Pillow reads run lengths and writes none."""
    palette = bytes(4) + b"\xff\xff\xff\0"
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 2, 0)
    return struct.pack("<2sIHHI", b"BM", start + len(runs), 0, 0, start) + header + palette + runs


def test_run_lengths() -> None:
    page = only(run_length_bmp(4, 2, bytes([4, 1, 0, 0, 1, 0, 3, 1, 0, 0, 0, 1])))
    assert page[..., 0].tolist() == [[0, 255, 255, 255], [255] * 4]
    white = only(run_length_bmp(255, 40, bytes([255, 1, 0, 0]) * 40))
    assert white.shape == (40, 255, 3)
    assert white.min() == 255


def test_run_lengths_that_cannot_be_all_are_not_filled_up() -> None:
    start = time.process_time()
    with pytest.raises(ImageDamaged, match="too few for 9000 x 9000 pixels"):
        read(run_length_bmp(9000, 9000, bytes([4, 1]) + bytes(18_000)))
    assert time.process_time() - start < 1


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    "data",
    [
        png_that_says(60_000, 60_000),
        bmp_that_says(60_000, 60_000),
        gif_that_says(65_000, 65_000),
        gif_that_says(65_000, 65_000, in_frame=True),
        webp_that_says(60_000, 60_000),
    ],
    ids=["png", "bmp", "gif screen", "gif frame", "webp"],
)
def test_a_bomb_is_refused_before_its_pixels_are_made(data: bytes) -> None:
    before = peak_memory()
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLarge, match="pixels"):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert peak_memory() - before < 20_000_000


def test_too_many_bytes() -> None:
    data = encoded(Image.fromarray(four_colours()), "PNG")
    assert read(data, decode.DecodeLimits(bytes=len(data)))
    with pytest.raises(ImageTooLarge, match="bytes"):
        read(data, decode.DecodeLimits(bytes=len(data) - 1))


def test_too_many_pixels() -> None:
    data = encoded(Image.fromarray(four_colours()), "PNG")
    assert read(data, decode.DecodeLimits(pixels=2400))
    with pytest.raises(ImageTooLarge, match="60 x 40 pixels"):
        read(data, decode.DecodeLimits(pixels=2399))


def test_too_many_pages() -> None:
    data = tiff_of(RED, GREEN, BLUE)
    assert len(read(data, decode.DecodeLimits(pages=3))) == 3
    with pytest.raises(ImageTooLarge, match="3 pages"):
        read(data, decode.DecodeLimits(pages=2))


def test_a_later_page_that_is_too_large() -> None:
    later = Image.new("RGB", (100, 100))
    data = encoded(Image.new("RGB", (20, 10)), "TIFF", save_all=True, append_images=[later])
    found = decode.pages(data, decode.DecodeLimits(pixels=1000))
    assert next(found).shape == (10, 20, 3)
    with pytest.raises(ImageTooLarge, match="100 x 100"):
        next(found)


def test_a_heic_and_an_avif_that_say_so_and_are_none() -> None:
    for brand in (b"heic", b"avif", b"mif1"):
        with pytest.raises(ImageDamaged):
            read(b"\0\0\0\x18ftyp" + brand + bytes(200))
    with pytest.raises(NotAnImage):
        read(b"\0\0\0\x18ftypisom" + bytes(200))


def test_every_page_of_a_pdf() -> None:
    found = read(pdfs.of("1 0 0 rg 0 0 300 200 re f", "0 0 1 rg 0 0 300 200 re f"))
    assert [page.shape for page in found] == [(556, 833, 3)] * 2
    assert [page[9, 9].tolist() for page in found] == [[*RED], [*BLUE]]


def test_a_pdf_may_have_something_before_it_but_no_picture() -> None:
    data = pdfs.of("1 0 0 rg 0 0 300 200 re f")
    assert only(b"\r\n junk" + data)[9, 9].tolist() == [*RED]
    picture = encoded(Image.fromarray(four_colours()), "JPEG", comment=b"%PDF-1.7")
    assert only(picture).shape == (40, 60, 3)


def test_too_many_pages_of_a_pdf_are_those_that_are_wanted() -> None:
    limits = decode.DecodeLimits(pages=2)
    data = pdfs.of("", "", "")
    with pytest.raises(ImageTooLarge, match="3 pages, the limit is 2"):
        read(data, limits)
    with closing(decode.opened(data, limits)) as file:
        assert decode.numbers(file, Wanted(pages="3,1"), limits) == [3, 1]


def test_a_pdf_page_with_too_many_pixels() -> None:
    with pytest.raises(ImageTooLarge, match="page 1: 40000 x 40000 pixels at 200 dpi"):
        read(pdfs.of("", MediaBox=[0, 0, 14400, 14400]))


def frame(data: bytes, number: int = 1) -> decode.Frame:
    with closing(decode.opened(data, LIMITS)) as file:
        return file.frame(number, Wanted())


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ((300, 300), 300),
        ((299.7, 301.2), 300),
        ((72, 72), 72),
        ((200, 100), None),
        ((29, 29), None),
        ((2401, 2401), None),
        (None, None),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_is_what_the_file_says(
    kind: str, said: tuple[float, float] | None, known: float | None
) -> None:
    options = {"dpi": said} if said else {}
    found = frame(encoded(Image.fromarray(four_colours()), kind, **options)).dpi
    assert found == (known if known is None else pytest.approx(known, abs=1))


def test_each_page_of_a_tiff_has_its_resolution_and_can_be_had_alone() -> None:
    pages = [Image.new("RGB", (20, 10), colour) for colour in (RED, BLUE)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], dpi=(150, 150))
    second = frame(data, 2)
    assert (second.number, second.dpi) == (2, 150)
    assert second.pixels()[5, 5].tolist() == [*BLUE]


def jpeg(orientation: int | None = None, mode: str = "RGB") -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    return encoded(Image.fromarray(four_colours()).convert(mode), "JPEG", exif=exif)


def test_a_jpeg_that_needs_no_turning_is_its_own_picture() -> None:
    for data in (jpeg(), jpeg(1), jpeg(9), jpeg(mode="L")):
        assert frame(data).original == data
    for data in (jpeg(6), jpeg(mode="CMYK"), encoded(Image.fromarray(four_colours()), "PNG")):
        assert frame(data).original is None
