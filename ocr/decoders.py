"""Files opened in processes of their own: what kills one of them, or hangs it, is only that file.

It does what ocr/decode.py does, in the same words.
"""

import itertools
import pickle
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from ocr import decode
from ocr.blocks import Block
from ocr.decode import DecodeLimits
from ocr.decoder_calls import Call, Drawn, Opened, Rendered, Seen, lines_seen
from ocr.decoder_pool import Pool
from ocr.document import Document, Line, Pixels
from ocr.formats import catalogue
from ocr.wanted import Wanted

PROGRAM = ("-m", "ocr.decoder")
HOSTILE = ("pdf", "png")  # formats that are made of files as they came
COPIES = 3  # of documents that become a file: as sent, as read, and within that file


class Decoders:
    """Opens files, and makes documents into files, in up to `count` processes for each of both.

    A call may take `timeout_s` seconds, and `memory_bytes` more memory than a process has at its
    start. Processes are started when they are needed. To be closed. Any thread may call; those
    that wait for files to be opened do so best in `executor`.
    """

    def __init__(
        self,
        count: int,
        timeout_s: float,
        memory_bytes: int,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.executor: Executor = ThreadPoolExecutor(count, "decoder")
        self._numbers = itertools.count(1)
        self._call = Call("open", timeout_s, memory_bytes)
        self._opening = Pool(count, program)
        self._rendering = Pool(count, program)  # which takes long, and no page waits for it

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes. Calls that are being made fail."""
        self._opening.close()
        self._rendering.close()
        self.executor.shutdown(cancel_futures=True)

    @property
    def deaths(self) -> int:
        """Processes that crashed, took too long or too much memory, or made no sense."""
        return self._opening.deaths + self._rendering.deaths

    def opened(self, data: bytes, limits: DecodeLimits) -> "DecodedFile":
        """Open a file as decode.opened does.

        This, and what the file is asked later, also raises ImageDamaged where a process dies of it
        or takes too long, and ImageTooLarge where it takes too much memory.
        """
        decode.check_bytes(data, limits)
        call = replace(self._call, file=next(self._numbers), limits=limits)
        return DecodedFile(data, self._opening, call, self.executor)

    def render(self, documents: Sequence[Document], wanted: Wanted) -> bytes:
        """Make documents into a file of a format. Raises what its `render` does, and as `opened`.

        It may take the time of a page for each of them.
        """
        if wanted.format not in HOSTILE:
            return catalogue.render(documents, wanted)
        given, result = Block.growing(), Block.growing()
        with given.file("wb") as file:
            pickle.dump(documents, file)
        pages = sum(len(document.pages) for document in documents)
        call = replace(
            self._call,
            kind="render",
            timeout_s=self._call.timeout_s * max(1, pages),
            memory_bytes=self._call.memory_bytes + COPIES * given.size,
            wanted=wanted,
        )
        self._rendering.call(call, [given, result], lambda told, _: Rendered.model_validate(told))
        return result.content()


@dataclass(frozen=True)
class DecodedFrame:
    """A decode.Frame whose pixels another process makes."""

    number: int
    width: int
    height: int
    dpi: float | None
    lines: list[Line] | None
    original: bytes | None
    size: str
    file: "DecodedFile"
    wanted: Wanted

    def pixels(self) -> Pixels:
        return self.file.pixels(self)


class DecodedFile:
    """A decode.File that other processes have open; whichever is free is asked."""

    def __init__(self, data: bytes, pool: Pool, call: Call, executor: Executor) -> None:
        self.executor: Executor | None = executor
        self._data = data
        self._pool = pool
        self._call = call
        self._block: Block | None = Block.of(data)
        opened = pool.call(call, [self._opened()], lambda told, _: Opened.model_validate(told))
        self.count, self.is_pdf = opened.count, opened.is_pdf

    def frame(self, number: int, wanted: Wanted) -> DecodedFrame:
        def made(told: Any, corners: bytearray) -> DecodedFrame:
            seen = Seen.model_validate(told)
            return DecodedFrame(
                number=number,
                width=seen.width,
                height=seen.height,
                dpi=seen.dpi,
                lines=None if seen.lines is None else lines_seen(seen.lines, corners),
                original=self._data if seen.is_original else None,
                size=seen.size,
                file=self,
                wanted=wanted,
            )

        call = replace(self._call, kind="frame", number=number, wanted=wanted)
        return self._pool.call(call, [self._opened()], made)

    def pixels(self, frame: DecodedFrame) -> Pixels:
        """Make a frame's pixels. Raises ImageTooLarge, too, if it has more than the limit."""
        decode.check_size(frame, self._call.limits)
        block = Block.sized(frame.width * frame.height * 3)

        def made(told: Any, _: bytearray) -> Pixels:
            drawn = Drawn.model_validate(told)
            if drawn.height * drawn.width * 3 != block.size:
                raise ValueError(f"{drawn.width} x {drawn.height} pixels, and not {frame.size}")
            return block.array(drawn.height, drawn.width)

        call = replace(self._call, kind="pixels", number=frame.number, wanted=frame.wanted)
        return self._pool.call(call, [self._opened(), block], made)

    def close(self) -> None:
        self._block = None  # a call that is being made holds it as well
        self._pool.forget(self._call.file)

    def _opened(self) -> Block:
        if self._block is None:  # a page that was given up may still wait for its turn
            raise ValueError("the file is closed")
        return self._block
