"""The font that paints nothing, as others read it."""

import io
import struct

import pikepdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocr.formats import glyphless
from ocr.formats.glyphless import Glyphless, font_file


def test_the_file_s_sums_are_right() -> None:
    data = font_file([500, 1000])
    words = struct.unpack(f">{len(data) // 4}I", data)
    assert sum(words) & 0xFFFFFFFF == 0xB1B0AFBA


def test_freetype_reads_the_file_and_paints_nothing() -> None:
    layout = ImageFont.Layout.BASIC
    font = ImageFont.truetype(io.BytesIO(font_file([500, 1000])), 100, layout_engine=layout)
    assert font.getmetrics() == (80, 20)
    image = Image.new("L", (200, 200))
    ImageDraw.Draw(image).text((20, 20), "a", 255, font)
    assert image.getbbox() is None


def test_a_character_has_a_code_for_each_width() -> None:
    font = Glyphless(pikepdf.new())
    assert font.codes("abab", [8, 8, 8, 9]) == bytes([0, 1, 0, 2, 0, 1, 0, 3])
    assert font.codes("a", [0]) != font.codes("a", [8])
    assert font.codes("a", [10**6]) == font.codes("a", [glyphless.WIDEST])


def test_widths_and_characters_are_told() -> None:
    pdf = pikepdf.new()
    font = Glyphless(pdf)
    font.codes("a𠮷", [8, 16])
    font.finish()
    (descendant,) = list(font.font.DescendantFonts)
    assert list(descendant.W[1]) == [8 * glyphless.STEP, 16 * glyphless.STEP]
    assert descendant.CIDToGIDMap.read_bytes() == bytes([0, 0, 0, 1, 0, 2])
    told = font.font.ToUnicode.read_bytes()
    assert b"<0001> <0061>" in told
    assert b"<0002> <D842DFB7>" in told


def test_when_all_codes_are_given_away() -> None:
    font = Glyphless(pikepdf.new())
    many = "".join(map(chr, range(0x10000, 0x10000 + 0xFFFF)))
    font.codes(many, [10] * len(many))
    assert font.codes(many[0], [12]) == bytes([0, 1])  # as wide as before
    with pytest.raises(ValueError, match="65535 different characters"):
        font.codes("a", [8])
