"""The processes of a running service by role, and their memory over time."""

import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import psutil
from machine import Sampler, tree

ARBITER, API, DECODER = "arbiter", "API", "decoder"
SERVICES = {"OCR": API}  # the runners are called what BentoML calls them
BASE = 0.05  # of the requests after the first ones: the samples in it are what memory grew from
END = 0.1  # of the requests: the samples in it are what it grew to


@dataclass(frozen=True)
class Sample:
    """A process at a moment: bytes that are resident, those of them that no other process shares,
    and the processor's seconds that it has used."""

    seconds: float
    requests: int
    process: str
    pid: int
    resident: int
    unshared: int
    cpu: float


@dataclass(frozen=True)
class Growth:
    """A process's memory in bytes: after the first requests, at the end, and the most in between.

    `pids` is how many processes had its role, one after the other.
    """

    process: str
    base: float
    end: float
    peak: int
    unshared_end: float
    pids: int

    @property
    def share(self) -> float:
        """By how much it grew, as a share of what it had."""
        return self.end / self.base - 1


def role(command: Iterable[str]) -> str:
    """What a process of the service does, by its command line."""
    line = " ".join(command)
    if named := re.search(r"--service-name (\w+)", line):
        return SERVICES.get(named[1], named[1])
    if "ocr.decoder" in line:
        return DECODER
    if "serve" in line:
        return ARBITER
    module = re.search(r"(?:-m |from )([\w.]+)", line)
    return module[1] if module else "other"


class Names:
    """Names processes: the role and a number, which goes to the next one when its owner ends."""

    def __init__(self) -> None:
        self._named: dict[psutil.Process, str] = {}

    def of(self, processes: Sequence[psutil.Process]) -> dict[psutil.Process, str]:
        """The names of these processes, all that there are now; of one that ends meanwhile none."""
        self._named = {each: name for each, name in self._named.items() if each in processes}
        for each in processes:
            if each not in self._named:
                with suppress(psutil.NoSuchProcess):
                    self._named[each] = self._free(role(each.cmdline()))
        return self._named

    def _free(self, kind: str) -> str:
        taken = set(self._named.values())
        return next(name for i in count(1) if (name := f"{kind} {i}") not in taken)


class Watch(Sampler):
    """Samples the memory of a process and all that descend from it while its context lasts.

    `requests` tells how many were answered so far.
    """

    def __init__(self, pid: int, every_s: float, requests: Callable[[], int]) -> None:
        super().__init__(every_s)
        self.samples: list[Sample] = []
        self._root = psutil.Process(pid)
        self._requests = requests
        self._names = Names()
        self._start = time.perf_counter()

    def look(self) -> None:
        """Take a sample of each process."""
        seconds, requests = time.perf_counter() - self._start, self._requests()
        for process, name in self._names.of(tree(self._root)).items():
            with suppress(psutil.NoSuchProcess):  # it ended since it was listed
                memory, times = process.memory_full_info(), process.cpu_times()
                self.samples.append(
                    Sample(
                        seconds,
                        requests,
                        name,
                        process.pid,
                        memory.rss,
                        memory.uss,
                        times.user + times.system,
                    )
                )


def cpu_seconds(samples: Iterable[Sample]) -> float:
    """The processor's seconds that all processes used from their first sample to their last."""
    used: dict[int, tuple[float, float]] = {}
    for sample in samples:
        first, _ = used.setdefault(sample.pid, (sample.cpu, sample.cpu))
        used[sample.pid] = first, sample.cpu
    return sum(last - first for first, last in used.values())


def growth(samples: Iterable[Sample], since: int, requests: int) -> list[Growth]:
    """How the memory of each process grew from the request number `since` to the last one.

    Medians of the samples during the requests that follow, BASE of the rest, and during the last
    END of the rest. A process that is first seen later has as many requests to get warm, from then
    on. One that has ended before it was warm is left out.
    """
    series: dict[str, list[Sample]] = {}
    for sample in samples:
        series.setdefault(sample.process, []).append(sample)
    rest = requests - since
    found = (_growth(each, since, BASE * rest, requests - END * rest) for each in series.values())
    return sorted((each for each in found if each), key=lambda each: -each.base)


def _growth(series: Sequence[Sample], since: int, base: float, last: float) -> Growth | None:
    warm = since + series[0].requests
    after = [each for each in series if each.requests >= warm]
    if not after:
        return None
    first = [each for each in after if each.requests < warm + base]
    end = [each for each in after if each.requests >= last]
    return Growth(
        series[0].process,
        statistics.median(each.resident for each in first or after[:1]),
        statistics.median(each.resident for each in end or after[-1:]),
        max(each.resident for each in after),
        statistics.median(each.unshared for each in end or after[-1:]),
        len({each.pid for each in series}),
    )
