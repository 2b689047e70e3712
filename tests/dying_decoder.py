"""ocr.decoder, but that some files do to it what it shall not survive, or make it lie."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from ocr import decode, decoder
from ocr.blocks import Block
from ocr.decode import DecodeLimits, PictureFile
from ocr.decoder_calls import Call, Drawn, Opened, Seen
from ocr.document import Document
from ocr.formats.catalogue import FORMATS
from ocr.pdf import PdfFile
from ocr.wanted import Wanted

MUCH = 100 << 30  # bytes
HUGE = b"\xff" * 16


def _hang() -> None:
    while True:
        time.sleep(1)


DEATHS: dict[bytes, Callable[[], Any]] = {
    b"abort": os.abort,
    b"exit": lambda: os._exit(3),
    b"hang": _hang,
    b"eat": lambda: bytearray(MUCH),
    b"long answer": lambda: os.write(decoder.STDIN, HUGE),
    b"no answer": lambda: os.write(decoder.STDIN, bytes(7) + b"\x09" + bytes(8) + b"{[nothing"),
    b"fault": lambda: 1 / 0,
}
SMALL: dict[str, Any] = {"width": 4, "height": 3, "dpi": None, "size": "4 x 3"}
SEEN = Seen(**SMALL, is_original=False, lines=None)
LIES: dict[bytes, dict[str, Any]] = {
    b"no pages": {"open": Opened.model_construct(count=0, is_pdf=False)},
    b"no width": {"frame": SEEN.model_copy(update={"width": 0})},
    b"lines without quads": {"frame": SEEN.model_copy(update={"lines": [("text", 1.0, 0, [])]})},
    b"other pixels": {"frame": SEEN, "pixels": Drawn(width=5, height=3)},
    b"huge": {"frame": SEEN.model_copy(update={"width": 100_000, "height": 100_000})},
}


class LyingDecoder(decoder.Decoder):
    def answer(self, call: Call, blocks: list[Block]) -> decoder.Answer:
        lies = LIES.get(blocks[0].content(), {})
        if call.kind in lies:
            return lies[call.kind], b""
        return (Opened(count=1, is_pdf=False), b"") if lies else super().answer(call, blocks)


def opened(data: bytes, limits: DecodeLimits) -> PdfFile | PictureFile:
    DEATHS.get(data, bool)()
    return _opened(data, limits)


def render(documents: Sequence[Document], wanted: Wanted) -> bytes:
    DEATHS.get(documents[0].source.encode(), bool)()
    return _render(documents, wanted)


_opened, decode.opened = decode.opened, opened
_render = FORMATS["pdf"].render
object.__setattr__(FORMATS["pdf"], "render", render)
decoder.Decoder = LyingDecoder  # type: ignore[misc]

if __name__ == "__main__":
    decoder.main()
