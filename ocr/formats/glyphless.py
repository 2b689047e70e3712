"""A font that paints nothing: what the text of a searchable PDF is written in.

It has no shapes, only widths, so a file of a few kilobytes serves every script. What a character
is, a reader of the PDF learns from the font's ToUnicode table. A character can be of any width: a
line then is as long as it is seen, without a gap in it.
"""

import struct
from collections.abc import Sequence
from unicodedata import east_asian_width

from pikepdf import Array, Dictionary, Name, Object, Pdf, String

EM = 1000  # units
ASCENT, DESCENT = 800, -200  # units: of a character's box above and below the baseline
NARROW, WIDE = 500, 1000  # units
STEP = 60  # units: widths are multiples of it
WIDEST = 0x7FFF // STEP  # steps

_NAME = Name.Glyphless
_LAST_CODE = 0xFFFF
_AT_ONCE = 100  # entries of a CMap's section, at most


class Glyphless:
    """The font in one PDF; each character gets a code for each width in which it is written."""

    def __init__(self, pdf: Pdf) -> None:
        self._pdf = pdf
        self._written: list[tuple[str, int]] = []  # by code, from 1
        self._codes: dict[str, dict[int, int]] = {}
        self.font = pdf.make_indirect(Dictionary())

    def codes(self, text: str, widths: Sequence[int]) -> bytes:
        """The text as the font's two-byte codes, its characters as wide as that, in steps.

        When 65,535 codes are given away, a character is as wide as it was before; ValueError is
        raised if it was not there before.
        """
        codes = (self._code(*each) for each in zip(text, widths, strict=True))
        return b"".join(struct.pack(">H", code) for code in codes)

    def finish(self) -> None:
        """Write the font into its PDF, when all of the text is known."""
        self.font.update(
            Dictionary(
                Type=Name.Font,
                Subtype=Name.Type0,
                BaseFont=_NAME,
                Encoding=Name("/Identity-H"),
                DescendantFonts=Array([self._pdf.make_indirect(self._descendant())]),
                ToUnicode=self._pdf.make_stream(_to_unicode(self._written)),
            )
        )

    def _code(self, character: str, width: int) -> int:
        codes = self._codes.setdefault(character, {})
        width = min(max(width, 1), WIDEST)
        if width not in codes and len(self._written) < _LAST_CODE:
            self._written.append((character, width))
            codes[width] = len(self._written)
        if not codes:
            raise ValueError(f"more than {_LAST_CODE} different characters")
        return codes[min(codes, key=lambda known: abs(known - width))]

    def _descendant(self) -> Dictionary:
        widths = [width for _, width in self._written]
        used = sorted(set(widths))
        glyphs = {width: glyph for glyph, width in enumerate(used, 1)}
        return Dictionary(
            Type=Name.Font,
            Subtype=Name.CIDFontType2,
            BaseFont=_NAME,
            CIDSystemInfo=Dictionary(
                Registry=String("Adobe"), Ordering=String("Identity"), Supplement=0
            ),
            FontDescriptor=self._pdf.make_indirect(self._descriptor(used)),
            DW=WIDE,
            W=Array([1, Array([width * STEP for width in widths])]),
            CIDToGIDMap=self._pdf.make_stream(
                struct.pack(f">{len(widths) + 1}H", 0, *(glyphs[width] for width in widths))
            ),
        )

    def _descriptor(self, widths: Sequence[int]) -> Dictionary:
        return Dictionary(
            Type=Name.FontDescriptor,
            FontName=_NAME,
            Flags=4,  # symbolic: its characters are not of the standard Latin set
            FontBBox=Array([0, DESCENT, STEP * max(widths, default=0), ASCENT]),
            ItalicAngle=0,
            Ascent=ASCENT,
            Descent=DESCENT,
            CapHeight=ASCENT,
            StemV=80,
            FontFile2=self._font_file([width * STEP for width in widths]),
        )

    def _font_file(self, widths: Sequence[int]) -> Object:
        data = font_file(widths)
        return self._pdf.make_stream(data, Length1=len(data))


def natural_width(character: str) -> float:
    """In em."""
    return (WIDE if east_asian_width(character) in "WF" else NARROW) / EM


