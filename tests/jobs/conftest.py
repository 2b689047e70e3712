"""Databases for jobs: a file of SQLite, and a real PostgreSQL where Debian's is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def as_postgres(folder: Path, program: str, *arguments: str) -> None:
    """Run one of its programs in a folder as its own user: it refuses root."""
    command = ["runuser", "-u", "postgres", "--", str(PROGRAMS[-1] / program), *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=60)


@dataclass(frozen=True)
class Postgres:
    """A server that was made for these tests."""

    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if not PROGRAMS or shutil.which("runuser") is None or os.getuid() != 0:
        pytest.skip("needs Debian's PostgreSQL, and root to become its user: tests/install")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # not pytest's: those are for their owner only
        folder.chmod(0o755)
        shutil.chown(folder, "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        run = partial(as_postgres, folder)
        run("initdb", "-D", "data", "-A", "trust", "-U", "ocr", "-E", "UTF8", "--locale=C")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
        start = partial(run, "pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)
        stop = partial(run, "pg_ctl", "stop", "-m", "immediate", "-D", "data")
        start()
        try:
            yield Postgres(f"postgresql+psycopg://ocr@127.0.0.1:{port}/postgres", start, stop)
        finally:
            stop()


@pytest.fixture
def postgresql(postgres: Postgres, tmp_path: Path) -> str:
    """The URL of an empty database of that server."""
    import sqlalchemy as sql

    name = f"test_{abs(hash(str(tmp_path)))}"
    engine = sql.create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql.text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return postgres.url.rpartition("/")[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/jobs.sqlite"
    server: str = request.getfixturevalue("postgresql")
    return server
