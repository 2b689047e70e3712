"""How long is waited before a call is made again, and when it is not."""

from datetime import UTC, datetime

import pytest

from ocr.retries import Retries, seconds_told

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 7 ", 7),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
    ],
)
def test_what_a_server_asks_for_is_seconds_or_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert seconds_told(header, NOW) == seconds


def test_waits_double_up_to_the_longest_and_are_cut_short_by_chance() -> None:
    retries = Retries(count=2000, total_s=1e6, first_s=1, longest_s=10)
    for attempts, longest in ((1, 1), (2, 2), (4, 8), (5, 10), (1500, 10)):
        waits = [retries.wait(attempts, 0) or 0 for _ in range(200)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_what_the_server_asks_for_counts_more_than_the_own_measure() -> None:
    retries = Retries(first_s=1, longest_s=2)
    assert retries.wait(1, 0, 30) == 30
    assert retries.wait(5, 0, 0) == 0


def test_number_and_time_are_bounded() -> None:
    retries = Retries(count=3, total_s=60)
    assert retries.wait(3, 0) is not None
    assert retries.wait(4, 0) is None
    assert retries.wait(1, 50, 10) == 10
    assert retries.wait(1, 50, 11) is None
