"""A disk that is full keeps jobs waiting, and nobody else."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clients import asking, check, fault, tell
from tests.service.served import Served
from tests.service.test_jobs import ended, job, submit, wait
from tests.service.test_ocr import OTHER, OTHER_TEXT, PAGE, PNG, TEXT, as_pdf

pytestmark = pytest.mark.slow

LARGE = PNG + bytes(3_000_000)  # no room is left for it in what the database has taken already
PAGES = 4  # of each kind


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no room on a disk while this lasts."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        size = 1_000_000
        while size >= 1:
            try:
                stream.write(bytes(size))
            except OSError:
                size //= 10
    try:
        yield
    finally:
        ballast.unlink()


def stored(disk: Path) -> list[tuple[Any, ...]]:
    """The jobs that there are, and the parts of their files."""
    query = "SELECT j.id, p.file, p.part FROM ocr_jobs j LEFT JOIN ocr_job_parts p ON p.job = j.id"
    with closing(sqlite3.connect(f"file:{disk}/jobs.sqlite?mode=ro", uri=True)) as database:
        return sorted(database.execute(query))


def test_a_full_disk(whole: Served, disk: Path) -> None:
    if not disk.is_mount():
        pytest.skip("needs root, and the right to mount a disk in memory")
    first = submit(whole, ("a.pdf", as_pdf(*[PAGE.image, OTHER.image] * PAGES)), format="text")
    wait(lambda: job(whole, first)["pages_done"] >= 2)
    before = stored(disk)
    with asking(whole, 2) as account, full(disk), fault(account, 1):
        refused = whole.upload(("a.png", LARGE), path="/jobs", format="text")
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "DISK_FULL")
        assert stored(disk) == before
        assert whole.upload(("a.png", PNG), format="text").text == TEXT + "\n"
    check(account, "no room for jobs, 2 clients of /ocr_system")
    start = time.monotonic()
    second = submit(whole, ("a.png", LARGE), format="text")
    tell("the same, for who brings a job", "DISK_FULL (507)", time.monotonic() - start)
    assert ended(whole, first)["state"] == "done"
    texts = "\f".join(f"{each}\n" for each in [TEXT, OTHER_TEXT] * PAGES)
    assert whole.get(f"{first}/result").text == texts
    assert ended(whole, second)["state"] == "done"
    assert whole.get(f"{second}/result").text == TEXT + "\n"
