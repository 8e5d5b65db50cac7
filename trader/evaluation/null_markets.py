"""Markets on which nothing can be earned: the share of them on which the verdict says yes is how often it is wrong.

Each is a random walk of `trader.adapters.synthetic` without momentum, with the market's hours, clustered volatility and
bounces of a tick. The strategy trades it through the engine, with the costs of the settings; 200 random strategies
trade as it did; the verdict is that of an evaluation. By its rule a strategy like its random ones is called better on
2 of 201 markets.
"""

import asyncio

import numpy as np
from msgspec import Struct

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.analysis.evaluation import RunName
from trader.analysis.evaluation_parts import VerdictKind
from trader.analysis.verdict import RANDOM_SEEDS, verdict
from trader.app import BarsFacts
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.band import FIRST_SEED, make_arena, plan_entries, random_entries
from trader.evaluation.figures import measure
from trader.evaluation.runs import Market, trade
from trader.evaluation.whole import reads_all
from trader.settings import Settings, decision_hash
from trader.training.ground import prepare_ground

START = "2021-01-04"
ALLOWED_SHARE = 0.05
"""At most 10 false yes over 200 markets: five times what the rule gives, so that chance alone does not fail it."""


class NullMarket(Struct, frozen=True, kw_only=True):
    """Which market: the seed of its walk, the length of its bars and its sessions.

    `momentum` is 0 where nothing can be earned; a little of it shows that the verdict can say yes.
    """

    seed: int
    bar_minutes: int
    sessions: int
    momentum: float = 0.0


class NullResult(Struct, frozen=True, kw_only=True):
    """What became of a strategy on such a market; R a session. `fewest` and `most` are trades of a random strategy.

    `bundle` is the SHA-256 of its model, None without one; `config` the hash of the settings that decide.
    """

    strategy: str
    bundle: str | None
    config: str
    market: NullMarket
    trades: int
    mean_daily_r: float
    random_mean_r: float
    random_deviation_r: float
    fewest: int
    most: int
    kind: VerdictKind
    p: float | None


def null_bars(market: NullMarket, symbol: str) -> BarColumns:
    """The bars of a walk under the calendar of `symbol`; the same arguments give the same bars."""
    walk = SyntheticMarket(
        instrument=instrument(symbol), bar_minutes=market.bar_minutes, rolls=False, momentum=market.momentum
    )
    return concatenate(list(generate(market.seed, START, market.sessions, calendar=Calendar.load(), market=walk)))


def facts_of(market: NullMarket) -> BarsFacts:
    """What a run is told of such bars."""
    source = f"random walk {market.seed}"
    return BarsFacts(source=source, sha256="0" * 64, synthetic=True, bar_minutes=market.bar_minutes, has_volume=True)


def judge(settings: Settings, market: NullMarket, seeds: int = RANDOM_SEEDS) -> NullResult:
    """Evaluate the strategy of `settings` on the market; nothing is written, no trial is counted.

    InputError where the bars are too short to trade on.
    """
    symbol, calendar = instrument(settings.market), Calendar.load()
    columns = null_bars(market, settings.market)
    bars = Market(columns=columns, facts=facts_of(market))
    made = asyncio.run(trade(bars, settings, RunName.FUSED, _unseen))
    arena = make_arena(prepare_ground(settings, columns, calendar, symbol), columns, calendar, full=reads_all(made))
    plan = plan_entries(made.witness, arena)
    by_luck = [random_entries(arena, plan, seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    means = np.array([one.daily_r.mean() for one in by_luck])
    counts = [len(one.trades) for one in by_luck]
    figures = measure(made, symbol, seed=0).statistics
    mean_r = figures.mean_r.value or 0.0
    found = verdict(mean_r, means, sessions=figures.sessions, trades=figures.trades)
    return NullResult(
        strategy=settings.strategy.name,
        bundle=None if made.run.bundle is None else made.run.bundle.id,
        config=decision_hash(settings),
        market=market,
        trades=figures.trades,
        mean_daily_r=mean_r,
        random_mean_r=float(means.mean()),
        random_deviation_r=float(means.std(ddof=1)),
        fewest=min(counts),
        most=max(counts),
        kind=found.kind,
        p=found.p,
    )


def false_yes(results: list[NullResult]) -> int:
    """How often the verdict called luck better than luck."""
    return sum(one.kind is VerdictKind.BETTER for one in results)


def _unseen(bars: int) -> None:
    """Progress of one market is shown to nobody: there are hundreds."""
    del bars
