"""A page's picture as a picture within a PDF: not a pixel of it changes."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String
from PIL import Image

from ocr.document import Picture

SPACES = {
    "1": Name.DeviceGray,
    "L": Name.DeviceGray,
    "RGB": Name.DeviceRGB,
    "CMYK": Name.DeviceCMYK,
}
INVERTED = (1, 0) * 4  # how Adobe's programs, and nearly all others, write CMYK into a JPEG
UP_TO_EACH_ROW = 15  # predictor: as PNG has it, chosen anew for each row
SIGNATURE = 8  # bytes before a PNG's first chunk
BIT_DEPTH = 24  # its place in a PNG


def embed(pdf: Pdf, picture: Picture) -> Stream:
    """The picture as an image XObject of a PDF.

    A JPEG's bytes stay as they are. So do a PNG's, unless its colours are but black, white and
    grey, which take less. Raises ValueError if it is neither.
    """
    with Image.open(io.BytesIO(picture.data), formats=("JPEG", "PNG")) as image:
        if image.format == "JPEG":
            return _jpeg(pdf, picture.data, image)
        return _png(pdf, picture.data, image)


def _jpeg(pdf: Pdf, data: bytes, image: Image.Image) -> Stream:
    header = _header(image, 8)
    header.Filter = Name.DCTDecode
    if image.mode == "CMYK" and "adobe" in image.info:
        header.Decode = Array(INVERTED)
    return pdf.make_stream(data, header)


def _png(pdf: Pdf, data: bytes, image: Image.Image) -> Stream:
    """PDF takes the pixels as PNG packs them, filtered by rows: they need not be packed anew."""
    plain = _plain(image)
    if plain is not image or image.info.get("interlace"):
        packed = io.BytesIO()
        plain.save(packed, "PNG")
        data = packed.getvalue()
    bits = data[BIT_DEPTH]
    header = _header(plain, bits)
    header.Filter = Name.FlateDecode
    header.DecodeParms = Dictionary(
        Predictor=UP_TO_EACH_ROW,
        Colors=len(plain.getbands()),
        BitsPerComponent=bits,
        Columns=plain.width,
    )
    return pdf.make_stream(b"".join(_pixel_chunks(data)), header)


def _header(image: Image.Image, bits: int) -> Dictionary:
    return Dictionary(
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=image.width,
        Height=image.height,
        ColorSpace=_palette(image) if image.mode == "P" else SPACES[image.mode],
        BitsPerComponent=bits,
    )


def _palette(image: Image.Image) -> Array:
    colours = bytes(image.getpalette("RGB") or ())
    return Array([Name.Indexed, Name.DeviceRGB, len(colours) // 3 - 1, String(colours)])


def _plain(image: Image.Image) -> Image.Image:
    """The same pixels with as few bits each as show them; the image itself if it does already."""
    if image.mode == "1" or (image.mode == "P" and "transparency" not in image.info):
        return image
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    if pixels.ndim == 3 and any((pixels[..., band] != grey).any() for band in (1, 2)):
        return image
    if np.isin(grey, (0, 255)).all():
        return Image.fromarray(grey).convert("1", dither=Image.Dither.NONE)
    return image if image.mode == "L" else Image.fromarray(grey)


def _pixel_chunks(png: bytes) -> Iterator[bytes]:
    place = SIGNATURE
    while place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        if name == b"IDAT":
            yield png[place + 8 : place + 8 + length]
        place += length + 12  # with its length, name and sum
