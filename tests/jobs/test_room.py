"""Jobs wait while their database has no room or does not answer; and what a job holds at work."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from ocr.document import Page
from ocr.errors import DiskFull, JobsNotOpen, OcrError
from ocr.formats.catalogue import render
from ocr.jobs import work
from ocr.jobs.work import Jobs
from ocr.request import request_id
from ocr.wanted import Wanted

PAGES = 5
FAILURES = 2


class Reader:
    """Gives empty pages, and notes for whom it works."""

    def __init__(self) -> None:
        self.requests: set[str] = set()

    async def count(self, data: bytes, wanted: Wanted) -> list[int]:
        return list(range(1, 1 + PAGES))

    async def pages(self, data: bytes, wanted: Wanted) -> AsyncGenerator[Page, None]:
        self.requests.add(request_id())
        yield Page(60, 80, [], number=wanted.page_ranges[0][0])


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Its steps are called as they are: without DBOS."""
    made = Jobs(f"sqlite:///{tmp_path}/jobs.sqlite", "one", Reader(), render, 9, 60, 2)  # type: ignore[arg-type]
    monkeypatch.setattr(work, "PATIENCE_S", 0.01)
    for name in ("count", "read", "finish"):
        monkeypatch.setattr(work, f"_{name}", getattr(made, name))
    made.store.add("a", [("f.pdf", b"pdf"), ("g.pdf", b"other")], Wanted(format="text"))
    yield made
    made.store.close()


class Failing:
    """A method of the store that fails for a while."""

    def __init__(self, method: Any, error: OcrError) -> None:
        self.method = method
        self.error = error
        self.failures = 0

    def __call__(self, *arguments: Any) -> Any:
        if self.failures < FAILURES:
            self.failures += 1
            raise self.error
        return self.method(*arguments)


@pytest.mark.parametrize("error", [DiskFull("no room"), JobsNotOpen("gone")])
@pytest.mark.parametrize(
    "method", ["get", "files", "file", "start", "places", "add_page", "keep_result", "finish"]
)
def test_a_job_waits_for_its_database(
    jobs: Jobs, method: str, error: OcrError, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(getattr(jobs.store, method), error)
    monkeypatch.setattr(jobs.store, method, failing)
    asyncio.run(jobs.work("a"))
    assert failing.failures == FAILURES
    monkeypatch.undo()
    job = jobs.store.get("a")
    assert (job.state, job.pages_done, job.pages) == ("done", 2 * PAGES, 2 * PAGES)


def test_a_step_that_could_not_be_noted_fails_its_job_with_disk_full(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unnoted(job: str) -> None:
        raise DiskFull("no room")

    monkeypatch.setattr(work, "_finish", unnoted)
    monkeypatch.setattr(jobs.store, "finish", Failing(jobs.store.finish, DiskFull("no room")))
    asyncio.run(jobs.work("a"))
    job = jobs.store.get("a")
    assert job.state == "failed"
    assert isinstance(job.error, DiskFull)


def test_a_file_is_loaded_once_for_all_its_pages(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    load = jobs.store.file

    def noted(job: str, number: int) -> bytes:
        loaded.append(number)
        return load(job, number)

    monkeypatch.setattr(jobs.store, "file", noted)
    asyncio.run(jobs.work("a"))
    assert loaded == [0, 1, 0, 1]  # to count their pages, and to read them
    assert jobs._data == {}


def test_the_work_for_a_job_has_its_name(jobs: Jobs) -> None:
    asyncio.run(jobs.work("a"))
    reader: Any = jobs.reader
    assert reader.requests == {"job-a"}
    assert request_id() == ""
