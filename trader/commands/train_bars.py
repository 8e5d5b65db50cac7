"""The bars that a training learns from or is validated on: a file, the sample, or the synthetic market."""

from pathlib import Path

from msgspec import Struct, structs

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.commands.common import is_sample, open_source
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import UsageError
from trader.options import BarOptions

SYNTHETIC = "synthetic"
SYNTHETIC_SEED = 1
VALIDATION_SEED = 1_000_004
"""Another one for validation: the same seed would draw the same returns again."""


class LearnBars(Struct, frozen=True, kw_only=True, eq=False):
    """All bars at once, and what a manifest says of them. `seed` is the synthetic market's."""

    columns: BarColumns
    name: str
    bar_minutes: int
    has_volume: bool
    seed: int | None
    is_synthetic: bool


def learn_bars(options: BarOptions, market: Instrument, calendar: Calendar, *, validates: bool = False) -> LearnBars:
    """Read or generate them; InputError names file, line, field and remedy."""
    if options.bars == SYNTHETIC and not Path(SYNTHETIC).exists():
        return _synthetic(options, market, calendar, VALIDATION_SEED if validates else SYNTHETIC_SEED)
    source = open_source(options, market, calendar)
    columns = concatenate(list(source.columns()))
    return LearnBars(
        columns=columns,
        name="sample" if is_sample(options) else Path(source.facts.path).name,
        bar_minutes=source.facts.bar_minutes,
        has_volume=source.facts.has_volume,
        seed=None,
        is_synthetic=is_sample(options),
    )


def between(options: BarOptions, date_from: str, date_to: str) -> BarOptions:
    """The same bars of other sessions."""
    return structs.replace(options, date_from=date_from, date_to=date_to)


def _synthetic(options: BarOptions, market: Instrument, calendar: Calendar, seed: int) -> LearnBars:
    if options.date_from is None or options.date_to is None:
        msg = "--bars synthetic needs --from and --to: the first and the last session to generate"
        raise UsageError(msg)
    sessions = calendar.index_from(options.date_to) - calendar.index_from(options.date_from) + 1
    made = generate(seed, options.date_from, sessions, calendar=calendar, market=SyntheticMarket(instrument=market))
    columns = concatenate(list(made))
    return LearnBars(
        columns=columns, name="synthetic market", bar_minutes=1, has_volume=True, seed=seed, is_synthetic=True
    )
