"""Pictures within a PDF: the pixels are the same, and no larger than need be."""

import io
from dataclasses import dataclass

import numpy as np
import pikepdf
import pytest
from PIL import Image, UnidentifiedImageError

from ocr.document import Picture, Pixels
from ocr.formats.embedded_picture import embed
from tests import pictures

COLOURED = pictures.noisy(pictures.page(["合计128.50元"]))
GREY = pictures.blurred(pictures.page(["合计128.50元"]))
BLACK = np.where(GREY.image < 128, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Embedded:
    """A picture within a PDF: its bytes, and what pikepdf makes of them."""

    data: bytes
    space: str
    bits: int
    pixels: Pixels


def embedded(data: bytes, kind: str = "image/png") -> Embedded:
    with pikepdf.new() as pdf:
        stream = embed(pdf, Picture(data, kind))
        image = pikepdf.PdfImage(stream)
        pixels = np.asarray(image.as_pil_image().convert("RGB"), np.uint8)
        return Embedded(
            stream.read_raw_bytes(), image.colorspace or "", image.bits_per_component, pixels
        )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_stays_what_it_is(mode: str) -> None:
    data = pictures.encoded(Image.fromarray(COLOURED.image).convert(mode), "JPEG")
    found = embedded(data, "image/jpeg")
    assert found.data == data
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(found.pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("image", "space", "bits"),
    [
        (COLOURED.image, "/DeviceRGB", 8),
        (GREY.image, "/DeviceGray", 8),
        (GREY.image[..., 0], "/DeviceGray", 8),
        (BLACK, "/DeviceGray", 1),
        (BLACK[..., 0], "/DeviceGray", 1),
        (BLACK[..., 0] > 0, "/DeviceGray", 1),
    ],
    ids=["colours", "grey in colours", "grey", "black in colours", "black in grey", "black"],
)
def test_a_png_s_pixels(image: Pixels, space: str, bits: int) -> None:
    data = pictures.encoded(Image.fromarray(image), "PNG")
    found = embedded(data)
    assert (found.space, found.bits) == (space, bits)
    assert (found.pixels == np.asarray(Image.fromarray(image).convert("RGB"))).all()
    assert len(found.data) <= len(data)


@pytest.mark.parametrize("colours", [2, 3, 16, 200])
def test_a_png_with_a_palette(colours: int) -> None:
    image = Image.fromarray(COLOURED.image).quantize(colours)
    data = pictures.encoded(image, "PNG")
    found = embedded(data)
    assert (found.pixels == np.asarray(image.convert("RGB"))).all()
    assert len(found.data) < len(data)


def test_other_pictures_are_refused() -> None:
    data = pictures.encoded(Image.fromarray(GREY.image), "TIFF")
    with pytest.raises(UnidentifiedImageError):
        embed(pikepdf.new(), Picture(data, "image/tiff"))
