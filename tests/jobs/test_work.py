"""Jobs at work in processes that die, in SQLite and in PostgreSQL."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbos import DBOSClient

from ocr.jobs.store import Job, JobStore
from ocr.jobs.work import QUEUE, STEPS_VERSION
from ocr.wanted import Wanted

pytestmark = pytest.mark.slow

WAIT_S = 60.0
Start = Callable[[str], "subprocess.Popen[str]"]


class Bench:
    """A store, its log of pages that were read, and processes that work on it."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log
        self.store = JobStore(url)
        self.processes: list[subprocess.Popen[str]] = []
        log.touch()

    def start(self, name: str, seconds: float = 0.1) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.jobs.worker", self.url, name, str(self.log)]
        process = subprocess.Popen(
            [*command, str(seconds)], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    def add(self, job: str, *files: bytes, wanted: Wanted | None = None) -> None:
        """Add a job as Jobs.add does, from a process that works on none."""
        self.store.add(
            job, [(f"{i}.pdf", each) for i, each in enumerate(files)],
            wanted or Wanted(format="text"),
        )  # fmt: skip
        client = DBOSClient(system_database_url=self.url)
        client.enqueue(
            {
                "workflow_name": "ocr-job",
                "queue_name": QUEUE,
                "workflow_id": job,
                "app_version": STEPS_VERSION,
            },
            job,
        )
        client.destroy()

    def pages(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()]

    def wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.05)

    def ended(self, job: str) -> Job:
        self.wait(lambda: self.store.get(job).state in ("done", "failed"))
        return self.store.get(job)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.store.close()


@pytest.fixture
def bench(url: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(url, tmp_path / "log")
    yield made
    made.close()


def text(pages: int) -> bytes:
    return "\f".join(f"page {i}\n" for i in range(1, pages + 1)).encode()


def said(bench: Bench, job: str) -> list[str]:
    return bench.store.result(job).decode().replace("\f", "").split("\n")[:-1]


def test_a_process_that_was_killed_goes_on_where_it_was(bench: Bench) -> None:
    process = bench.start("one")
    bench.add("a", b"12")
    bench.wait(lambda: len(bench.pages()) >= 5)
    process.kill()
    process.wait()
    before = bench.store.get("a")
    assert before.state == "running"
    assert 4 <= before.pages_done < 12
    bench.start("one")
    job = bench.ended("a")
    assert (job.state, job.pages_done, job.pages) == ("done", 12, 12)
    assert said(bench, "a") == [f"page {i}" for i in range(1, 13)]
    read = Counter(bench.pages())
    assert set(read) == set(range(1, 13))
    assert sum(count > 1 for count in read.values()) <= 2  # those of the step that was cut off


def test_another_process_takes_over_what_a_dead_one_left(bench: Bench) -> None:
    process = bench.start("one")
    bench.add("a", b"10")
    bench.wait(lambda: len(bench.pages()) >= 3)
    bench.start("two")
    process.kill()
    process.wait()
    assert bench.ended("a").state == "done"
    assert said(bench, "a") == [f"page {i}" for i in range(1, 11)]


def test_two_processes_share_the_work_and_do_nothing_twice(bench: Bench) -> None:
    for name in ("one", "two"):
        bench.start(name)
    jobs = [f"job{i}" for i in range(6)]
    for job in jobs:
        bench.add(job, b"5")
    assert [bench.ended(job).state for job in jobs] == ["done"] * len(jobs)
    assert Counter(bench.pages()) == dict.fromkeys(range(1, 6), len(jobs))


def test_files_that_fail_cost_the_others_nothing(bench: Bench) -> None:
    bench.start("one", 0.01)
    bench.add("a", b"2", b"bad", b"odd", b"shaky")
    job = bench.ended("a")
    assert job.state == "done"
    documents = bench.store.documents("a")
    assert [each.error.code if each.error else "" for each in documents] == [
        "", "IMAGE_DAMAGED", "IMAGE_DAMAGED", "",
    ]  # fmt: skip
    assert [len(each.pages) for each in documents] == [2, 0, 0, 4]


def test_a_job_of_which_nothing_can_be_read_has_failed(bench: Bench) -> None:
    bench.start("one", 0.01)
    bench.add("a", b"bad", b"bad")
    job = bench.ended("a")
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.code == "IMAGE_DAMAGED"


def test_a_deleted_job_stops(bench: Bench) -> None:
    bench.start("one")
    bench.add("a", b"500")
    bench.wait(lambda: len(bench.pages()) >= 3)
    bench.store.delete("a")
    time.sleep(1.5)
    read = len(bench.pages())
    time.sleep(1.5)
    assert len(bench.pages()) == read
    bench.add("b", b"2")
    assert bench.ended("b").state == "done"
