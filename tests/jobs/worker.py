"""A process that works on jobs with a reader of its own, for tests: it can be killed.

    python -m tests.jobs.worker URL PROCESS LOG SECONDS

A file's bytes are its number of pages; each takes SECONDS and is written to LOG. A file "bad" is
damaged, one "odd" fails at its third page, "shaky" fails the first time it is asked for a page.
It looks after stalled jobs every half second.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from ocr.document import Line, Page
from ocr.errors import ImageDamaged, InferenceFailed
from ocr.formats.catalogue import render
from ocr.jobs import work
from ocr.wanted import Wanted
from tests.jobs.documents import QUAD


class Reader:
    """What Jobs asks of a reader."""

    def __init__(self, log: Path, seconds: float) -> None:
        self.log = log
        self.seconds = seconds
        self.shaken = False

    async def count(self, data: bytes, wanted: Wanted) -> list[int]:
        if data == b"bad":
            raise ImageDamaged("no picture")
        return list(range(1, 1 + (4 if data in (b"odd", b"shaky") else int(data))))

    async def pages(self, data: bytes, wanted: Wanted) -> AsyncGenerator[Page, None]:
        (number,) = wanted.page_ranges[0]
        await asyncio.sleep(self.seconds)
        if data == b"odd" and number == 3:
            raise ImageDamaged("half a page")
        if data == b"shaky" and not self.shaken:
            self.shaken = True
            raise InferenceFailed("a runner went away")
        with self.log.open("a") as log:
            log.write(f"{number}\n")
        yield Page(60, 80, [Line(QUAD, f"page {number}", 0.9)], number=number)


async def main(url: str, process: str, log: str, seconds: str) -> None:
    reader = Reader(Path(log), float(seconds))
    jobs = work.Jobs(url, process, reader, render, most=50, keep_s=3600, pages_at_once=2)  # type: ignore[arg-type]
    await jobs.open()
    print("open", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    work.LOOK_S, work.STALLED_S = 0.5, 3.0
    asyncio.run(main(*sys.argv[1:]))
