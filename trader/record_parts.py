"""Domain values as the decision log states them: dollars, points on the tick, names; floats rounded to 1e-6."""

from trader.advisor.question import Answer
from trader.clock_text import utc_text
from trader.domain.account import AccountView
from trader.domain.actions import ACTIONS
from trader.domain.instruments import Instrument
from trader.domain.orders import Amend, Bracket, Cancel, Flatten, Order, Protect
from trader.news import BookedFill
from trader.records import AccountRecord, FillRecord, LlmRecord, OrderRecord

ACTION_NAMES = tuple(action.name for action in ACTIONS)


def llm_record(answer: Answer) -> LlmRecord:
    """What the advisor said, or why it said nothing."""
    advice = answer.advice
    return LlmRecord(
        action=ACTION_NAMES[advice.action] if advice is not None else None,
        confidence=_rounded(advice.confidence) if advice is not None else None,
        raw=_rounded(advice.raw) if advice is not None else None,
        calibrated=_rounded(advice.calibrated) if advice is not None else None,
        base_rate=_rounded(advice.base_rate) if advice is not None else None,
        verbal=_rounded(advice.verbal) if advice is not None else None,
        legal_mass=_rounded(advice.legal_mass) if advice is not None else None,
        reason=advice.reason if advice is not None else None,
        status=answer.status.value,
        from_cache=answer.from_cache,
        age_s=answer.age_s,
        reuse=answer.reuse,
        prompt_sha256=answer.prompt_sha256,
        visible_from_bar=answer.visible_from_bar,
    )


def order_record(order: Order, instrument: Instrument) -> OrderRecord:
    """An intent as the log states it."""
    points = instrument.to_points
    match order:
        case Bracket():
            return OrderRecord(
                kind="bracket",
                ref=order.order_ref,
                side=order.side.name,
                qty=order.qty,
                stop=points(order.stop_ticks),
                target=points(order.target_ticks),
                reason=None,
            )
        case Amend():
            return OrderRecord(
                kind="amend",
                ref=order.order_ref,
                side=None,
                qty=None,
                stop=points(order.stop_ticks),
                target=points(order.target_ticks),
                reason=order.cause.value,
            )
        case Cancel():
            return OrderRecord(
                kind="cancel", ref=order.order_ref, side=None, qty=None, stop=None, target=None, reason=None
            )
        case Protect():
            return OrderRecord(
                kind="protect",
                ref=order.order_ref,
                side=order.side.name,
                qty=order.qty,
                stop=points(order.stop_ticks),
                target=None,
                reason=None,
            )
        case Flatten():
            return OrderRecord(
                kind="flatten",
                ref=order.order_ref,
                side=order.side.name,
                qty=order.qty,
                stop=None,
                target=None,
                reason=order.reason.value,
            )


def fill_record(booked: BookedFill, instrument: Instrument) -> FillRecord:
    """An execution as the log states it."""
    fill = booked.fill
    points = instrument.to_points
    ended = booked.pnl_cents is not None
    return FillRecord(
        ref=fill.order_ref,
        nth=fill.nth,
        side=fill.side.name,
        qty=fill.qty,
        price=points(fill.price_ticks),
        commission=fill.commission_cents / 100,
        ts_utc=utc_text(fill.ts_ns),
        reason=None if fill.reason is None else fill.reason.value,
        optimistic=None if fill.optimistic_ticks is None else points(fill.optimistic_ticks),
        pnl=booked.pnl_cents / 100 if booked.pnl_cents is not None else None,
        risk=booked.risk_cents / 100 if ended else None,
    )


def account_record(view: AccountView, instrument: Instrument) -> AccountRecord:
    """The account as the log states it."""
    flat = view.position_qty == 0
    return AccountRecord(
        position=view.position_qty,
        entry=None if flat else instrument.to_points(view.entry_ticks),
        stop=None if flat else instrument.to_points(view.stop_ticks),
        target=None if flat else instrument.to_points(view.target_ticks),
        trailing=view.trailing,
        balance=view.balance_cents / 100,
        equity=view.equity_cents / 100,
        drawdown=(view.peak_cents - view.equity_cents) / 100,
        streak=view.streak,
        win_rate=round(view.win_rate, 6),
        trades=view.trades_closed,
        account=view.account_no,
    )


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
