"""Who made what: the headline's trades cut by side, hour, exit, method and decider, and what blocked entries missed."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from trader.analysis.evaluation_parts import Slice, TradeRow, VetoRow
from trader.domain.actions import Side
from trader.domain.instruments import Instrument
from trader.domain.units import SECOND_NS
from trader.evaluation.figures import Costs, r_of
from trader.evaluation.witness import Blocked, Cause, Trade

SEGMENTS = ((9 * 60 + 30, "overnight"), (10 * 60 + 30, "open"), (14 * 60, "midday"), (16 * 60, "afternoon"))
"""Parts of a session by New York's minute of the entry's decision, each up to its end; after them `late`."""
SIDES = {Side.BUY: "long", Side.SELL: "short"}
_EVENING = 18 * 60
_DAY = 24 * 60


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


def cut(rows: Iterable[TradeRow], key: Callable[[TradeRow], str]) -> tuple[Slice, ...]:
    """The trades by `key`, in the order of the keys' first appearance sorted by name."""
    parts: dict[str, list[TradeRow]] = {}
    for row in rows:
        parts.setdefault(key(row), []).append(row)
    return tuple(
        Slice(
            key=name,
            trades=len(part),
            wins=sum(row.pnl_usd > 0 for row in part),
            pnl_usd=round(sum(row.pnl_usd for row in part), 2),
            net_r=sum(row.r for row in part if row.r is not None),
        )
        for name, part in sorted(parts.items())
    )


def by_rule(rows: Iterable[VetoRow]) -> tuple[Slice, ...]:
    """What blocked entries would have made, by rule; one that several rules blocked counts under each of them."""
    parts: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for rule in row.rules:
            told = parts.setdefault(rule, [])
            if row.would_be_usd is not None and row.would_be_r is not None:
                told.append((row.would_be_usd, row.would_be_r))
    return tuple(
        Slice(
            key=rule,
            trades=len(told),
            wins=sum(usd > 0 for usd, _ in told),
            pnl_usd=round(sum(usd for usd, _ in told), 2),
            net_r=sum(r for _, r in told),
        )
        for rule, told in sorted(parts.items())
    )


def minute_et(ts_ns: int, et_offset_s: int) -> int:
    """Minute of New York's day, 0 to 1,439."""
    return (ts_ns // SECOND_NS + et_offset_s) // 60 % _DAY


def hour_of(row: TradeRow) -> str:
    """The ET hour of the entry's decision, `00` to `23`."""
    return f"{minute_et(row.decided_ns, row.et_offset_s) // 60:02d}"


def segment_of(row: TradeRow) -> str:
    """The part of the session in which the entry was decided."""
    minute = minute_et(row.decided_ns, row.et_offset_s)
    if minute >= _EVENING:
        return SEGMENTS[0][1]
    return next((name for end, name in SEGMENTS if minute < end), "late")
