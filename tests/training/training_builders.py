"""Synthetic bars for training tests, with the awkward things that real files have."""

from functools import cache

import msgspec
import numpy as np
from line_builders import settings_with

from trader import assembly
from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar, et_ns
from trader.kernels import book
from trader.training.ground import Ground, prepare_ground
from trader.training.tape import TrainingTape, make_tape

NQ = instrument("NQ")
CALENDAR = Calendar.load()


@cache
def some_bars(start: str = "2019-11-20", sessions: int = 6, seed: int = 5) -> BarColumns:
    """Minutes of a few sessions around Thanksgiving 2019: half days, the 16:15 halt, missing minutes at night."""
    market = SyntheticMarket(instrument=NQ)
    return concatenate(list(generate(seed, start, sessions, calendar=CALENDAR, market=market)))


def without(columns: BarColumns, date: str, start: str, end: str) -> BarColumns:
    """The same without the minutes that open in [start, end) of New York's clock in the session of `date`."""
    session = CALENDAR.on(date)
    assert session is not None
    opens = columns.ts_open_ns
    keep = (opens < et_ns(session, start)) | (opens >= et_ns(session, end))
    assert not keep.all()
    names = ("ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "volume", "symbol_index", "roll_offset")
    return msgspec.structs.replace(columns, **{name: getattr(columns, name)[keep] for name in names})


def rolled_at(columns: BarColumns, date: str, clock: str, points: float) -> BarColumns:
    """The same with another contract, `points` higher, from the minute that opens at `clock` of that session on."""
    session = CALENDAR.on(date)
    assert session is not None
    at = int(np.searchsorted(columns.ts_open_ns, et_ns(session, clock)))
    later = np.arange(len(columns)) >= at
    prices = {name: getattr(columns, name) + points * later for name in ("open", "high", "low", "close")}
    offsets = columns.roll_offset.copy()
    offsets[at] = points
    return msgspec.structs.replace(
        columns,
        **prices,
        symbols=(*columns.symbols, "NQZ99"),
        symbol_index=np.where(later, len(columns.symbols), columns.symbol_index),
        roll_offset=offsets,
    )


def awkward_bars() -> BarColumns:
    """A session that ends at 15:33, one with a hole over the time to be flat, one that rolls at 11:00."""
    columns = without(some_bars(), "2019-11-22", "15:33", "17:00")
    columns = without(columns, "2019-11-25", "15:20", "16:05")
    return rolled_at(columns, "2019-11-26", "11:00", 23.25)


def a_tape(columns: BarColumns, *overrides: str) -> TrainingTape:
    """Prepared as the shipped settings, changed by `overrides`, say."""
    return make_tape(columns, CALENDAR, assembly.window(settings_with(*overrides)), NQ)


def a_ground(columns: BarColumns, *overrides: str) -> Ground:
    """Prepared with terms and limits as well."""
    return prepare_ground(settings_with(*overrides), columns, CALENDAR, NQ)


def terms_with(*overrides: str) -> book.Terms:
    """The shipped terms of trade, changed by `overrides`."""
    return assembly.terms_of_trade(settings_with(*overrides), NQ).as_row(NQ)
