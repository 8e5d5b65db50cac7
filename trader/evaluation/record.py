"""Puts the record of an evaluation together from runs that have ended."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.analysis.calibration import calibration
from trader.analysis.evaluation import Headline, RunName, RunRecord
from trader.analysis.evaluation_parts import (
    AdviceFacts,
    AmbiguousInterval,
    Calibration,
    CostStress,
    TradeRow,
)
from trader.analysis.metrics import share_pct
from trader.assembly import commission_side_cents
from trader.domain.decisions import Advice, AdviceStatus, FusionMethod, Proposal
from trader.domain.instruments import Instrument, instrument
from trader.domain.orders import ExitReason
from trader.evaluation import attribution
from trader.evaluation.attribution import SIDES, WouldBe, cut
from trader.evaluation.figures import Costs, Measured
from trader.evaluation.runs import STRESS_FACTOR, TITLES, Made
from trader.evaluation.witness import Trade

Floats = NDArray[np.float64]


class Seen(Struct, frozen=True, kw_only=True):
    """A run and its figures."""

    made: Made
    measured: Measured

    @property
    def name(self) -> RunName:
        """Which run it is."""
        return self.made.name


def run_record(seen: Seen) -> RunRecord:
    """A run as the record states it."""
    return RunRecord(
        name=seen.name,
        title=TITLES[seen.name],
        accounts_used=seen.made.report.run.accounts_used,
        statistics=seen.measured.statistics,
        daily=seen.measured.rows,
    )


def headline_of(made: Made, market: Instrument, costs: Costs, would_be: WouldBe) -> Headline:
    """What is kept of the headline alone."""
    trades, decisions = made.witness.trades, made.report.decisions
    rows = attribution.trade_rows(trades, market, costs)
    blocked = made.witness.blocked
    vetoed = attribution.veto_rows([one for one in blocked if one.rules], would_be, market)
    return Headline(
        trades=rows,
        vetoed=vetoed,
        turned_away=attribution.veto_rows([one for one in blocked if not one.rules], would_be, market),
        by_side=cut(trades, [row.side for row in rows], SIDES.values()),
        by_hour=cut(trades, attribution.hours(trades), ()),
        by_segment=cut(trades, attribution.segments(trades), attribution.SEGMENTS),
        by_exit=cut(trades, [row.reason for row in rows], list(ExitReason)),
        by_method=cut(trades, [row.method for row in rows], list(FusionMethod)),
        by_decider=cut(trades, [row.decider for row in rows], ("both", "strategy", "advisor")),
        by_change=cut(trades, [_change(row) for row in rows], ("unchanged", "managed", "changed")),
        vetoed_by_rule=attribution.cut_by_rule(vetoed),
        methods=decisions.methods,
        actions=decisions.actions,
        vetoes=decisions.vetoes,
        veto_window_share_pct=decisions.veto_window_share_pct,
        advice=advice_facts(made),
        calibration_rl=_calibrated([(trade.cause.proposal, trade) for trade in trades]),
        calibration_advice=_calibrated([(trade.cause.advice, trade) for trade in trades]),
    )


def _calibrated(voices: Sequence[tuple[Proposal | Advice | None, Trade]]) -> Calibration | None:
    """How sure a voice was of the entries that it wanted, against what became of them."""
    wanted = [
        (voice.confidence, trade.pnl_cents > 0)
        for voice, trade in voices
        if voice is not None and voice.action is trade.cause.decision.action
    ]
    return calibration(np.array([sure for sure, _ in wanted]), np.array([won for _, won in wanted], dtype=np.bool_))


def _change(row: TradeRow) -> str:
    """What advice changed of a trade: its entry, only what became of it, or nothing."""
    if row.changed:
        return "changed"
    return "managed" if row.changed_management else "unchanged"


def advice_facts(made: Made) -> AdviceFacts:
    """What became of the questions of a run."""
    counts, advisor = made.advice, made.settings.advisor
    by_status = {status.value: counts.by_status.get(status, 0) for status in AdviceStatus}
    return AdviceFacts(
        backend=advisor.backend,
        asked=counts.asked,
        model_calls=counts.model_calls,
        late_used=counts.late_used,
        by_status=by_status,
        cache_hit_pct=share_pct(by_status[AdviceStatus.CACHED], counts.asked),
        error_pct=share_pct(by_status[AdviceStatus.ERROR] + by_status[AdviceStatus.INVALID], counts.asked),
        assumed_latency_ms=advisor.assumed_latency_ms,
    )


def ambiguous_of(seen: Seen) -> AmbiguousInterval:
    """Both ways of booking the bars that reached stop and target."""
    result = seen.made.report.result
    return AmbiguousInterval(
        bars=result.ambiguous_bars,
        pessimistic_usd=result.pessimistic_pnl_usd,
        optimistic_usd=result.optimistic_pnl_usd,
    )


def stress_of(headline: Seen, stressed: Seen) -> CostStress:
    """What is left when costs are `STRESS_FACTOR` times as high."""
    execution, statistics = stressed.made.settings.execution, stressed.measured.statistics
    before, after = (made.report.result.net_pnl_usd for made in (headline.made, stressed.made))
    market = instrument(stressed.made.settings.market)
    if before <= 0:
        told = "the result is no profit before that"
    else:
        told = "a profit is left" if after > 0 else "no profit is left"
    return CostStress(
        factor=STRESS_FACTOR,
        commission_side_usd=commission_side_cents(stressed.made.settings, market) / 100,
        slippage_ticks=execution.slippage_ticks,
        total_usd=after,
        mean_r=statistics.mean_r.value or 0.0,
        sharpe=statistics.sharpe.value,
        trades=statistics.trades,
        sentence=f"At {STRESS_FACTOR} times commission and slippage {before:+,.2f} $ becomes {after:+,.2f} $: {told}.",
    )
