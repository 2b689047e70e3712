"""How long answers took."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Latencies:
    """Milliseconds until the answer: of half of them it took no longer than `p50_ms`, and so on."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def latencies(seconds: Iterable[float]) -> Latencies:
    """Of what took these seconds; of none at all everything is 0."""
    times = sorted(1000 * each for each in seconds)
    if not times:
        return Latencies(0, 0.0, 0.0, 0.0, 0.0)

    def percentile(share: float) -> float:
        return times[math.ceil(share * len(times)) - 1]

    return Latencies(len(times), percentile(0.5), percentile(0.95), percentile(0.99), times[-1])
