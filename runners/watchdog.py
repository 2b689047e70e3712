"""Workers that died or hang are replaced within seconds, in containers too.

Each worker shows a sign of life twice a second: its own file in a folder is touched. The arbiter,
BentoML's process that starts and watches all others, looks as often. It counts looks, not seconds:
while it does not run itself, as when a laptop sleeps, nobody grows silent.
"""

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bentoml._internal.utils.circus import Arbiter
from bentoml.exceptions import BentoMLException
from tornado.ioloop import PeriodicCallback

from ocr.motion import Motion
from runners.shutdown import FRONT

log = logging.getLogger("ocr.watchdog")
FOLDER = "OCR_SIGNS_OF_LIFE"  # names the folder to the workers
LOOK_S = 0.5
STILL_S = 30.0  # that one run of a network may take, on the slowest of machines
START_S = 300.0  # that a runner may take to open its model
FRONT_S = 30.0  # what takes requests may be kept from its event loop by one that is large
DEATHS, WITHIN_S = 5, 60.0  # of one worker at its start: then a new one would die as well


def show_life(motion: Motion | None = None) -> "asyncio.Task[None] | None":
    """Begin to show the arbiter, if one looks, that this process's event loop runs.

    A process with a network that has not moved on for STILL_S ends itself. The task is to be kept:
    a loop forgets those that nobody holds.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:
        return None
    return asyncio.create_task(_show(Path(folder, str(os.getpid())).touch, motion))


async def _show(sign: Callable[[], None], motion: Motion | None) -> None:
    with suppress(FileNotFoundError):  # the folder goes when the server ends
        while motion is None or motion.still_s < STILL_S:
            sign()
            await asyncio.sleep(LOOK_S)
        log.critical("the network has hung for %g s: this process ends", STILL_S)
        os.kill(os.getpid(), signal.SIGKILL)  # a thread that hangs would keep it from ending


def watch_workers(runner_timeout_s: float) -> None:
    """Let BentoML's arbiter replace workers that died, and runners silent for so many seconds."""
    arbiter: Any = Arbiter
    if hasattr(arbiter, "bentoml_initialize"):
        return
    arbiter.bentoml_initialize = arbiter.initialize

    def initialize(this: Any) -> None:
        this.bentoml_initialize()
        folder = Path(tempfile.mkdtemp(prefix="ocr-signs-"))
        this.exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)
        watchdog = Watchdog(this, folder, runner_timeout_s)
        PeriodicCallback(watchdog.look, 1000 * LOOK_S).start()

    arbiter.initialize = initialize


@dataclass
class _Life:
    """What was seen of one process: its last sign, and how many looks ago that was new."""

    process: Any
    sign: int | None = None
    silent: int = 0


class Watchdog:
    """Watches the workers of an arbiter, which show their signs in `folder`."""

    def __init__(self, arbiter: Any, folder: Path, runner_timeout_s: float) -> None:
        self.arbiter = arbiter
        self.folder = folder
        self.runner_timeout_s = runner_timeout_s
        self._lives: dict[str, dict[int, _Life]] = defaultdict(dict)
        self._deaths: dict[str, deque[float]] = defaultdict(deque)
        for watcher in arbiter.watchers:
            watcher.respawn = True  # BentoML's container would end with the first that dies
            watcher.env[FOLDER] = str(folder)

    async def look(self) -> None:
        for watcher in self.arbiter.watchers:
            self._end_the_silent(watcher)
        # Circus itself looks every ten seconds only, and not while it is at something else.
        if self.arbiter._stopping or self.arbiter._exclusive_running_command is not None:
            return
        await self.arbiter.manage_watchers()
        for watcher in self.arbiter.watchers:
            self._count_the_dead(watcher)

    def _end_the_silent(self, watcher: Any) -> None:
        for pid, life in self._lives[watcher.name].items():
            sign = self._sign(pid)
            life.silent = life.silent + 1 if sign == life.sign else 0
            life.sign = sign or life.sign
            seconds = life.silent * LOOK_S
            if seconds >= self._patience_s(watcher, life) and pid in watcher.processes:
                log.error("%s (%d) has hung for %g s: it is replaced", watcher.name, pid, seconds)
                life.process.send_signal(signal.SIGKILL)
                life.silent = 0

    def _patience_s(self, watcher: Any, life: _Life) -> float:
        if watcher.name == FRONT:
            return max(FRONT_S, self.runner_timeout_s) if life.sign else float("inf")
        return self.runner_timeout_s if life.sign else START_S

    def _sign(self, pid: int) -> int | None:
        try:
            return (self.folder / str(pid)).stat().st_mtime_ns
        except FileNotFoundError:  # none yet, or the server ends
            return None

    def _count_the_dead(self, watcher: Any) -> None:
        """Take note of processes that came and went. Too many that never lived end the server."""
        lives = self._lives[watcher.name]
        deaths = self._deaths[watcher.name]
        now = time.monotonic()
        for pid in lives.keys() - watcher.processes.keys():
            life = lives.pop(pid)
            (self.folder / str(pid)).unlink(missing_ok=True)  # the number is used again one day
            log.warning("%s (%d) has ended, another one is started", watcher.name, pid)
            if life.sign is None:
                deaths.append(now)
        for pid, process in watcher.processes.items():
            lives.setdefault(pid, _Life(process))
        while deaths and deaths[0] < now - WITHIN_S:
            deaths.popleft()
        if len(deaths) > DEATHS * watcher.numprocesses:
            self._give_up(watcher)

    def _give_up(self, watcher: Any) -> None:
        reason = f"{watcher.name} died {len(self._deaths[watcher.name])} times at its start"
        log.error("%s: the server ends", reason)
        self.arbiter._exception = BentoMLException(reason)
        self.arbiter.stop()
