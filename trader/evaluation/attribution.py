"""Who made what: the headline's trades cut by side, hour, exit, method and decider, and what blocked entries missed."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trader.analysis.evaluation_parts import Slice, TradeRow, VetoRow
from trader.analysis.slices import Segment, et_hour, segment_of, sliced
from trader.domain.actions import Side
from trader.domain.decisions import Rule
from trader.domain.instruments import Instrument
from trader.evaluation.figures import Costs, r_of
from trader.evaluation.witness import Blocked, Cause, Trade

SEGMENTS = tuple(Segment)
SIDES = {Side.BUY: "long", Side.SELL: "short"}


WouldBe = Mapping[tuple[int, Side], tuple[float, float]]
"""What an entry decided at bar `seq` with its plain bracket would have made: dollars and R, by (seq, side)."""


def trade_rows(trades: Sequence[Trade], market: Instrument, costs: Costs) -> tuple[TradeRow, ...]:
    """The trades as the record states them, in order."""
    return tuple(_trade_row(number, trade, market, costs) for number, trade in enumerate(trades, 1))


def _trade_row(number: int, trade: Trade, market: Instrument, costs: Costs) -> TradeRow:
    cause, points = trade.cause, market.to_points
    better_ticks = 0 if trade.optimistic_ticks is None else trade.side * (trade.optimistic_ticks - trade.exit_ticks)
    return TradeRow(
        number=number,
        session=trade.session.date,
        symbol=trade.symbol,
        side=SIDES[trade.side],
        qty=trade.qty,
        decided_ns=cause.ts_ns,
        opened_ns=trade.opened_ns,
        closed_ns=trade.closed_ns,
        et_offset_s=trade.session.et_offset_s,
        entry=points(trade.entry_ticks),
        exit=points(trade.exit_ticks),
        stop=points(trade.stop_ticks),
        target=points(trade.target_ticks),
        pnl_usd=trade.pnl_cents / 100,
        optimistic_usd=(trade.pnl_cents + better_ticks * costs.tick_value_cents * trade.qty) / 100,
        commission_usd=trade.commission_cents / 100,
        risk_usd=trade.risk_cents / 100,
        r=r_of(trade),
        mae_points=points(trade.mae_ticks),
        mfe_points=points(trade.mfe_ticks),
        bars=trade.bars,
        reason=trade.reason.value,
        is_ambiguous=trade.optimistic_ticks is not None,
        method=cause.decision.method.value,
        decider=decider_of(cause),
        rl_action=cause.proposal.action.name,
        rl_confidence=round(cause.proposal.confidence, 6),
        advice_action=None if cause.advice is None else cause.advice.action.name,
        advice_confidence=None if cause.advice is None else round(cause.advice.confidence, 6),
        changed=cause.decision.action is not cause.proposal.action,
        changed_management=trade.changed_management,
        account=trade.account_no,
    )


def decider_of(cause: Cause) -> str:
    """Who wanted what was decided: `both`, `strategy` or `advisor`."""
    chosen = cause.decision.action
    if cause.advice is None or cause.advice.action is not chosen:
        return "strategy"
    return "both" if cause.proposal.action is chosen else "advisor"


def veto_rows(blocked: Iterable[Blocked], would_be: WouldBe, market: Instrument) -> tuple[VetoRow, ...]:
    """Blocked entries with what they would have made, in order."""
    rows = []
    for one in blocked:
        cause = one.cause
        usd, r = would_be.get((cause.seq, one.side), (None, None))
        rows.append(
            VetoRow(
                session=one.session.date,
                decided_ns=cause.ts_ns,
                et_offset_s=one.session.et_offset_s,
                side=SIDES[one.side],
                bars=one.bars,
                price=market.to_points(one.close_ticks),
                rules=tuple(rule.value for rule in one.rules),
                method=cause.decision.method.value,
                rl_confidence=round(cause.proposal.confidence, 6),
                advice_confidence=None if cause.advice is None else round(cause.advice.confidence, 6),
                would_be_usd=usd,
                would_be_r=r,
            )
        )
    return tuple(rows)


def cut(trades: Sequence[Trade], keys: Sequence[str], order: Iterable[str]) -> tuple[Slice, ...]:
    """The trades by `keys`, one a trade; the keys of `order` first and in that order."""
    pnl_cents = np.array([trade.pnl_cents for trade in trades], dtype=np.int64)
    r = np.array([r_of(trade) or 0.0 for trade in trades])
    return sliced(keys, pnl_cents, r, order)


def cut_by_rule(rows: Iterable[VetoRow]) -> tuple[Slice, ...]:
    """What blocked entries would have made, by rule; one that several rules blocked counts under each of them."""
    told = [
        (rule, row.would_be_usd, row.would_be_r)
        for row in rows
        if row.would_be_usd is not None and row.would_be_r is not None
        for rule in row.rules
    ]
    pnl_cents = np.array([round(usd * 100) for _, usd, _ in told], dtype=np.int64)
    return sliced([rule for rule, _, _ in told], pnl_cents, np.array([r for _, _, r in told]), list(Rule))


def hours(trades: Sequence[Trade]) -> list[str]:
    """The ET hour of each entry's decision."""
    return [et_hour(trade.cause.ts_ns, trade.session.et_offset_s) for trade in trades]


def segments(trades: Sequence[Trade]) -> list[str]:
    """The part of the session in which each entry was decided."""
    return [segment_of(trade.cause.ts_ns, trade.session.et_offset_s) for trade in trades]
