"""The calendar rule of contract rolls against dates written by hand."""

from datetime import date

import pytest

from trader.domain.instruments import INSTRUMENTS
from trader.domain.rolls import front_contract, roll_date


@pytest.mark.parametrize(
    ("year", "month", "monday"),
    [
        (2019, 3, date(2019, 3, 11)),
        (2019, 6, date(2019, 6, 17)),
        (2019, 9, date(2019, 9, 16)),
        (2019, 12, date(2019, 12, 16)),
        (2023, 9, date(2023, 9, 11)),
        (2024, 3, date(2024, 3, 11)),
        (2030, 3, date(2030, 3, 11)),
        (2033, 6, date(2033, 6, 13)),
    ],
)
def test_roll_date_of_a_quarter_is_the_monday_of_expiry_week(year: int, month: int, monday: date) -> None:
    """Third Fridays read off a calendar, less four days; month starts on every kind of weekday."""
    assert roll_date(year, month) == monday


@pytest.mark.parametrize(
    ("day", "contract"),
    [
        ("2019-03-08", "NQH19"),
        ("2019-03-11", "NQM19"),
        ("2019-06-14", "NQM19"),
        ("2019-06-17", "NQU19"),
        ("2019-12-13", "NQZ19"),
        ("2019-12-16", "NQH20"),
        ("2023-12-31", "NQH24"),
        ("2024-01-02", "NQH24"),
    ],
)
def test_front_contract_around_a_roll_changes_on_the_monday(day: str, contract: str) -> None:
    """The session of the Monday is the first of the new contract, over the turn of the year too."""
    assert front_contract(INSTRUMENTS["NQ"], day) == contract
