"""Options that several commands share, and what they become."""

import hashlib
import json
import os
from pathlib import Path

import msgspec
from msgspec.structs import replace

from trader.adapters.files.bars import BarSource, open_bars
from trader.adapters.files.known import known_sha256
from trader.adapters.files.layout import LayoutName
from trader.adapters.files.options import ReadOptions
from trader.adapters.files.rolls import Roll, RollPlan
from trader.app import BarsFacts
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import InvariantError
from trader.options import BarOptions, FileOptions, ShortOptions
from trader.samples import FACTS_NAME, SAMPLE_NAME, sample
from trader.settings import Settings, load_settings

SAMPLE = "sample"


def settings_from(files: FileOptions, short: ShortOptions | None = None) -> Settings:
    """The configuration in force. The only place that reads the process's environment."""
    named: list[str] = []
    if short is not None:
        forms = {
            "market": short.market,
            "strategy.name": short.strategy,
            "advisor.backend": short.advisor,
            "policy.bundle": short.bundle,
            "account.on_exhausted": short.on_exhausted,
            "journal.dir": None if short.log_dir is None else str(short.log_dir),
            "policy.allow_mismatch": True if short.allow_mismatch else None,
        }
        named = [f"{key}={json.dumps(value)}" for key, value in forms.items() if value is not None]
    return load_settings(
        profile=files.profile,
        config_dir=files.config_dir,
        config_file=files.config,
        overrides=[*named, *(files.overrides or [])],
        environ=os.environ,
    )


def open_source(options: BarOptions, market: Instrument, calendar: Calendar) -> BarSource:
    """The bar file, its facts established; InputError names file, line, field and remedy."""
    read = ReadOptions(
        layout=options.layout,
        tz=options.tz,
        stamp=options.stamp,
        contract=options.contract,
        on_bad_bar=options.on_bad_bar,
        date_from=options.date_from,
        date_to=options.date_to,
    )
    if is_sample(options):
        read = replace(read, rolls=_sample_rolls(calendar))
        return open_bars(Path(str(sample())), market=market, calendar=calendar, options=read)
    rolls = options.rolls
    if rolls is not None:
        read = replace(read, rolls="none" if rolls == "none" else Path(rolls))
    return open_bars(Path(options.bars), market=market, calendar=calendar, options=read)


def is_sample(options: BarOptions) -> bool:
    """Whether the embedded sample is meant; a file of that name wins."""
    return options.bars == SAMPLE and not Path(SAMPLE).exists()


def facts_for_log(source: BarSource, options: BarOptions) -> BarsFacts:
    """What the manifest says of the bars: everything that decides which bars the line sees.

    The rolls are stated by their content's hash: a file of that name may say something else tomorrow.
    """
    facts = source.facts
    return BarsFacts(
        source=SAMPLE_NAME if is_sample(options) else Path(facts.path).absolute().name,
        sha256=facts.sha256,
        synthetic=is_sample(options),
        bar_minutes=facts.bar_minutes,
        has_volume=facts.has_volume,
        options={
            "tz": facts.tz,
            "stamp": facts.stamp.value,
            "layout": facts.layout.name.value,
            "rolls": hashlib.sha256(msgspec.json.encode(source.plan)).hexdigest(),
            "contract": options.contract,
            "on_bad_bar": options.on_bad_bar,
            "from": options.date_from,
            "to": options.date_to,
            **({"known": known_sha256()} if facts.layout.name == LayoutName.DATABENTO else {}),
        },
    )


def _sample_rolls(calendar: Calendar) -> RollPlan:
    facts = json.loads(sample(FACTS_NAME).read_bytes())
    rolls = []
    for date, roll in facts["rolls"].items():
        session = calendar.on(date)
        if session is None:
            msg = f"the sample's roll on {date} is on a day without a session"
            raise InvariantError(msg)
        rolls.append(Roll(ts_ns=session.open_ns, contract=roll["to"], offset_points=roll["offset_points"]))
    return RollPlan(first_contract=None, rolls=tuple(rolls), is_adjusted=False)
