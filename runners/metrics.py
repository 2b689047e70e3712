"""What runners count: batches as they really ran, calls that wait, and starts.

As in web.metrics, each is made when it is first asked for, in a worker. The label `runner` is the
name of its service.
"""

from functools import cache
from typing import TYPE_CHECKING

from bentoml import server_context

from web.metrics import forget_the_dead

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

PAGES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
LINES = (1, 2, 5, 10, 20, 40, 60, 80, 120, 160, 240, 320, 640)


@cache
def batch_pages() -> "Histogram":
    from prometheus_client import Histogram

    text = "Pages that a runner took on at once"
    return Histogram("ocr_batch_pages", text, ["runner"], buckets=PAGES)


@cache
def batch_lines() -> "Histogram":
    from prometheus_client import Histogram

    return Histogram("ocr_batch_lines", "Lines that were taken on at once", buckets=LINES)


@cache
def queue() -> "Gauge":
    from prometheus_client import Gauge

    text = "Calls that wait for their turn at a runner; all its processes' together"
    return Gauge("ocr_runner_queue", text, ["runner"], multiprocess_mode="livesum")


@cache
def starts() -> "Counter":
    from prometheus_client import Counter

    text = "Starts of a runner's processes: more than it has are restarts"
    return Counter("ocr_runner_starts", text, ["runner"])


def count_start() -> None:
    """Count that this process has come up; what else it counts stands at nought."""
    forget_the_dead()
    starts().labels(_runner()).inc()
    batch_pages().labels(_runner())
    set_queue(0)


def count_batch(pages: int, lines: int | None = None) -> None:
    """Count a batch of a network that takes pages, or their lines."""
    batch_pages().labels(_runner()).observe(pages)
    if lines is not None:
        batch_lines().observe(lines)


def set_queue(calls: int) -> None:
    """Say how many calls wait in this process."""
    queue().labels(_runner()).set(calls)


def _runner() -> str:
    return server_context.service_name or "none"  # outside a server
