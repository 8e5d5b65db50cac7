"""Which quarterly contract is the front month on a date, where the data does not say: the calendar rule."""

import datetime

from trader.domain.instruments import MONTH_CODES, Instrument
from trader.errors import InvariantError

FRIDAY = 4


def roll_date(year: int, month: int) -> datetime.date:
    """The Monday before the third Friday, the expiry: the first session of the next contract (from 18:00 ET before)."""
    first = datetime.date(year, month, 1)
    third_friday = 1 + (FRIDAY - first.weekday()) % 7 + 14
    return datetime.date(year, month, third_friday - 4)


def front_contract(instrument: Instrument, date: str) -> str:
    """Contract code such as NQZ19 that is the front month in the session of ISO `date`, by the calendar rule."""
    day = datetime.date.fromisoformat(date)
    for year in (day.year, day.year + 1):
        for code in instrument.months:
            if day < roll_date(year, MONTH_CODES.index(code) + 1):
                return f"{instrument.symbol}{code}{year % 100:02d}"
    msg = f"{instrument.symbol} has no contract months"
    raise InvariantError(msg)
