"""Whom the watchdog replaces, and whom it leaves alone; real processes are in tests/faults."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocr.motion import Motion
from runners import watchdog
from runners.watchdog import DEATHS, FOLDER, FRONT_S, LOOK_S, START_S, Watchdog, show_life

TIMEOUT_S = 3.0
LOOKS = int(TIMEOUT_S / LOOK_S)


class Process:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


class Watcher:
    def __init__(self, name: str, *pids: int) -> None:
        self.name = name
        self.numprocesses = len(pids)
        self.respawn = False
        self.env: dict[str, str] = {}
        self.processes = {pid: Process(pid) for pid in pids}


class Arbiter:
    """As much of circus's as is needed; it starts a new process for each that was killed."""

    def __init__(self, *watchers: Watcher) -> None:
        self.watchers = watchers
        self._stopping = False
        self._exclusive_running_command = None
        self._exception: Exception | None = None
        self.stopped = 0

    async def manage_watchers(self) -> None:
        for watcher in self.watchers:
            for pid, process in list(watcher.processes.items()):
                if process.signals:
                    replace(watcher, pid)

    def stop(self) -> None:
        self.stopped += 1
        self._stopping = True


def replace(watcher: Watcher, pid: int) -> None:
    del watcher.processes[pid]
    new = 1000 + pid
    watcher.processes[new] = Process(new)


class Bench:
    """A watchdog over a runner, process 1, and a front, process 2, whose signs a test makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner, self.front = Watcher("service_Detection", 1), Watcher("service", 2)
        self.arbiter = Arbiter(self.runner, self.front)
        self.watchdog = Watchdog(self.arbiter, folder, TIMEOUT_S)
        self.time = 0

    def sign(self, pid: int) -> None:
        self.time += 1
        (self.folder / str(pid)).touch()
        os.utime(self.folder / str(pid), (self.time, self.time))

    def look(self, times: int = 1, *, signing: tuple[int, ...] = ()) -> None:
        for _ in range(times):
            for pid in signing:
                self.sign(pid)
            asyncio.run(self.watchdog.look())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.look(2, signing=(1, 2))
    return made


def test_workers_are_started_again_and_told_where_to_show_life(bench: Bench) -> None:
    for watcher in bench.arbiter.watchers:
        assert watcher.respawn
        assert watcher.env == {FOLDER: str(bench.folder)}


def test_who_shows_life_is_left_alone(bench: Bench) -> None:
    bench.look(10 * LOOKS, signing=(1, 2))
    assert list(bench.runner.processes) == [1]


def test_a_silent_runner_is_replaced(bench: Bench) -> None:
    first = bench.runner.processes[1]
    bench.look(LOOKS - 1, signing=(2,))
    assert first.signals == []
    bench.look(1, signing=(2,))
    assert first.signals == [signal.SIGKILL]
    assert list(bench.runner.processes) == [1001]
    assert list(bench.front.processes) == [2]


def test_only_looks_count(bench: Bench) -> None:
    """While the arbiter itself sleeps, as its machine may, no time passes."""
    bench.look(LOOKS - 2, signing=(2,))
    time.sleep(0.1)  # in which it might have looked a thousand times, had its clock been the day's
    bench.look(1, signing=(1, 2))
    bench.look(LOOKS - 1, signing=(2,))
    assert list(bench.runner.processes) == [1]


def test_a_silent_front_is_given_longer(bench: Bench) -> None:
    bench.look(int(FRONT_S / LOOK_S) - 1, signing=(1,))
    assert list(bench.front.processes) == [2]
    bench.look(1, signing=(1,))
    assert list(bench.front.processes) == [1002]


def test_a_runner_may_take_long_to_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.look(1 + int(START_S / LOOK_S) - 1)
    assert list(bench.runner.processes) == [1]
    bench.look(1)
    assert list(bench.runner.processes) == [1001]
    assert list(bench.front.processes) == [2]


def test_signs_that_go_with_the_server_kill_nobody(bench: Bench) -> None:
    (bench.folder / "1").unlink()
    bench.arbiter._stopping = True
    bench.look(10 * LOOKS)
    assert bench.runner.processes[1].signals == []


def test_deaths_at_the_start_end_the_server(bench: Bench) -> None:
    pid = 1
    for deaths in range(1, DEATHS + 2):
        bench.runner.processes = {}
        pid += 1000
        bench.runner.processes = {pid: Process(pid)}
        bench.look(signing=(2,))
        assert bench.arbiter.stopped == (deaths > DEATHS + 1)  # the first one had lived
    bench.runner.processes = {}
    bench.look(signing=(2,))
    assert bench.arbiter.stopped == 1
    assert "service_Detection died 6 times at its start" in str(bench.arbiter._exception)


def test_deaths_of_who_had_lived_do_not(bench: Bench) -> None:
    pid = 1
    for _ in range(3 * DEATHS):
        pid += 1000
        bench.runner.processes = {pid: Process(pid)}
        bench.look(2, signing=(2, pid))
    assert not bench.arbiter.stopped


def test_deaths_at_the_start_are_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    pid = 1
    for _ in range(3 * DEATHS):
        pid += 1000
        clock[0] += 1.1 * watchdog.WITHIN_S / DEATHS
        bench.runner.processes = {pid: Process(pid)}
        bench.look(signing=(2,))
    assert not bench.arbiter.stopped


def shown(
    folder: Path,
    motion: Motion | None,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[], bool],
) -> list[Any]:
    """Show life until something is true; gives the signals that the process sent."""
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.setattr(watchdog, "LOOK_S", 0.01)
    monkeypatch.setattr(watchdog, "STILL_S", 0.1)
    sent: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *signals: sent.append(signals))

    async def run() -> None:
        life = show_life(motion)
        assert life is not None
        end = time.monotonic() + 5
        while not until() and not life.done():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
        life.cancel()

    asyncio.run(run())
    return sent


def test_life_is_shown_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = tmp_path / str(os.getpid())
    seen: set[int] = set()

    def three() -> bool:
        if sign.exists():
            seen.add(sign.stat().st_mtime_ns)
        return len(seen) == 3

    assert shown(tmp_path, Motion(), monkeypatch, three) == []


def test_a_network_that_hangs_ends_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    motion = Motion()
    with motion.batch():
        sent = shown(tmp_path, motion, monkeypatch, lambda: False)
    assert sent == [(os.getpid(), signal.SIGKILL)]


def test_the_end_of_the_server_is_no_reason_to_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(tmp_path / "gone", Motion(), monkeypatch, lambda: False) == []


def test_without_an_arbiter_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert show_life(Motion()) is None
