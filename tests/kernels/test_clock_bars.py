"""The 15- and 60-minute bars: where buckets begin and end, and when they are known."""

import numpy as np
import pytest

from trader.kernels import clock_bars
from trader.kernels.clock_bars import CLOSE, CLOSED, HIGH, LOW, SIZE, TRUE_RANGE

OPEN = 1_000_000
CLOSE_MIN = OPEN + 1_380
HALT = (OPEN + 1_335, OPEN + 1_350)  # 16:15 to 16:30 of a session that opened at 18:00
NO_HALT = (0, 0)


@pytest.mark.parametrize(
    ("minute", "period", "halt", "expected"),
    [
        (0, 15, NO_HALT, (0, 15)),
        (14, 15, NO_HALT, (0, 15)),
        (15, 15, NO_HALT, (15, 30)),
        (59, 60, NO_HALT, (0, 60)),
        (1_379, 60, NO_HALT, (1_320, 1_380)),
        (1_334, 60, HALT, (1_320, 1_335)),
        (1_350, 60, HALT, (1_350, 1_380)),
        (1_351, 15, HALT, (1_350, 1_365)),
        (1_319, 60, HALT, (1_260, 1_320)),
    ],
)
def test_bucket_of_a_minute_lies_on_the_grid_and_ends_at_halts(
    minute: int, period: int, halt: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Anchored at the session's open; the halt cuts the hour before it and starts the one after it."""
    shifted = (HALT[0], HALT[1]) if halt == HALT else NO_HALT
    start = clock_bars.bucket_start(OPEN + minute, period, OPEN, shifted[1])
    end = clock_bars.bucket_end(OPEN + minute, period, OPEN, CLOSE_MIN, shifted[0])
    assert (start - OPEN, end - OPEN) == expected


def test_bucket_of_a_half_day_ends_with_its_session() -> None:
    """A session of 19 hours and 15 minutes has a last hourly bar of 15 minutes."""
    assert clock_bars.bucket_end(OPEN + 1_141, 60, OPEN, OPEN + 1_155, 0) == OPEN + 1_155


class _Hours:
    """A block of hourly bars that is fed bar by bar; `minute` counts from the session's open."""

    def __init__(self) -> None:
        self.state = np.zeros(SIZE)
        self.count = 0

    def add(self, minute: int, close: float, *, bar_minutes: int = 1, first_of_session: bool = False) -> None:
        clock_bars.add_bar(
            self.state, 0, 60, OPEN + minute, OPEN + minute + bar_minutes, close + 1, close - 1, close,
            self.count == 0, first_of_session, OPEN, CLOSE_MIN, 0, 0,
        )  # fmt: skip
        self.count += 1

    def closed(self) -> int:
        return int(self.state[CLOSED])


def test_add_bar_that_reaches_the_end_closes_the_bucket() -> None:
    """The hour is known with the bar that ends it, not one later."""
    hours = _Hours()
    for minute in range(59):
        hours.add(minute, 100.0 + minute)
    assert hours.closed() == 0
    hours.add(59, 50.0)
    assert hours.closed() == 1
    assert hours.state[[CLOSE, HIGH, LOW]].tolist() == [50.0, 159.0, 49.0]


def test_add_bar_after_a_gap_closes_the_bucket_late_with_its_last_close() -> None:
    """No bar reached the hour's end: the first later bar closes it and is not part of it."""
    hours = _Hours()
    hours.add(0, 100.0)
    hours.add(40, 110.0)
    assert hours.closed() == 0
    hours.add(185, 500.0)
    assert hours.closed() == 1
    assert hours.state[CLOSE] == 110.0
    assert hours.state[HIGH] == 501.0


def test_add_bar_across_the_end_belongs_to_the_bucket_of_its_open() -> None:
    """A seven-minute bar from :56 to :63 closes the first hour."""
    hours = _Hours()
    hours.add(0, 100.0, bar_minutes=7)
    hours.add(56, 130.0, bar_minutes=7)
    assert (hours.closed(), hours.state[CLOSE]) == (1, 130.0)


def test_add_bar_can_close_two_buckets() -> None:
    """One late and its own: a bar after a gap that itself ends an hour."""
    hours = _Hours()
    hours.add(0, 100.0)
    hours.add(119, 90.0)
    assert (hours.closed(), hours.state[CLOSE]) == (2, 90.0)


def test_add_bar_of_a_new_session_closes_what_the_old_one_left() -> None:
    """Also where its clock has not reached the old bucket's end."""
    hours = _Hours()
    hours.add(0, 100.0)
    hours.add(30, 120.0, first_of_session=True)
    assert (hours.closed(), hours.state[CLOSE]) == (1, 100.0)


def test_add_bar_leaves_out_the_bucket_in_which_the_history_begins() -> None:
    """An hour seen from its 20th minute is no hourly bar."""
    hours = _Hours()
    for minute in range(20, 60):
        hours.add(minute, 100.0)
    assert hours.closed() == 0
    for minute in range(60, 120):
        hours.add(minute, 100.0)
    assert hours.closed() == 1


def test_true_range_of_closed_bars_reaches_to_the_close_before() -> None:
    """Hours 100 +-1, then 120 +-1 and 111 +-1: true ranges 21 and 10, and their mean while fewer than 14."""
    hours = _Hours()
    for hour, close in enumerate((100.0, 120.0, 111.0)):
        hours.add(60 * hour + 59, close) if hour else hours.add(0, close, bar_minutes=60)
    assert hours.closed() == 3
    assert hours.state[TRUE_RANGE] == (21 + 10) / 2