def _to_unicode(written: Sequence[tuple[str, int]]) -> bytes:
    entries = [
        f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>"
        for code, (character, _) in enumerate(written, 1)
    ]
    sections = [entries[i : i + _AT_ONCE] for i in range(0, len(entries), _AT_ONCE)]
    body = [line for part in sections for line in (f"{len(part)} beginbfchar", *part, "endbfchar")]
    return "\n".join([_CMAP_START, *body, _CMAP_END]).encode("ascii")


_CMAP_START = """\
/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange"""
_CMAP_END = """\
endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""


# The font file


def font_file(widths: Sequence[int]) -> bytes:
    """A TrueType font of glyphs of these widths, in units, behind one that stands for none.

    Each glyph is two lone points, the corners of its box. There is nothing between them to paint,
    but readers that measure a glyph's outline find the box that the widths speak of.
    """
    widths = [WIDE, *widths]
    glyphs = [_glyph(width) for width in widths]
    offsets = [sum(map(len, glyphs[:count])) // 2 for count in range(len(glyphs) + 1)]
    tables = {
        b"glyf": b"".join(glyphs),
        b"head": _head(max(widths)),
        b"hhea": _hhea(len(widths), max(widths)),
        b"hmtx": b"".join(struct.pack(">Hh", width, 0) for width in widths),
        b"loca": struct.pack(f">{len(offsets)}H", *offsets),
        b"maxp": _maxp(len(glyphs)),
    }
    file = _file(tables)
    # What all words of the file have to add up to, with the sum that stands in `head` itself.
    adjustment = struct.pack(">I", (0xB1B0AFBA - _checksum(file)) & 0xFFFFFFFF)
    place = file.index(tables[b"head"]) + _ADJUSTMENT
    return file[:place] + adjustment + file[place + len(adjustment) :]


def _glyph(width: int) -> bytes:
    header = struct.pack(">hhhhh", 2, 0, DESCENT, width, ASCENT)
    contours = struct.pack(">HHH", 0, 1, 0)  # the last point of each; no instructions
    flags = bytes([1, 1])  # both on the curve, coordinates as 16-bit steps
    steps = struct.pack(">hhhh", 0, width, DESCENT, ASCENT - DESCENT)
    return _padded(header + contours + flags + steps)


_ADJUSTMENT = 8  # bytes of `head` before it


def _head(widest: int) -> bytes:
    return struct.pack(
        ">IIIIHHqqhhhhHHhhh",
        0x00010000, 0x00010000, 0, 0x5F0F3CF5,  # versions, sum, magic number
        0, EM, 0, 0,  # flags, units, made, changed
        0, DESCENT, widest, ASCENT,
        0, 8, 2, 0, 0,  # style, least size, direction, short offsets, format
    )  # fmt: skip


def _hhea(glyphs: int, widest: int) -> bytes:
    extremes = (widest, 0, 0, widest)  # of advance, of the bearings, of the extent
    caret = (1, 0, 0)
    return struct.pack(
        ">IhhhHhhhhhh8xhH", 0x00010000, ASCENT, DESCENT, 0, *extremes, *caret, 0, glyphs
    )


def _maxp(glyphs: int) -> bytes:
    points, contours = 2, 2
    return struct.pack(">IHHH4xH16x", 0x00010000, glyphs, points, contours, 2)


def _file(tables: dict[bytes, bytes]) -> bytes:
    """Tables, by name in the order of the alphabet, behind the directory that names them."""
    count = len(tables)
    power = count.bit_length() - 1
    search = 16 << power
    head = struct.pack(">IHHHH", 0x00010000, count, search, power, 16 * count - search)
    directory, body, start = b"", b"", len(head) + 16 * count
    for name, table in tables.items():
        place = start + len(body)
        directory += struct.pack(">4sIII", name, _checksum(_padded(table)), place, len(table))
        body += _padded(table)
    return head + directory + body


def _padded(table: bytes) -> bytes:
    return table + bytes(-len(table) % 4)


def _checksum(data: bytes) -> int:
    words: tuple[int, ...] = struct.unpack(f">{len(data) // 4}I", data)
    return sum(words) & 0xFFFFFFFF
