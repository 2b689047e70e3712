"""A bulk job that is ended in the middle: what was written is whole, and the next call goes on."""

import os
import signal
from subprocess import Popen

import psutil
import pytest

from tests.bulk_ray import scans
from tests.bulk_ray.calls import ALL, INTERRUPTED, PATIENCE_S, Bulk, parts, wait_for_parts
from tests.bulk_ray.machines import title

pytestmark = pytest.mark.ray

COUNT = 48
PART = 4
END_S = 30.0  # in which the processes of a Ray whose driver was killed have gone


@pytest.fixture
def sources(bulk: Bulk) -> list[str]:
    return scans.draw(bulk.folder / "in", COUNT)


def assert_whole(bulk: Bulk, sources: list[str], address: str) -> None:
    """The output is valid as it is, and the next call adds just what it lacks."""
    there = bulk.rows()
    assert 0 < len(there) < len(sources)
    done = bulk.call("in", "out", "--address", address)
    assert done.returncode == ALL, done.stderr
    assert f"{len(sources)} inputs, {len(there)} of them done before" in done.stderr
    rows = bulk.rows()
    assert [row["source"] for row in rows] == sources
    assert {row["status"] for row in rows} == {"read"}
    output = bulk.folder / "out"
    assert not list((output / "_unfinished").glob("*"))
    assert parts(output / "_manifest") == parts(output)


def all_of(process: Popen[str]) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those that have not gone by END_S, but for Ray's two agents: these wait a minute for it."""
    _, left = psutil.wait_procs([each for each in processes if "Agent" not in title(each)], END_S)
    return [title(each) for each in left]


def test_a_killed_driver_loses_nothing_and_leaves_no_process(
    bulk: Bulk, sources: list[str], one_machine: str
) -> None:
    with bulk.begun("in", "out", "--part-rows", str(PART)) as process:
        wait_for_parts(process, bulk.folder / "out", 2)
        others = all_of(process)
        process.kill()
        process.wait()
    assert len(others) > 4
    assert not alive(others)
    assert_whole(bulk, sources, one_machine)


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
def test_a_deliberate_stop_leaves_a_whole_output(
    how: str, bulk: Bulk, sources: list[str], one_machine: str
) -> None:
    with bulk.begun("in", "out", "--part-rows", str(PART)) as process:
        wait_for_parts(process, bulk.folder / "out", 1)
        others = all_of(process)
        if how == "SIGTERM":
            process.terminate()
        else:  # a terminal tells all processes of the group
            os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, err
    assert err.splitlines()[-1] == "bulk: interrupted"
    assert "Traceback" not in err
    assert not alive(others)
    assert_whole(bulk, sources, one_machine)
