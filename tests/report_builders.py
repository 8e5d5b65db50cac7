"""Trades, fills and bars to feed a tally with, each figure of them computable by hand."""

from collections.abc import Iterable

from log_builders import MINUTE_NS, NQ
from msgspec.structs import replace

from trader.analysis.figures import Report, RunFacts
from trader.analysis.report import Tally
from trader.domain.actions import Action, Side
from trader.domain.decisions import FusionMethod, Rule
from trader.domain.orders import ClosedTrade, ExitReason, Fill

FACTS = RunFacts(
    market="NQ",
    strategy="ppo",
    source="NQ.csv",
    bars_sha256="aa",
    is_synthetic=False,
    mismatches=(),
    model=None,
    slippage_ticks=1,
    forced_slippage_ticks=2,
    advisor=None,
)
RULES = list(Rule)


def a_trade(**changes: object) -> ClosedTrade:
    """A long of one contract that made 40 ticks in 30 minutes: 200.00 - 4.50 $ with 200 $ at risk, unless changed."""
    trade = ClosedTrade(
        side=Side.BUY,
        qty=1,
        entry_ticks=60_000,
        exit_ticks=60_040,
        opened_ns=10 * MINUTE_NS,
        closed_ns=40 * MINUTE_NS,
        pnl_cents=19_550,
        optimistic_pnl_cents=19_550,
        risk_cents=20_000,
        reason=ExitReason.TARGET,
        is_ambiguous=False,
    )
    return replace(trade, **changes)


# A short that lost 20 ticks: -100.00 - 4.50 $ with 100 $ at risk; its target would have made 30 ticks: 150.00 - 4.50 $.
LOST = a_trade(
    side=Side.SELL,
    entry_ticks=60_100,
    exit_ticks=60_120,
    opened_ns=50 * MINUTE_NS,
    closed_ns=60 * MINUTE_NS,
    pnl_cents=-10_450,
    optimistic_pnl_cents=14_550,
    risk_cents=10_000,
    reason=ExitReason.STOP,
    is_ambiguous=True,
)
EVEN = a_trade(pnl_cents=0, optimistic_pnl_cents=0, risk_cents=0, exit_ticks=60_001, closed_ns=15 * MINUTE_NS)


def a_fill(reason: ExitReason | None = None, qty: int = 1) -> Fill:
    """A fill of NQ with its commission."""
    return Fill(
        order_ref="r",
        nth=1,
        side=Side.BUY,
        qty=qty,
        remaining_qty=0,
        price_ticks=60_000,
        commission_cents=225 * qty,
        ts_ns=0,
        reason=reason,
    )


def tally_of(trades: Iterable[ClosedTrade] = ()) -> Tally:
    """A tally that was told of these trades, with an entry and an exit each."""
    tally = Tally(NQ)
    for trade in trades:
        tally.fill(a_fill())
        tally.fill(a_fill(trade.reason))
        tally.trade(trade)
    return tally


def reported(tally: Tally, facts: RunFacts = FACTS) -> Report:
    """Its report."""
    return tally.report(facts, accounts_used=1)


def count_bar(
    tally: Tally,
    equity_cents: int,
    *,
    session: str = "2023-01-10",
    close_ns: int = 0,
    action: Action = Action.HOLD,
    method: FusionMethod = FusionMethod.RL_ONLY,
    rules: Iterable[Rule] = (),
    in_window: bool = True,
) -> None:
    """One bar."""
    bits = sum(1 << RULES.index(rule) for rule in rules)
    tally.bar(session, close_ns, action, method, bits, in_window, equity_cents)
