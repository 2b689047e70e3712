"""A process that opens files of strangers, and may die of them; ocr/decoders.py starts it.

It is asked through its standard input, a socket, and ends when that is closed. What it does within
a call is limited by the kernel: time by an alarm that nothing catches, memory on Linux only.
"""

import os
import pickle
import resource
import signal
import socket
import traceback
from pathlib import Path

from pydantic import BaseModel

from ocr import decode
from ocr.blocks import Block
from ocr.decode import PictureFile, PictureFrame
from ocr.decoder_calls import (
    ENDING,
    Call,
    Channel,
    Drawn,
    Failed,
    Opened,
    Ready,
    Rendered,
    Seen,
    seen_lines,
)
from ocr.errors import ImageDamaged, ImageTooLarge, OcrError
from ocr.pdf import PdfFile, PdfFrame
from ocr.wanted import Wanted

STDIN, STDERR = 0, 2
TOO_MUCH = "takes more memory than OCR_DECODE_BYTES, which is {}"

Answer = tuple[BaseModel, bytes]


class Decoder:
    """Answers calls. It keeps the file and the page that it saw last: most calls are about them."""

    def __init__(self) -> None:
        self._number = 0
        self._file: PdfFile | PictureFile | None = None
        self._frame: tuple[int, Wanted, PdfFrame | PictureFrame] | None = None

    def answer(self, call: Call, blocks: list[Block]) -> Answer:
        """Do what is asked. Raises what decode.opened, its File and render do."""
        if call.kind == "render":
            return self._render(call, *blocks)
        file = self._opened(call, blocks[0])
        if call.kind == "open":
            return Opened(count=file.count, is_pdf=file.is_pdf), b""
        frame = self._seen(file, call)
        if call.kind == "frame":
            return _told(frame)
        self._frame = None
        return self._draw(frame, blocks[1])

    def forget(self) -> None:
        """Close the file that is open."""
        file, self._file, self._frame = self._file, None, None
        if file is not None:
            file.close()

    def _opened(self, call: Call, block: Block) -> PdfFile | PictureFile:
        if self._file is None or self._number != call.file:
            self.forget()
            self._file, self._number = decode.opened(block.content(), call.limits), call.file
        return self._file

    def _seen(self, file: PdfFile | PictureFile, call: Call) -> PdfFrame | PictureFrame:
        if self._frame is None or self._frame[:2] != (call.number, call.wanted):
            self._frame = (call.number, call.wanted, file.frame(call.number, call.wanted))
        return self._frame[2]

    def _draw(self, frame: PdfFrame | PictureFrame, block: Block) -> Answer:
        height, width, _ = frame.pixels(block.array).shape
        if (width, height) not in ((frame.width, frame.height), (frame.height, frame.width)):
            raise ImageDamaged(f"the picture has {width} x {height} pixels and says {frame.size}")
        return Drawn(width=width, height=height), b""

    def _render(self, call: Call, documents: Block, result: Block) -> Answer:
        from ocr.formats import catalogue  # heavy, and for few calls

        made = catalogue.render(
            pickle.loads(documents.content()),  # noqa: S301 - of who started this
            call.wanted,
        )
        with result.file("wb") as file:
            file.write(made)
        return Rendered(), b""


def _told(frame: PdfFrame | PictureFrame) -> Answer:
    lines, corners = (None, b"") if frame.lines is None else seen_lines(frame.lines)
    seen = Seen(
        width=frame.width,
        height=frame.height,
        dpi=frame.dpi,
        size=frame.size,
        is_original=frame.original is not None,
        lines=lines,
    )
    return seen, corners


class _Limits:
    """What the kernel allows this process, over what it has at its start."""

    def __init__(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # The server is told to end, by a key or a signal for all of its processes, and does so
        # when its work is done.
        for ending in ENDING:
            signal.signal(ending, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM, *ENDING])
        self._memory = _addresses()

    def set(self, call: Call) -> None:
        signal.setitimer(signal.ITIMER_REAL, call.timeout_s)
        if self._memory is not None:
            _limit(resource.RLIMIT_AS, self._memory + call.memory_bytes)
        _limit(resource.RLIMIT_FSIZE, call.memory_bytes)  # of blocks that are not mapped

    def lift_memory(self) -> None:
        _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)

    def lift_time(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit(kind: int, value: int) -> None:
    _, most = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def _addresses() -> int | None:
    """Bytes of addresses that this process has taken; None where the system does not tell."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return None
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _outcome(decoder: Decoder, call: Call, blocks: list[Block]) -> Answer:
    try:
        return decoder.answer(call, blocks)
    except OcrError as error:
        return Failed.of(error), b""
    except MemoryError:
        # What a library leaves behind when there is no memory is not to be counted on.
        return Failed.of(ImageTooLarge(TOO_MUCH.format(call.memory_bytes)), is_last=True), b""
    except Exception as error:
        told = OcrError(f"{type(error).__name__}: {error}")
        return Failed.of(told, trace=traceback.format_exc()), b""


def main() -> None:
    """Answer until the other end is closed."""
    channel = Channel(socket.socket(fileno=STDIN))
    limits, decoder = _Limits(), Decoder()
    channel.answer(Ready())
    # Libraries complain there of every row of a broken file, into the server's log. A fault in
    # Python is told as an answer.
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - it is no path
        os.dup2(nowhere.fileno(), STDERR)
    while True:
        try:
            call, blocks = channel.asked()
        except EOFError:
            return
        limits.set(call)
        if call.kind == "forget":
            decoder.forget()
        else:
            answer, corners = _outcome(decoder, call, blocks)
            limits.lift_memory()
            channel.answer(answer, corners)
            if isinstance(answer, Failed) and answer.is_last:
                return
        limits.lift_time()
        del blocks, call


if __name__ == "__main__":
    main()
