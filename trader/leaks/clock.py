"""Another wall clock for a user's code, and for nobody else. For a process of its own.

Modules of the user's are given a `time` and a `datetime` of their own when they import them; libraries and compiled
modules keep the true ones, which they could not do without.
"""

import builtins
import datetime
import os
import time
from types import ModuleType
from typing import Any, Self

from trader.domain.units import SECOND_NS
from trader.leaks.outside import program_folders

MOVED_S = 42_182_231
"""488 days, 5 hours, 17 minutes and 11 seconds: another year, month, weekday, hour, minute and second."""

_AHEAD = datetime.timedelta(seconds=MOVED_S)


class MovedDatetime(datetime.datetime):
    """`datetime` with another now."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        """The moved moment."""
        return super().now(tz) + _AHEAD

    @classmethod
    def utcnow(cls) -> Self:
        """The moved moment, naive, in UTC."""
        return cls.now(datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Self:
        """The moved moment, naive."""
        return cls.now()


class MovedDate(datetime.date):
    """`date` with another today."""

    @classmethod
    def today(cls) -> Self:
        """The moved day."""
        return cls.fromordinal(MovedDatetime.now().toordinal())


def move_clock() -> None:
    """Whatever the user's modules import from now on sees a wall clock that is `MOVED_S` ahead.

    Intervals, which `time.monotonic` measures, stay as they are.
    """
    clocks = {"time": _moved_time(), "datetime": _moved_datetime()}
    programs = tuple(f"{folder}{os.sep}" for folder in program_folders())
    true_import = builtins.__import__

    def importing(name: str, importer: Any = None, *others: Any, **named: Any) -> Any:  # as Python calls it
        module = true_import(name, importer, *others, **named)
        file = (importer or {}).get("__file__")
        is_users = file is not None and not os.path.realpath(file).startswith(programs)
        return clocks.get(name, module) if is_users else module

    builtins.__import__ = importing  # type: ignore[assignment] # its arguments are passed on as they come


def _moved_time() -> ModuleType:
    moved = _copy_of(time)
    now, now_ns = time.time, time.time_ns  # noqa: TID251 -- the clock that is moved
    moved.__dict__["time"] = lambda: now() + MOVED_S
    moved.__dict__["time_ns"] = lambda: now_ns() + MOVED_S * SECOND_NS
    for name in ("localtime", "gmtime", "ctime"):
        moved.__dict__[name] = _at_moved_now(getattr(time, name), now)
    return moved


def _at_moved_now(shows: Any, now: Any) -> Any:
    return lambda secs=None: shows(now() + MOVED_S if secs is None else secs)


def _moved_datetime() -> ModuleType:
    moved = _copy_of(datetime)
    moved.__dict__.update(datetime=MovedDatetime, date=MovedDate)
    return moved


def _copy_of(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update(vars(module))
    return copy
