"""What a process that decodes is asked and what it answers, and the channel between.

Calls are pickled, answers are not: whoever took over the process that answers must not get into
the one that asks. An answer is JSON and the corners of quads as float32; what it says is checked.
"""

import json
import pickle
import signal
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, PositiveInt

from ocr.blocks import Block
from ocr.decode import DecodeLimits
from ocr.document import Line, Word
from ocr.errors import OcrError
from ocr.wanted import Wanted

LENGTHS = struct.Struct(">QQ")  # of a message's two parts
MESSAGE, TRACE = 1000, 8000  # characters of an error
LONGEST = 64_000_000  # bytes of an answer: one page's text
BLOCKS = 2  # that go along with a call
QUAD = (4, 2)
ENDING = (signal.SIGINT, signal.SIGTERM)  # which end the server, and not at once


@dataclass(frozen=True)
class Call:
    """One thing to do, within `timeout_s` seconds and `memory_bytes` more than at the start.

    open, frame and pixels are about a file, whose block goes along: `file` is its number, by which
    it is known again. The pixels go into a second block. render is given documents, pickled, in a
    block, and one for the bytes it makes. forget closes the file and has no answer.
    """

    kind: Literal["open", "frame", "pixels", "render", "forget"]
    timeout_s: float
    memory_bytes: int
    file: int = 0
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    number: int = 0
    wanted: Wanted = field(default_factory=Wanted)


class Ready(BaseModel):
    """A process has started, and waits for calls."""


class Opened(BaseModel):
    """The answer to open."""

    count: PositiveInt
    is_pdf: bool


Share = Annotated[float, Field(ge=0, le=1)]
SeenWord = tuple[str, Share]  # text, confidence
SeenLine = tuple[str, Share, Literal[0, 1, 2, 3], list[SeenWord]]  # text, confidence, turns, words


class Seen(BaseModel):
    """The answer to frame: a decode.Frame, of its lines all but the quads."""

    width: PositiveInt
    height: PositiveInt
    dpi: Annotated[FiniteFloat, Field(gt=0)] | None
    size: Annotated[str, Field(max_length=200)]
    is_original: bool
    lines: list[SeenLine] | None


class Drawn(BaseModel):
    """The answer to pixels: how those in the block lie."""

    width: PositiveInt
    height: PositiveInt


class Rendered(BaseModel):
    """The answer to render: it is in the block."""


class Failed(BaseModel):
    """An OcrError. `trace` where it was not foreseen; `is_last` if the process ends with it."""

    code: Annotated[str, Field(max_length=100)]
    message: Annotated[str, Field(max_length=MESSAGE)]
    trace: Annotated[str, Field(max_length=TRACE)]
    is_last: bool

    @classmethod
    def of(cls, error: OcrError, *, trace: str = "", is_last: bool = False) -> "Failed":
        message = error.message[:MESSAGE]
        return cls(code=error.code, message=message, trace=trace[-TRACE:], is_last=is_last)


class Answer(BaseModel):
    """One of the above, still to be checked, or a failure."""

    made: Any = None
    failed: Failed | None = None


def seen_lines(lines: Sequence[Line]) -> tuple[list[SeenLine], bytes]:
    """Lines as they travel: what they say, and the quads of each line and its words."""
    quads = [quad for line in lines for quad in (line.quad, *(word.quad for word in line.words))]
    told: list[Any] = [
        (
            line.text,
            line.confidence,
            line.turns,
            [(each.text, each.confidence) for each in line.words],
        )
        for line in lines
    ]
    return told, np.array(quads, np.float32).tobytes()


def lines_seen(told: Sequence[SeenLine], corners: bytearray) -> list[Line]:
    """The lines that `seen_lines` was given. Raises ValueError where its parts do not fit."""
    quads = np.frombuffer(corners, np.float32).reshape(-1, *QUAD)
    if len(quads) != sum(1 + len(words) for *_, words in told) or not np.isfinite(quads).all():
        raise ValueError(f"{len(quads)} quads for {len(told)} lines")
    each = iter(quads)
    return [
        Line(
            next(each),
            text,
            confidence,
            turns,
            tuple(Word(next(each), word, sure) for word, sure in words),
        )
        for text, confidence, turns, words in told
    ]


class Channel:
    """One end of the connection of two processes. It raises EOFError where the other has ended."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._deadline: float | None = None

    def close(self) -> None:
        self._end.close()

    def within(self, seconds: float) -> None:
        """From now on wait so long in all; then TimeoutError is raised."""
        self._deadline = time.monotonic() + seconds

    def ask(self, call: Call, blocks: Sequence[Block] = ()) -> None:
        self._send(pickle.dumps(call), b"", blocks)

    def asked(self) -> tuple[Call, list[Block]]:
        """Wait for a call, with its blocks."""
        start, fds, _, _ = socket.recv_fds(self._end, LENGTHS.size, BLOCKS)
        blocks = [Block(fd) for fd in fds]
        if not start:
            raise EOFError
        length, _ = LENGTHS.unpack(start + self._receive(LENGTHS.size - len(start)))
        return pickle.loads(self._receive(length)), blocks  # noqa: S301 - of who started this

    def answer(self, answer: BaseModel, corners: bytes = b"") -> None:
        """Send an answer. Raises ValueError if it is too long."""
        told = {"failed" if isinstance(answer, Failed) else "made": answer.model_dump()}
        # Half a surrogate pair is a character of Python's, and stays one.
        text = json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(text) + len(corners) > LONGEST:
            raise ValueError(f"an answer of {len(text) + len(corners)} bytes")
        self._send(text, corners, ())

    def answered(self) -> tuple[Answer, bytearray]:
        """Wait for an answer, with its quads.

        Raises ValueError if it makes no sense.
        """
        lengths = LENGTHS.unpack(self._receive(LENGTHS.size))
        if sum(lengths) > LONGEST:
            raise ValueError(f"an answer of {sum(lengths)} bytes")
        text, corners = (self._receive(length) for length in lengths)
        try:
            told = json.loads(text.decode("utf-8", "surrogatepass"))
        except RecursionError as error:
            raise ValueError("an answer of another form") from error
        return Answer.model_validate(told), corners

    def _send(self, first: bytes, second: bytes, blocks: Sequence[Block]) -> None:
        self._wait()
        start = LENGTHS.pack(len(first), len(second))
        if blocks:
            sent = socket.send_fds(self._end, [start], [block.fd for block in blocks])
            start = start[sent:]
        self._end.sendall(start + first + second)

    def _receive(self, length: int) -> bytearray:
        found = bytearray(length)
        rest = memoryview(found)
        while rest:
            self._wait()
            size = self._end.recv_into(rest)
            if not size:
                raise EOFError
            rest = rest[size:]
        return found

    def _wait(self) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._end.settimeout(left)
