"""How a run stands, as the operator sees it: built in one go from what is true at that moment."""

from collections.abc import Callable

from msgspec import Struct

from trader.adapters.control.messages import AdvisorStatus, LimitStatus, LinkStatus, PositionStatus, Status
from trader.advisor.counts import AdviceCounts
from trader.clock_text import utc_text
from trader.domain.account import AccountView
from trader.domain.decisions import AdviceStatus, Rule
from trader.engine import Engine
from trader.kernels import rules as k
from trader.record_parts import account_record
from trader.risk.rules import RULE_BITS, rules_in
from trader.schedule import SessionPlan

_REMEMBERED = k.EXHAUSTED | k.OPTIONAL | k.DAILY_LOSS
_SWITCHES = sum(RULE_BITS[rule] for rule in (Rule.STALE_DATA, Rule.NOT_RECONCILED, Rule.KILL_SWITCH))
_USABLE = (AdviceStatus.USED, AdviceStatus.CACHED)
_FAILED = (AdviceStatus.ERROR, AdviceStatus.INVALID, AdviceStatus.BREAKER_OPEN, AdviceStatus.MISSING)


def _nothing() -> None:
    """Nothing is connected, and nobody else has the account."""


class Place(Struct, frozen=True, kw_only=True):
    """What a run is, besides its engine. `account` is a label, never an account's whole number."""

    pid: int
    run_id: str
    mode: str
    account: str
    strategy: str
    backend: str
    log: str
    advice: Callable[[], AdviceCounts]
    link: Callable[[], LinkStatus | None] = _nothing
    taken: Callable[[], str | None] = _nothing


def status_of(engine: Engine, place: Place) -> Status:
    """The status at this moment; nothing in it is older than the last bar and the last command."""
    parts, controls, standing = engine.parts, engine.controls, engine.standing()
    view, bar = parts.book.view(), standing.bar
    account = account_record(view, parts.instrument)
    rules_in_force = rules_now(engine)
    is_healthy = parts.logbook.is_healthy
    return Status(
        pid=place.pid,
        run_id=place.run_id,
        mode=place.mode,
        account=f"{place.account} {view.account_no}",
        market=parts.instrument.symbol,
        strategy=place.strategy,
        state=controls.state,
        may_enter=(
            controls.entries_allowed
            and not engine.passage.is_exhausted
            and is_healthy
            and bar is not None
            and _is_in_window(standing.plan, bar.ts_close_ns)
            and not rules_in_force & _entry_blocking(engine)
        ),
        is_exhausted=engine.passage.is_exhausted,
        vetoes=tuple(rule.value for rule in rules_in(rules_in_force)),
        session=None if standing.session is None else standing.session.date,
        bars=engine.bars,
        last_bar_utc=None if bar is None else utc_text(bar.ts_close_ns),
        symbol=None if bar is None else bar.symbol,
        price=None if bar is None else bar.close,
        position=position_of(engine, view),
        has_working_order=view.working,
        balance_usd=account.balance,
        equity_usd=account.equity,
        day_pnl_usd=(view.equity_cents - view.session_open_cents) / 100,
        limits=_limits(engine, view),
        advisor=_advisor(engine, place),
        log=place.log,
        log_backlog=engine.parts.logbook.backlog,
        log_is_healthy=is_healthy,
        link=place.link(),
        taken=place.taken(),
    )


def rules_now(engine: Engine) -> int:
    """The rules in force, as bits: those of the last bar, with what was switched or reset since."""
    parts = engine.parts
    kept = engine.standing().active & ~(_REMEMBERED | _SWITCHES)
    return kept | (parts.counters.bits | engine.controls.standing) & parts.reviewer.in_use


def _entry_blocking(engine: Engine) -> int:
    row = engine.parts.reviewer.limits
    return int(row[k.BLOCKING + 1]) | int(row[k.BLOCKING + 2])


def _is_in_window(plan: SessionPlan, ts_ns: int) -> bool:
    return plan.entry_start_ns <= ts_ns < plan.entry_end_ns


def position_of(engine: Engine, view: AccountView) -> PositionStatus | None:
    """What is held; None when flat."""
    if not view.position_qty:
        return None
    account = account_record(view, engine.parts.instrument)
    return PositionStatus(
        qty=account.position,
        entry=account.entry,
        stop=account.stop or None,  # 0: the line has laid none; the broker's own part may have
        target=account.target or None,
        trailing=account.trailing,
        open_pnl_usd=(view.equity_cents - view.balance_cents) / 100,
        is_closing=engine.parts.router.closing,
    )


def _limits(engine: Engine, view: AccountView) -> LimitStatus:
    parts = engine.parts
    row, memory = parts.reviewer.limits, parts.counters.state()
    window = int(row[k.WIN_RATE_WINDOW])
    wins, losses = memory.outcomes.count(1), memory.outcomes.count(-1)
    is_full = len(memory.outcomes) >= window and wins + losses > 0
    above_threshold = view.equity_cents - view.threshold_cents
    return LimitStatus(
        to_trailing_breach_usd=above_threshold / 100,
        to_drawdown_proximity_usd=(above_threshold - float(row[k.BUFFER])) / 100,
        to_daily_loss_usd=(view.equity_cents - view.session_open_cents + float(row[k.DAILY_LIMIT])) / 100,
        trades_left=int(row[k.SESSION_TRADES_MAX]) - view.trades_in_session,
        losses_left=int(row[k.MAX_LOSSES]) - memory.streak,
        win_rate=wins / (wins + losses) if is_full else None,
        least_win_rate=float(row[k.MIN_WIN_RATE]),
    )


def _advisor(engine: Engine, place: Place) -> AdvisorStatus:
    counts = place.advice()
    return AdvisorStatus(
        backend=place.backend,
        asked=counts.asked,
        used=sum(counts.by_status[status] for status in _USABLE),
        late=counts.by_status[AdviceStatus.LATE],
        failed=sum(counts.by_status[status] for status in _FAILED),
        away_at_start=engine.unadvised,
    )
