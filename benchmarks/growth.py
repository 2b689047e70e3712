"""How the time of a page grows with its lines and with its pixels.

    python benchmarks/growth.py [--lines 125,250,500,1000,2000] [--megapixels 6,12,25,50,100]
        [--json FILE]

Pages are drawn, so that the number of lines is known, and read by the pipeline in this process.
First pages of one size with more and more lines, then pages with one number of lines on more and
more pixels. `host` is what the page took but for its networks: detection's boxes, tiles, crops,
order. A stage is linear where the time a line, or a megapixel, does not grow.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import inprocess
import machine
import numpy as np
from tables import table

from ocr.document import Pixels
from ocr.pipeline import Pipeline

T = TypeVar("T")
COLUMNS = 20  # of words on a page
CELL = (36, 120)  # pixels, height and width, of the place of one word
FEW = 100  # lines on pages of more and more pixels
MEGA = 1e6


@dataclass(frozen=True)
class Row:
    """One page: lines drawn and found, pixels, seconds in all and without the networks."""

    drawn: int
    found: int
    pixels: int
    seconds: float
    host_seconds: float


class Watch:
    """Adds up how long calls took; calls that overlap count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = 0
        self._since = 0.0

    def over(self, call: Callable[[Any], Awaitable[T]]) -> Callable[[Any], Awaitable[T]]:
        """The same call, watched."""

        async def watched(item: Any) -> T:
            if not self._running:
                self._since = time.perf_counter()
            self._running += 1
            try:
                return await call(item)
            finally:
                self._running -= 1
                if not self._running:
                    self.seconds += time.perf_counter() - self._since

        return watched


def dense(lines: int, most: int) -> Pixels:
    """A page with room for `most` words, (height, width, 3) uint8 RGB, of which so many are there.

    All pages for one `most` are of one size.
    """
    rows = -(-most // COLUMNS)
    page = np.full((rows * CELL[0], COLUMNS * CELL[1], 3), 255, np.uint8)
    for i in range(lines):
        _write(page, f"word {i:04}", (i // COLUMNS) * CELL[0], (i % COLUMNS) * CELL[1])
    return page


def sparse(megapixels: float) -> Pixels:
    """A page of so many pixels with FEW words on it."""
    width = round((megapixels * MEGA / 1.4) ** 0.5)
    page = np.full((round(1.4 * width), width, 3), 255, np.uint8)
    for i in range(FEW):
        top = (i // 5) * page.shape[0] // (FEW // 5)
        _write(page, f"word {i:04}", top, (i % 5) * width // 5)
    return page


def _write(page: Pixels, text: str, top: int, left: int) -> None:
    place = (left + 6, top + CELL[0] - 12)
    cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 1, cv2.LINE_AA)


async def read(reader: Pipeline, page: Pixels, drawn: int) -> Row:
    """Read a page once and time it."""
    watch = Watch()
    timed = replace(
        reader, detect=watch.over(reader.detect), recognise=watch.over(reader.recognise)
    )
    start = time.perf_counter()
    found = await timed.read(page)
    seconds = time.perf_counter() - start
    pixels = page.shape[0] * page.shape[1]
    return Row(drawn, len(found.lines), pixels, seconds, seconds - watch.seconds)


def show(rows: Sequence[Row]) -> str:
    header = ["lines", "found", "megapixels", "s", "host s", "ms a line", "host ms a line"]
    header += ["s a megapixel", "host ms a megapixel"]
    return table(header, [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    return [
        str(row.drawn),
        str(row.found),
        f"{row.pixels / MEGA:.1f}",
        f"{row.seconds:.2f}",
        f"{row.host_seconds:.2f}",
        f"{1e3 * row.seconds / row.drawn:.1f}",
        f"{1e3 * row.host_seconds / row.drawn:.2f}",
        f"{row.seconds / row.pixels * MEGA:.2f}",
        f"{1e3 * row.host_seconds / row.pixels * MEGA:.1f}",
    ]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


async def measure(lines: Sequence[int], megapixels: Sequence[float]) -> dict[str, list[Row]]:
    reader = inprocess.pipeline()
    most = max(lines, default=COLUMNS)
    await reader.read(dense(COLUMNS, most))  # warm up
    return {
        "more lines": [await read(reader, dense(n, most), n) for n in lines],
        "more pixels": [await read(reader, sparse(size), FEW) for size in megapixels],
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=_numbers, default=[125, 250, 500, 1000, 2000])
    parser.add_argument("--megapixels", type=_numbers, default=[6, 12, 25, 50, 100])
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args(arguments)
    found = asyncio.run(measure([int(n) for n in options.lines], options.megapixels))
    print(machine.describe())
    for name, rows in found.items():
        print(f"\n{name}\n{show(rows)}")
    if options.json is not None:
        rows_as_dicts = {name: [asdict(row) for row in rows] for name, rows in found.items()}
        machine.write_json(options.json, {"machine": machine.facts()} | rows_as_dicts)


if __name__ == "__main__":
    main()
