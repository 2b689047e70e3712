"""What is known of jobs, in one database: their files, the pages read so far, their results.

The same tables are kept in SQLite and in PostgreSQL. Files and results lie in parts of a few
megabytes, so that neither a row nor a statement grows with a document.
"""

import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from ocr.document import Document, Page
from ocr.errors import (
    DiskFull,
    JobNotDone,
    JobsNotOpen,
    JobsUnavailable,
    JobUnknown,
    OcrError,
)
from ocr.formats import json as json_format
from ocr.wanted import Wanted

State = Literal["queued", "running", "done", "failed"]
PART = 4_000_000  # bytes of a file in one row
RESULT = -1  # in place of a file's number
BUSY_S = 30  # that a statement waits for another process's transaction in SQLite
# Of SQLite, the first where no room is left, the others where a quota is used up.
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
FULL_STATE = "53100"  # of PostgreSQL

_tables = sql.MetaData()
_jobs = sql.Table(
    "ocr_jobs",
    _tables,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("created", sql.Float, nullable=False),
    sql.Column("touched", sql.Float, nullable=False),  # when a process last said it works on it
    sql.Column("state", sql.String(16), nullable=False),
    sql.Column("wanted", sql.Text, nullable=False),
    sql.Column("pages", sql.Integer),
    sql.Column("code", sql.String(64)),
    sql.Column("message", sql.Text),
)
_files = sql.Table(
    "ocr_job_files",
    _tables,
    sql.Column("job", sql.String(64), primary_key=True),
    sql.Column("file", sql.Integer, primary_key=True),
    sql.Column("source", sql.Text, nullable=False),
    sql.Column("code", sql.String(64)),
    sql.Column("message", sql.Text),
)
_parts = sql.Table(
    "ocr_job_parts",
    _tables,
    sql.Column("job", sql.String(64), primary_key=True),
    sql.Column("file", sql.Integer, primary_key=True),
    sql.Column("part", sql.Integer, primary_key=True),
    sql.Column("data", sql.LargeBinary, nullable=False),
)
_pages = sql.Table(
    "ocr_job_pages",
    _tables,
    sql.Column("job", sql.String(64), primary_key=True),
    sql.Column("file", sql.Integer, primary_key=True),
    sql.Column("place", sql.Integer, primary_key=True),  # among the pages that were asked for
    sql.Column("data", sql.LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class Job:
    """What one may know of a job; times are seconds since 1970."""

    id: str
    state: State
    created: float
    wanted: Wanted
    pages_done: int
    pages: int | None
    error: OcrError | None


class JobStore:
    """Jobs in the database at `url`, as SQLAlchemy has it. Made there if it has none.

    May be used by many threads and processes. Raises JobsUnavailable if there is no such database.
    All methods raise JobsNotOpen if it does not answer, DiskFull if it has no room, and JobUnknown
    where a job is not there.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = _engine(url)
            _make_tables(self.engine)
        except (SQLAlchemyError, OSError) as error:
            place = sql.make_url(url).render_as_string(hide_password=True)
            reason = str(error).splitlines()[0]
            raise JobsUnavailable(f"jobs cannot be kept in {place}: {reason}") from None

    def close(self) -> None:
        self.engine.dispose()

    def add(self, job: str, files: Sequence[tuple[str, bytes]], wanted: Wanted) -> None:
        """Keep a new job's files, each a name and its bytes, in one transaction."""
        now = time.time()
        with self._begin() as connection:
            connection.execute(
                _jobs.insert().values(
                    id=job, created=now, touched=now, state="queued",
                    wanted=wanted.model_dump_json(),
                )
            )  # fmt: skip
            for number, (source, data) in enumerate(files):
                connection.execute(_files.insert().values(job=job, file=number, source=source))
                _write(connection, job, number, data)

    def get(self, job: str) -> Job:
        done = sql.select(sql.func.count()).where(_pages.c.job == job).scalar_subquery()
        with self._begin() as connection:
            row = connection.execute(sql.select(_jobs, done).where(_jobs.c.id == job)).first()
        if row is None:
            raise JobUnknown(job)
        *_, pages_done = row
        return Job(
            job,
            row.state,
            row.created,
            Wanted.model_validate_json(row.wanted),
            pages_done,
            row.pages,
            _error(row.code, row.message),
        )

    def unfinished(self) -> int:
        """How many jobs are waiting or being worked on."""
        count = sql.select(sql.func.count()).where(_jobs.c.state.in_(("queued", "running")))
        with self._begin() as connection:
            return int(connection.execute(count).scalar_one())

    def start(self, job: str, pages: int) -> None:
        """A job's pages are counted and work on it begins."""
        self._update(job, state="running", pages=pages)

    def finish(self, job: str, error: OcrError | None = None) -> None:
        if error is None:
            self._update(job, state="done")
        else:
            self._update(job, state="failed", code=error.code, message=error.message)

    def touch(self, jobs: Sequence[str]) -> None:
        """Say that these are being worked on."""
        change = _jobs.update().where(_jobs.c.id.in_(jobs)).values(touched=time.time())
        with self._begin() as connection:
            connection.execute(change)

    def stalled(self, seconds: float) -> list[str]:
        """Running jobs on which nobody has said to work for so long."""
        rows = sql.select(_jobs.c.id).where(
            _jobs.c.state == "running", _jobs.c.touched < time.time() - seconds
        )
        with self._begin() as connection:
            return list(connection.execute(rows).scalars())

    def files(self, job: str) -> list[tuple[str, OcrError | None]]:
        """A job's files: their names, and why they cannot be read."""
        with self._begin() as connection:
            found = _files_of(connection, job)
        return [(each.source, _error(each.code, each.message)) for each in found]

    def file(self, job: str, number: int) -> bytes:
        with self._begin() as connection:
            return b"".join(_parts_of(connection, job, number))

    def fail_file(self, job: str, number: int, error: OcrError) -> None:
        """A file cannot be read, or not further: what was read of it is not used."""
        change = _files.update().where(_files.c.job == job, _files.c.file == number)
        with self._begin() as connection:
            connection.execute(change.values(code=error.code, message=error.message))

    def add_page(self, job: str, number: int, place: int, page: Page) -> None:
        """Keep a page that was read; one that is kept already stays as it is.

        Raises JobUnknown if the job was deleted meanwhile.
        """
        data = _packed(page)
        with self._begin() as connection:
            _must_exist(connection, job)
            there = sql.select(_pages.c.place).where(
                _pages.c.job == job, _pages.c.file == number, _pages.c.place == place
            )
            if connection.execute(there).first() is None:
                row = _pages.insert().values(job=job, file=number, place=place, data=data)
                connection.execute(row)

    def places(self, job: str, number: int) -> set[int]:
        """The pages of a file that were read."""
        rows = sql.select(_pages.c.place).where(_pages.c.job == job, _pages.c.file == number)
        with self._begin() as connection:
            return set(connection.execute(rows).scalars())

    def documents(self, job: str) -> list[Document]:
        """All that was read, file by file."""
        with self._begin() as connection:
            return [
                Document(
                    [] if each.code else list(_pages_of(connection, job, each.file)),
                    each.source,
                    error=_error(each.code, each.message),
                )
                for each in _files_of(connection, job)
            ]

    def keep_result(self, job: str, data: bytes) -> None:
        with self._begin() as connection:
            _must_exist(connection, job)
            connection.execute(_parts.delete().where(_parts.c.job == job, _parts.c.file == RESULT))
            _write(connection, job, RESULT, data)

    def result(self, job: str) -> bytes:
        """Raises JobNotDone, or the error with which the job failed."""
        known = self.get(job)
        if known.error is not None:
            raise known.error
        if known.state != "done":
            raise JobNotDone(f"{job} is {known.state}")
        return self.file(job, RESULT)

    def delete(self, job: str) -> None:
        with self._begin() as connection:
            _must_exist(connection, job)
            _delete(connection, [job])

    def expire(self, seconds: float) -> list[str]:
        """Delete jobs that are older than this and done or failed; gives their ids."""
        old = sql.select(_jobs.c.id).where(
            _jobs.c.state.in_(("done", "failed")), _jobs.c.created < time.time() - seconds
        )
        with self._begin() as connection:
            jobs = list(connection.execute(old).scalars())
            _delete(connection, jobs)
        return jobs

    def waiting(self, seconds: float) -> list[str]:
        """Jobs that came longer ago than this and that no process has begun."""
        rows = sql.select(_jobs.c.id).where(
            _jobs.c.state == "queued", _jobs.c.created < time.time() - seconds
        )
        with self._begin() as connection:
            return list(connection.execute(rows).scalars())

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """A transaction."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if is_full(error):
                raise DiskFull(f"no room for jobs: {error.orig}") from None
            if isinstance(error, OperationalError | InterfaceError):
                raise JobsNotOpen("the database of jobs does not answer") from error
            raise

    def _update(self, job: str, **values: Any) -> None:
        change = _jobs.update().where(_jobs.c.id == job).values(touched=time.time(), **values)
        with self._begin() as connection:
            if not connection.execute(change).rowcount:
                raise JobUnknown(job)


def is_full(error: BaseException) -> bool:
    """Whether a database has no room for what was to be written."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, DiskFull)
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code in FULL or getattr(error.orig, "sqlstate", None) == FULL_STATE


def _make_tables(engine: Engine) -> None:
    """Make what is missing; several processes that start together take turns."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sql.text("SELECT pg_advisory_xact_lock(hashtext('ocr_jobs'))"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        _tables.create_all(connection)


def _engine(url: str) -> Engine:
    engine = sql.create_engine(url)
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

        @sql.event.listens_for(engine, "connect")
        def prepare(connection: Any, record: object) -> None:
            connection.execute(f"PRAGMA busy_timeout={1000 * BUSY_S}")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _error(code: str | None, message: str | None) -> OcrError | None:
    return OcrError.of(code, message or "") if code else None


def _must_exist(connection: Connection, job: str) -> None:
    if connection.execute(sql.select(_jobs.c.id).where(_jobs.c.id == job)).first() is None:
        raise JobUnknown(job)


def _files_of(connection: Connection, job: str) -> Sequence[sql.Row[Any]]:
    rows = sql.select(_files).where(_files.c.job == job).order_by(_files.c.file)
    return connection.execute(rows).all()


def _write(connection: Connection, job: str, number: int, data: bytes) -> None:
    for part, start in enumerate(range(0, len(data), PART)):
        row = {"job": job, "file": number, "part": part, "data": data[start : start + PART]}
        connection.execute(_parts.insert().values(row))


def _parts_of(connection: Connection, job: str, number: int) -> Iterator[bytes]:
    rows = (
        sql.select(_parts.c.data)
        .where(_parts.c.job == job, _parts.c.file == number)
        .order_by(_parts.c.part)
    )
    yield from connection.execute(rows).scalars()


def _pages_of(connection: Connection, job: str, number: int) -> Iterator[Page]:
    rows = (
        sql.select(_pages.c.data)
        .where(_pages.c.job == job, _pages.c.file == number)
        .order_by(_pages.c.place)
    )
    for data in connection.execute(rows).scalars():
        yield json_format.page_of_dict(json.loads(zlib.decompress(data)))


def _packed(page: Page) -> bytes:
    whole = json_format.page_as_dict(page)
    return zlib.compress(json.dumps(whole).encode(), 1)


def _delete(connection: Connection, jobs: Sequence[str]) -> None:
    for table in (_parts, _pages, _files):
        connection.execute(table.delete().where(table.c.job.in_(jobs)))
    connection.execute(_jobs.delete().where(_jobs.c.id.in_(jobs)))
