"""How far a job is, as it is counted and told."""

import pytest

from ocr.bulk.tally import Counts, Progress
from ocr.errors import ImageDamaged
from tests.bulk.conftest import failed, read_page, table_of


def test_rows_are_counted_and_pages_of_an_input_as_its_parts() -> None:
    pages = [read_page("a", number, 4) for number in (1, 2)]
    assert Counts.of(table_of(*pages, failed("b", ImageDamaged("no")))) == Counts(1.5, 2, 1)
    assert Counts.of(table_of(read_page("a"))) + Counts(2.0, 1, 1) == Counts(3.0, 2, 1)


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, quiet: bool
) -> list[str]:
    """What is said of a job that does a page of 20 every ten seconds."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with Progress(20, quiet=quiet) as progress:
        for _ in range(15):
            progress.add(Counts(1.0, 1, 0))
    return capsys.readouterr().err.splitlines()


def test_where_there_is_no_terminal_a_line_tells_it_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, capsys, quiet=False) == [
        "bulk: 6 of 20 inputs, 6 pages read, 0 failed, 0.10 pages/s, 2 min left",
        "bulk: 12 of 20 inputs, 12 pages read, 0 failed, 0.10 pages/s, 1 min left",
    ]


def test_who_wants_it_quiet_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(monkeypatch, capsys, quiet=True) == []
