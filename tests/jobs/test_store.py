"""What is kept of jobs, in SQLite and in PostgreSQL."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ocr.document import Line, Page
from ocr.errors import (
    DiskFull,
    ImageDamaged,
    JobNotDone,
    JobsNotOpen,
    JobsUnavailable,
    JobUnknown,
)
from ocr.jobs import store as stores
from ocr.jobs.store import JobStore, is_full
from ocr.wanted import Wanted
from tests.jobs.documents import QUAD

WANTED = Wanted(format="text", pages="2-4")


@pytest.fixture
def store(url: str) -> Iterator[JobStore]:
    made = JobStore(url)
    yield made
    made.close()


def page(number: int) -> Page:
    return Page(60, 80, [Line(QUAD, f"第{number}页", 0.9)], number=number, dpi=200)


def test_a_new_job_is_queued_and_its_files_are_what_was_given(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PART", 10)
    files = [("扫描.pdf", bytes(range(35))), ("", b"x")]
    store.add("a", files, WANTED)
    job = store.get("a")
    assert (job.state, job.pages_done, job.pages, job.error) == ("queued", 0, None, None)
    assert job.wanted == WANTED
    assert store.files("a") == [("扫描.pdf", None), ("", None)]
    assert [store.file("a", i) for i in range(2)] == [data for _, data in files]
    assert store.unfinished() == 1


def test_pages_are_kept_once_and_come_out_in_their_order(store: JobStore) -> None:
    store.add("a", [("f", b"x"), ("g", b"y")], WANTED)
    store.start("a", 3)
    for number, place in ((0, 1), (0, 0), (1, 0), (0, 1)):
        store.add_page("a", number, place, page(2 + place))
    job = store.get("a")
    assert (job.state, job.pages_done, job.pages) == ("running", 3, 3)
    assert store.places("a", 0) == {0, 1}
    first, second = store.documents("a")
    assert [each.number for each in first.pages] == [2, 3]
    assert [each.text for each in first.pages] == ["第2页", "第3页"]
    assert (first.source, second.source, len(second.pages)) == ("f", "g", 1)
    assert first.pages[0].dpi == 200


def test_a_file_that_failed_keeps_its_error_and_no_page(store: JobStore) -> None:
    store.add("a", [("f", b"x")], WANTED)
    store.add_page("a", 0, 0, page(2))
    store.fail_file("a", 0, ImageDamaged("cut off"))
    (document,) = store.documents("a")
    assert document.pages == []
    assert isinstance(document.error, ImageDamaged)
    assert document.error.message == "cut off"


def test_a_result_is_there_when_the_job_is_done(store: JobStore) -> None:
    store.add("a", [("f", b"x")], WANTED)
    with pytest.raises(JobNotDone, match="queued"):
        store.result("a")
    store.keep_result("a", b"first, and longer")
    store.keep_result("a", b"second")
    store.finish("a")
    assert store.result("a") == b"second"
    assert store.get("a").state == "done"
    assert store.unfinished() == 0


def test_a_failed_job_gives_its_error(store: JobStore) -> None:
    store.add("a", [("f", b"x")], WANTED)
    store.finish("a", ImageDamaged("cut off"))
    job = store.get("a")
    assert job.state == "failed"
    assert isinstance(job.error, ImageDamaged)
    with pytest.raises(ImageDamaged, match="cut off"):
        store.result("a")


def test_what_was_deleted_is_unknown_to_all_calls(store: JobStore) -> None:
    store.add("a", [("f", b"x")], WANTED)
    store.delete("a")
    calls = (
        lambda: store.get("a"),
        lambda: store.start("a", 1),
        lambda: store.finish("a"),
        lambda: store.add_page("a", 0, 0, page(1)),
        lambda: store.keep_result("a", b""),
        lambda: store.result("a"),
        lambda: store.delete("a"),
    )
    for call in calls:
        with pytest.raises(JobUnknown):
            call()
    assert store.file("a", 0) == b""


def test_old_jobs_go_when_they_are_over(store: JobStore) -> None:
    for name in ("waits", "done", "failed"):
        store.add(name, [("f", b"x")], WANTED)
    store.finish("done")
    store.finish("failed", ImageDamaged("x"))
    assert store.expire(3600) == []
    assert sorted(store.expire(-1)) == ["done", "failed"]
    assert store.get("waits").state == "queued"
    assert store.file("done", 0) == b""


def test_a_running_job_that_nobody_touches_is_stalled(store: JobStore) -> None:
    for name in ("waits", "runs", "left"):
        store.add(name, [("f", b"x")], WANTED)
    store.start("runs", 1)
    store.start("left", 1)
    assert store.stalled(3600) == []
    assert sorted(store.stalled(-1)) == ["left", "runs"]


def test_many_threads_and_two_stores_write_side_by_side(store: JobStore, url: str) -> None:
    other = JobStore(url)
    store.add("a", [("f", b"x")], WANTED)
    errors: list[Exception] = []

    def write(each: JobStore, first: int) -> None:
        try:
            for place in range(first, first + 10):
                each.add_page("a", 0, place, page(place))
        except Exception as error:
            errors.append(error)

    threads = [
        threading.Thread(target=write, args=(each, 10 * i))
        for i, each in enumerate((store, other, store, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert errors == []
    assert store.get("a").pages_done == 40


def test_no_place_for_jobs_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JobsUnavailable, match=r"cannot be kept in sqlite:.*jobs\.sqlite"):
        JobStore(f"sqlite:///{tmp_path}/file/jobs.sqlite")
    with pytest.raises(JobsUnavailable) as told:
        JobStore("postgresql+psycopg://ocr:secret@127.0.0.1:1/jobs")
    assert "secret" not in str(told.value)


def fill(store: JobStore) -> None:
    """Let the database take no more pages than it has: as on a disk that is full."""
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    @sql.event.listens_for(store.engine, "checkout")
    def limit(connection: Any, *others: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")


def test_what_has_no_room_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path}/jobs.sqlite")
    store.add("a", [("f", b"x")], WANTED)
    fill(store)
    with pytest.raises(DiskFull, match="full"):
        store.add("b", [("f", b"x"), ("g", bytes(1_000_000))], WANTED)
    assert store.get("a").state == "queued"
    assert store.unfinished() == 1
    assert store.files("b") == []
    store.close()


def test_other_errors_of_a_database_are_its_own(store: JobStore) -> None:
    with pytest.raises(SQLAlchemyError), store._begin() as connection:
        connection.execute(sql.insert(sql.table("ocr_jobs", sql.column("id"))).values(id="a"))


def test_a_database_that_is_gone_is_told(tmp_path: Path) -> None:
    store = JobStore(f"sqlite:///{tmp_path}/deep/jobs.sqlite")
    store.close()
    (tmp_path / "deep").rename(tmp_path / "elsewhere")
    with pytest.raises(JobsNotOpen, match="does not answer"):
        store.unfinished()


@pytest.mark.parametrize(("state", "full"), [("53100", True), ("53200", False), (None, False)])
def test_how_postgresql_says_that_its_disk_is_full(state: str | None, full: bool) -> None:
    class Told(Exception):
        sqlstate = state

    assert is_full(DBAPIError("INSERT", {}, Told())) is full


def test_a_job_that_nobody_began_is_known(store: JobStore) -> None:
    for name in ("waits", "runs"):
        store.add(name, [("f", b"x")], WANTED)
    store.start("runs", 1)
    assert store.waiting(3600) == []
    assert store.waiting(-1) == ["waits"]
