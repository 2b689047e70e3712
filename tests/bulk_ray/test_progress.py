"""How far a job is, as it is told where there is no terminal."""

import re
from subprocess import CompletedProcess

import pytest

from tests.bulk_ray import scans
from tests.bulk_ray.calls import ALL, Bulk

pytestmark = pytest.mark.ray

COUNT = 48
LINE = re.compile(
    rf"bulk: (\d+) of {COUNT} inputs, (\d+) pages read, (\d+) failed, [\d.]+ pages/s, "
    r"\d+ min left"
)


def said(done: CompletedProcess[str]) -> list[str]:
    """The lines of standard error that are not Ray's."""
    return [line for line in done.stderr.splitlines() if line.startswith("bulk: ")]


def test_lines_tell_how_far_it_is(bulk: Bulk, one_machine: str) -> None:
    scans.draw(bulk.folder / "in", COUNT)
    done = bulk.by("chatty_bulk").call("in", "out", "--address", one_machine)
    assert done.returncode == ALL, done.stderr
    first, *lines, last = said(done)
    assert first.startswith(f"bulk: {COUNT} inputs, 0 of them done before")
    assert last.startswith(f"bulk: {COUNT} pages read, 0 failed")
    told = [LINE.fullmatch(line) for line in lines]
    assert all(told), lines
    counts = [int(each[1]) for each in told if each]
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= COUNT


def test_who_wants_it_quiet_is_told_the_ends_only(bulk: Bulk, one_machine: str) -> None:
    scans.draw(bulk.folder / "in", 2)
    done = bulk.by("chatty_bulk").call("in", "out", "--quiet", "--address", one_machine)
    assert len(said(done)) == 2, done.stderr
