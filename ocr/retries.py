"""When a call that failed is made again: bounded in number and in time."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DICE = random.SystemRandom()


@dataclass(frozen=True)
class Retries:
    """At most `count` more attempts, none of them later than `total_s` after the first one.

    Where the server does not say how long to wait, the waits double from `first_s` up to
    `longest_s`; each is cut short by chance, up to a half, so that clients do not come together.
    """

    count: int = 8
    total_s: float = 120.0
    first_s: float = 0.5
    longest_s: float = 20.0

    def wait(self, attempts: int, spent_s: float, told_s: float | None = None) -> float | None:
        """Seconds until the next attempt after so many in so much time; None if it was the last.

        `told_s` is what the server asks for; if that is longer than there is time, it was the last.
        """
        if attempts > self.count:
            return None
        wait = self._backoff(attempts) if told_s is None else told_s
        return wait if spent_s + wait <= self.total_s else None

    def _backoff(self, attempts: int) -> float:
        doubled = self.first_s * 2.0 ** min(attempts - 1, 60)
        return min(self.longest_s, doubled) * _DICE.uniform(0.5, 1.0)


def seconds_told(retry_after: str | None, now: datetime | None = None) -> float | None:
    """What a Retry-After header asks for, in seconds or as an HTTP date; None if it is neither."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())
