"""Make `trader/domain/sessions.csv`, the table of CME Globex equity sessions. Needs the `dev` extra.

Source: pandas_market_calendars 5.5.0, `CME Globex Equity` for the futures and `NYSE` for the cash market, and the
overrides below, each reviewed against what the exchange did or announced. Usage: python scripts/make_sessions.py [FILE]
"""

import sys
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas_market_calendars as mcal

FIRST, LAST = "2015-09-21", "2035-12-31"
NEW_YORK = "America/New_York"
TABLE = Path(__file__).parents[1] / "trader" / "domain" / "sessions.csv"
HEADER = "date,close,rth_close,halt_start,halt_end,hours_behind_utc"

OPEN = "1800"
FULL_CLOSE = "1700"
CASH_OPEN = "0930"
NONE = "0000"
LAST_HALT = "2021-06-25"
"""The last session with the 16:15-16:30 ET halt: CME dropped it from trade date 2021-06-28 on."""

CLOSED = "closed"
_NO_JOBS_REPORT = (
    "Good Friday without a jobs report: no session. Globex opened until 09:15 ET on the Good Fridays of 2012, 2015, "
    "2021 and 2023, each the day of the monthly employment report, and on none of the others from 2011 to 2023; "
    "the library opens every one after 2022"
)
OVERRIDES: dict[str, tuple[str, str]] = {
    "2018-12-05": ("0930", "day of mourning for G. H. W. Bush: NYSE closed, equity futures until 09:30 ET"),
    "2024-03-29": (CLOSED, _NO_JOBS_REPORT),
    "2025-01-09": (
        "0930",
        "day of mourning for J. Carter: NYSE closed, equity futures until 08:30 CT (CME, 2024-12-30)",
    ),
    "2025-04-18": (CLOSED, _NO_JOBS_REPORT),
    "2027-03-26": (CLOSED, _NO_JOBS_REPORT),
    "2028-04-14": (CLOSED, _NO_JOBS_REPORT),
    "2029-03-30": (CLOSED, _NO_JOBS_REPORT),
    "2030-04-19": (CLOSED, _NO_JOBS_REPORT),
    "2031-04-11": (CLOSED, _NO_JOBS_REPORT),
    "2032-03-26": (CLOSED, _NO_JOBS_REPORT),
    "2033-04-15": (CLOSED, _NO_JOBS_REPORT),
    "2035-03-23": (CLOSED, _NO_JOBS_REPORT),
}
"""Date of the session: (close as HHMM ET, or closed; why)."""


def closes(calendar: str) -> tuple[dict[str, str], set[str]]:
    """Close of each session of a library calendar as HHMM ET by date, and the set of its opens."""
    schedule = mcal.get_calendar(calendar).schedule(FIRST, LAST, tz=NEW_YORK)
    dates = [day.strftime("%Y-%m-%d") for day in schedule.index]
    opens = {f"{moment:%H%M}" for moment in schedule["market_open"]}
    return dict(zip(dates, (f"{moment:%H%M}" for moment in schedule["market_close"]), strict=True)), opens


def reviewed(futures: dict[str, str]) -> dict[str, str]:
    """The library's closes with the overrides applied; an override that changes nothing is an error."""
    table = dict(futures)
    for day, (close, _) in OVERRIDES.items():
        if table[day] == close:
            msg = f"the override of {day} changes nothing: the library has caught up, remove it"
            raise SystemExit(msg)
        if close == CLOSED:
            del table[day]
        else:
            table[day] = close
    return table


def row(day: str, close: str, cash_close: str | None) -> str:
    """One line of the table; every cell has a fixed width, which the reader relies on."""
    halted = close == FULL_CLOSE and day <= LAST_HALT
    noon = datetime.combine(date.fromisoformat(day), time(12), ZoneInfo(NEW_YORK))
    offset = noon.utcoffset()
    if offset is None:
        msg = f"no UTC offset on {day}"
        raise SystemExit(msg)
    halt = "1615,1630" if halted else f"{NONE},{NONE}"
    return f"{day},{close},{cash_close or NONE},{halt},{-int(offset.total_seconds()) // 3600}"


def table() -> str:
    """The whole file."""
    futures, opens = closes("CME Globex Equity")
    cash, cash_opens = closes("NYSE")
    if opens != {OPEN} or cash_opens != {CASH_OPEN}:
        msg = f"opens are not {OPEN} and {CASH_OPEN} ET throughout: {opens}, {cash_opens}"
        raise SystemExit(msg)
    sessions = reviewed(futures)
    stray = [day for day in cash if day not in sessions]
    if stray:
        msg = f"cash market open without futures: {', '.join(stray)}"
        raise SystemExit(msg)
    return "\n".join([HEADER, *(row(day, sessions[day], cash.get(day)) for day in sorted(sessions))]) + "\n"


def main() -> None:
    """Write the table to FILE, or to its place in the package."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE
    path.write_text(table(), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
