"""The service's own Prometheus metrics. All values of their labels are known beforehand.

Each is made when it is first asked for, in a worker: imported any sooner, prometheus_client would
count for its own process only, and not for all of the server's together.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ocr import stages
from ocr.errors import Busy, InferenceFailed, OcrError, RateLimited
from ocr.stages import Stage

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

READ = "read"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
SHORT = (0.001, 0.0025, 0.005, *SECONDS)
LIVE = re.compile(r"gauge_live[a-z]+_(\d+)\.db")  # a process's part of gauges of the living


@cache
def requests() -> "Counter":
    from prometheus_client import Counter

    return Counter("ocr_requests", "Requests, by route and status", ["route", "status"])


@cache
def request_seconds() -> "Histogram":
    from prometheus_client import Histogram

    text = "Seconds from a request's head to its answer's last byte"
    return Histogram("ocr_request_seconds", text, ["route"], buckets=SECONDS)


@cache
def requests_in_work() -> "Gauge":
    """The gauge by which one knows that more servers are needed; all processes' together."""
    from prometheus_client import Gauge

    text = "Requests that wait or are being worked on"
    return Gauge("ocr_requests_in_work", text, multiprocess_mode="livesum")


@cache
def requests_refused() -> "Counter":
    from prometheus_client import Counter

    text = "Requests answered with an error as a whole, by its code"
    return Counter("ocr_requests_refused", text, ["code"])


@cache
def images() -> "Counter":
    from prometheus_client import Counter

    text = "Images, by what came of them: read, or the error's code"
    return Counter("ocr_images", text, ["outcome"])


@cache
def images_waiting() -> "Gauge":
    from prometheus_client import Gauge

    text = "Images that wait or are being read; all processes' together"
    return Gauge("ocr_images_waiting", text, multiprocess_mode="livesum")


@cache
def pages() -> "Counter":
    from prometheus_client import Counter

    return Counter("ocr_pages", "Pages that were read")


@cache
def lines() -> "Counter":
    from prometheus_client import Counter

    return Counter("ocr_lines", "Lines that were read")


@cache
def stage_seconds() -> "Histogram":
    from prometheus_client import Histogram

    text = "Seconds that a stage of reading took, with what it waited for"
    return Histogram("ocr_stage_seconds", text, ["stage"], buckets=SHORT)


def count_request(route: str, status: int, seconds: float) -> None:
    requests().labels(route, status).inc()
    request_seconds().labels(route).observe(seconds)


def count_refused(code: str) -> None:
    """Count a request that got this error for an answer."""
    requests_refused().labels(_known(code)).inc()


def count_image(outcome: str) -> None:
    """Count an image: `outcome` is "read" or the code of its error."""
    images().labels(outcome if outcome == READ else _known(outcome)).inc()


def count_page(lines_read: int) -> None:
    """Count a page that was read, and its lines."""
    pages().inc()
    lines().inc(lines_read)


def prepare() -> None:
    """Make all of them in this worker, at nought: a rate cannot start from what is not there."""
    requests_in_work().set(0)
    images_waiting().set(0)
    for outcome in (READ, InferenceFailed.code, OcrError.code):
        images().labels(outcome)
    for error in (Busy, RateLimited):
        requests_refused().labels(error.code)
    for stage in get_args(Stage):
        stage_seconds().labels(stage)
    pages()
    lines()
    requests()
    request_seconds()
    _listen()
    forget_the_dead()


@cache
def _listen() -> None:
    stages.listen(lambda stage, seconds: stage_seconds().labels(stage).observe(seconds))


def _known(code: str) -> str:
    """The code, if an error has it."""
    return OcrError.of(code, "").code


def forget_the_dead() -> None:
    """Take what killed workers left out of the gauges of those that live.

    A worker that ends by itself does so at its end; one that was killed would count for ever.
    Called by the one that takes its place.
    """
    from prometheus_client.multiprocess import mark_process_dead

    for pid in _counted():
        if not _lives(pid):
            with suppress(FileNotFoundError):  # another one was quicker
                mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _counted() -> Iterator[int]:
    """The processes that have a part in gauges of the living."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for path in Path(folder).iterdir() if folder else ():
        if found := LIVE.fullmatch(path.name):
            yield int(found[1])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
