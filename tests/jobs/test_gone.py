"""A database that goes away and comes back costs no page."""

import time
from collections import Counter
from pathlib import Path

import pytest

from ocr.errors import JobsNotOpen
from tests.jobs.conftest import Postgres
from tests.jobs.test_work import Bench, said

pytestmark = pytest.mark.slow

PAGES = 30


def test_postgresql_that_goes_and_comes_back(
    postgres: Postgres, postgresql: str, tmp_path: Path
) -> None:
    bench = Bench(postgresql, tmp_path / "log")
    try:
        bench.start("one")
        bench.add("a", str(PAGES).encode())
        bench.wait(lambda: len(bench.pages()) >= 4)
        postgres.stop()
        with pytest.raises(JobsNotOpen):
            bench.store.get("a")
        time.sleep(1)
        postgres.start()
        back, read = time.monotonic(), len(bench.pages())
        bench.wait(lambda: len(bench.pages()) > read + 2)
        print(f"| PostgreSQL gone and back | waits | {time.monotonic() - back:.1f} | 0 |")
        assert bench.ended("a").state == "done"
        assert said(bench, "a") == [f"page {i}" for i in range(1, PAGES + 1)]
        times = Counter(bench.pages())
        assert sum(count > 1 for count in times.values()) <= 2  # those of the step that was cut off
    finally:
        bench.close()
