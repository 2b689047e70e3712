"""Bytes at random become pages, and pages a PDF, or errors of ours, soon; what they kill is one
process.

It goes on for OCR_FUZZ_S seconds, from the seed OCR_FUZZ_SEED on, and tells what it saw.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
import psutil
import pytest

from ocr.decode import DecodeLimits, Frame, check_size, numbers
from ocr.decoders import Decoders
from ocr.document import Document, Page, Picture
from ocr.errors import PictureError
from ocr.settings import Settings
from ocr.wanted import Wanted
from tests.formats.documents import line
from tests.fuzz.mutations import mutated, seeds
from tests.pictures import to_png

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("OCR_FUZZ_S", "20"))
SEED = int(os.environ.get("OCR_FUZZ_SEED", "0"))
WORKERS = 2
LIMITS = DecodeLimits(bytes=1_000_000, pixels=20_000_000, pages=20)
TIMEOUT_S = 10.0
START_S = 5.0  # which a process takes to start on a busy machine, at most
GROWTH = 40_000_000  # bytes of this process
WARM = 200  # files after which it should not grow
WANTED = (Wanted(), Wanted(pdf_text="ignore", dpi=100), Wanted(pdf_text="keep", dpi=72))
SMALL = Picture(to_png(np.zeros((4, 4, 3), np.uint8)), "image/png")
NOTABLE = {
    "made its decoder crash": "crash",
    "within": "hang",
    "OCR_DECODE_BYTES": "memory",
}

T = TypeVar("T")


class Trial:
    """Reads files in `decoders`, keeps those in `folder` that are worth a look, and counts."""

    def __init__(self, decoders: Decoders, folder: Path) -> None:
        self.outcomes: Counter[str] = Counter()
        self.kept: list[str] = []
        self.faults: list[str] = []
        self.slowest = (0.0, "")
        self._decoders = decoders
        self._folder = folder

    def read(self, number: int, name: str, data: bytes) -> None:
        """Read all pages of a file, which was made from one of this name, and make a PDF of it."""
        try:
            self._read(name, data, WANTED[number % len(WANTED)])
            outcome = "read"
        except PictureError as error:
            found = [told for part, told in NOTABLE.items() if part in error.message]
            outcome = (found or [error.code])[0]
            if found:
                self.kept.append(self._keep(number, name, data, outcome))
        except Exception as error:
            outcome = "fault"
            self.faults.append(self._keep(number, name, data, repr(error)))
        self.outcomes[outcome] += 1

    def _read(self, name: str, data: bytes, wanted: Wanted) -> None:
        pages = []
        with closing(self._timed(name, partial(self._decoders.opened, data, LIMITS))) as file:
            for number in numbers(file, wanted, LIMITS):
                frame = self._timed(name, partial(file.frame, number, wanted))
                check_size(frame, LIMITS)
                _check_lines(frame)
                pixels = self._timed(name, frame.pixels)
                assert pixels.dtype == np.uint8
                assert sorted(pixels.shape) == sorted((frame.height, frame.width, 3))
                assert int(pixels.sum()) >= 0  # all of it can be read
                pages.append(_page(frame))
            own = data if file.is_pdf else None
        if pages and (own or pages[0].picture != SMALL):
            document = Document(pages, "file", own)
            made = wanted.model_copy(update={"format": "pdf"})
            assert self._decoders.render([document], made).startswith(b"%PDF")

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        start = time.monotonic()
        try:
            return work()
        finally:
            self.slowest = max(self.slowest, (time.monotonic() - start, name))

    def _keep(self, number: int, name: str, data: bytes, why: str) -> str:
        path = self._folder / f"{number} {name}"
        path.write_bytes(data)
        return f"{path}: {why}"


def _page(frame: Frame) -> Page:
    picture = Picture(frame.original, "image/jpeg") if frame.original else SMALL
    taken = frame.lines is not None
    lines = frame.lines or [line("read")]
    return Page(
        frame.width, frame.height, lines, frame.number, frame.dpi, text_layer=taken, picture=picture
    )


def _check_lines(frame: Frame) -> None:
    for found in frame.lines or []:
        for quad in (found.quad, *(word.quad for word in found.words)):
            assert np.isfinite(quad).all()


def test_any_bytes_are_pages_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    decoders = Decoders(WORKERS, TIMEOUT_S, Settings.model_fields["decode_bytes"].default)
    random, files, end = Random(SEED), seeds(), time.monotonic() + SECONDS
    trial, memory = Trial(decoders, folder), [0]
    with decoders, ThreadPoolExecutor(WORKERS) as threads:
        for first in count(0, WARM):
            batch = [(number, *mutated(random, files)) for number in range(first, first + WARM)]
            list(threads.map(lambda each: trial.read(*each), batch))
            memory.append(_memory(os.getpid()))
            children = [_memory(child.pid) for child in psutil.Process().children()]
            if time.monotonic() > end:
                break
        deaths = decoders.deaths
    with capsys.disabled():
        print(f"\n{trial.outcomes.total()} files from seed {SEED}: {dict(trial.outcomes)}")
        print(f"{deaths} decoders died, the slowest call took {trial.slowest}")
        print(f"memory {memory[1]} .. {memory[-1]} bytes, of the decoders at last {children}")
        print(*trial.faults, *trial.kept, sep="\n")
    assert not trial.faults
    assert trial.slowest[0] < TIMEOUT_S + START_S
    assert memory[-1] - memory[1] < GROWTH


def _memory(pid: int) -> int:
    """Bytes of a process that are its own."""
    found = psutil.Process(pid).memory_info()
    return int(found.rss - found.shared)
