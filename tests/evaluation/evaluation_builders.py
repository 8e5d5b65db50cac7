"""Runs to evaluate: a small synthetic market with everything in it, and runs of it that tests share."""

import asyncio
from functools import cache

from replays import FACTS, SEED, busy_settings

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.analysis.evaluation import RunName
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.runs import Made, Market, plan_runs, trade, trade_beside
from trader.settings import Settings

START = "2022-02-28"
SESSIONS = 25
PLACEBO_SEED = 3


@cache
def columns(sessions: int = SESSIONS) -> BarColumns:
    """Bars of 15 minutes with a roll in them."""
    market = SyntheticMarket(instrument=instrument("NQ"), bar_minutes=15)
    return concatenate(list(generate(SEED, START, sessions, calendar=Calendar.load(), market=market)))


def market(sessions: int = SESSIONS) -> Market:
    """The same with what a manifest says of it."""
    return Market(columns=columns(sessions), facts=FACTS)


def settings(*overrides: str) -> Settings:
    """Many entries, advice that counts, accounts that are used up and renewed."""
    return busy_settings("account.on_exhausted=renew", *overrides)


def done(*overrides: str, sessions: int = SESSIONS) -> Made:
    """A headline run under these settings."""
    return _headline(overrides, sessions)


def beside(name: RunName, *overrides: str) -> Made:
    """The run `name` beside that headline."""
    headline = done(*overrides)
    plan = plan_runs(headline.settings, PLACEBO_SEED)
    return asyncio.run(trade_beside(market(), headline, name, plan, no_progress))


def no_progress(bars: int) -> None:
    """Nobody looks."""
    del bars


@cache
def _headline(overrides: tuple[str, ...], sessions: int) -> Made:
    return asyncio.run(trade(market(sessions), settings(*overrides), RunName.FUSED, no_progress))
