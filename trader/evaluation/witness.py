"""Watches a run from the place of its decision log, and keeps what an evaluation needs of it; nothing is written.

Fills whole, as the paper broker without faults does: an entry's first fill is its only one.
"""

from collections.abc import Mapping

from msgspec import Struct

from trader.advisor.question import Answer
from trader.book import Book
from trader.domain.account import AccountView
from trader.domain.actions import ENTRY_BITS, Action, Side
from trader.domain.decisions import Advice, Decision, Proposal, Rule
from trader.domain.orders import Bracket, ExitReason
from trader.domain.sessions import Session
from trader.errors import InvariantError
from trader.news import BookedFill
from trader.pipeline import Look
from trader.recorder import Outcome
from trader.records import EventKind
from trader.risk.rules import RULE_BITS
from trader.router import Router

_OUTSIDE_WINDOW = RULE_BITS[Rule.SESSION_WINDOW]


class Cause(Struct, frozen=True):
    """What decided at the close of bar `seq`: the strategy's proposal, the advice that fusion compared, the result."""

    seq: int
    ts_ns: int
    proposal: Proposal
    advice: Advice | None
    decision: Decision


class Trade(Struct, frozen=True, kw_only=True):
    """One round trip with its cause; prices and excursions in ticks, money in cents.

    `stop_ticks` and `target_ticks` are those set at the fill. `bars` are those at whose close it was open.
    `changed_management` counts the bars of the position at which advice changed the strategy's choice.
    """

    session: Session
    symbol: str
    side: Side
    qty: int
    opened_ns: int
    closed_ns: int
    entry_ticks: int
    exit_ticks: int
    stop_ticks: int
    target_ticks: int
    pnl_cents: int
    optimistic_ticks: int | None
    commission_cents: int
    risk_cents: int
    mae_ticks: int
    mfe_ticks: int
    bars: int
    reason: ExitReason
    cause: Cause
    changed_management: int
    account_no: int


class Blocked(Struct, frozen=True, kw_only=True):
    """An entry that did not happen, on `bars` bars in a row alike: vetoed by `rules`, or with no rules turned away by
    advice. `close_ticks` is that of the first of these bars, which `cause` is of."""

    session: Session
    side: Side
    rules: tuple[Rule, ...]
    close_ticks: int
    bars: int
    cause: Cause


class SessionMarks(Struct, kw_only=True):
    """One session as it went: running P&L in cents over all accounts, at bar closes; open positions included."""

    session: Session
    low_cents: int
    high_cents: int
    last_cents: int
    bars: int = 0
    window_bars: int = 0
    held_bars: int = 0
    held_window_bars: int = 0


class Exchange(Struct, frozen=True):
    """Usable advice at bar `seq`; `is_flat` says whether it was asked about an entry."""

    seq: int
    is_flat: bool
    advice: Advice


class Managing(Struct, kw_only=True):
    """How often each of MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL was valid at a bar's close, and was carried out."""

    valid: list[int]
    taken: list[int]

    def rates(self) -> tuple[float, float, float]:
        """Share of the bars at which it was valid; 0 where it never was."""
        first, second, third = (
            taken / valid if valid else 0.0 for taken, valid in zip(self.taken, self.valid, strict=True)
        )
        return first, second, third


class _Open:
    """The position while it is open."""

    def __init__(self, fill: BookedFill, session: Session, symbol: str, order: Bracket, cause: Cause) -> None:
        self.fill = fill.fill
        self.session = session
        self.symbol = symbol
        self.order = order
        self.cause = cause
        self.mae_ticks = self.mfe_ticks = self.bars = self.changed_management = 0

    def ended(self, exit_: BookedFill, account_no: int) -> Trade:
        """The round trip that `exit_` completes."""
        entry, last = self.fill, exit_.fill
        if last.reason is None or exit_.pnl_cents is None:
            msg = f"fill {last.order_ref!r} ended a position without a reason"
            raise InvariantError(msg)
        side = entry.side
        gain_ticks = side * (last.price_ticks - entry.price_ticks)
        return Trade(
            session=self.session,
            symbol=self.symbol,
            side=side,
            qty=entry.qty,
            opened_ns=entry.ts_ns,
            closed_ns=last.ts_ns,
            entry_ticks=entry.price_ticks,
            exit_ticks=last.price_ticks,
            stop_ticks=entry.price_ticks - side * self.order.stop_distance_ticks,
            target_ticks=entry.price_ticks + side * self.order.target_distance_ticks,
            pnl_cents=exit_.pnl_cents,
            optimistic_ticks=last.optimistic_ticks,
            commission_cents=entry.commission_cents + last.commission_cents,
            risk_cents=exit_.risk_cents,
            mae_ticks=max(self.mae_ticks, -gain_ticks, 0),
            mfe_ticks=max(self.mfe_ticks, gain_ticks, 0),
            bars=self.bars,
            reason=last.reason,
            cause=self.cause,
            changed_management=self.changed_management,
            account_no=account_no,
        )


class Witness:
    """The port RunLog. Read `trades`, `sessions`, `blocked`, `exchanges`, `managing` after the run."""

    is_healthy = True
    backlog = 0

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.sessions: list[SessionMarks] = []
        self.blocked: list[Blocked] = []
        self.exchanges: list[Exchange] = []
        self.managing = Managing(valid=[0, 0, 0], taken=[0, 0, 0])
        self._open: _Open | None = None
        self._sent: tuple[Bracket, Cause] | None = None
        self._marks: SessionMarks | None = None
        self._session: Session | None = None
        self._symbol = ""
        self._realized_cents = 0
        self._base_cents = 0
        self._account_no = 0

    def begin_session(self, date: str) -> None:
        """The first bar of it tells the rest."""
        del date

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """The account's number tells of renewals, vetoes of limits."""
        del kind, from_bar, detail

    def discard(self) -> None:
        """Nothing was written."""

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """Take one bar: its fills, what was decided and why, the account at its close."""
        outlook = look.outlook
        account = outlook.account
        session = outlook.session
        if router.has_news:
            orders, fills, _ = router.drain()
            router.drain_unfilled()
            self._book(fills, session, outlook.bar.symbol)
        else:
            orders = []
        advice = None if answer is None else answer.usable
        if advice is not None:
            self.exchanges.append(Exchange(look.seq, account.position_qty == 0, advice))
        if decision.action is not Action.HOLD or look.proposal.action is not Action.HOLD:
            cause = Cause(look.seq, outlook.bar.ts_close_ns, look.proposal, advice, decision)
            self._note(look, cause, outcome)
            for order in orders:
                if isinstance(order, Bracket):
                    self._sent = (order, cause)
        if account.position_qty:
            self._manage(outlook.mask, decision.action, is_approved=outcome.verdict == "approved")
        self._mark(session, account, in_window=not outcome.active & _OUTSIDE_WINDOW)

    def close(self, bars: int, router: Router, book: Book) -> None:
        """The fills after the last bar."""
        del bars, book
        _, fills, _ = router.drain()
        if self._marks is not None:
            self._book(fills, self._marks.session, self._symbol)

    def _book(self, fills: list[BookedFill], session: Session, symbol: str) -> None:
        for booked in fills:
            if booked.fill.reason is None:
                if self._sent is None:
                    msg = f"an entry {booked.fill.order_ref!r} was filled that no bar had decided"
                    raise InvariantError(msg)
                self._open = _Open(booked, session, symbol, *self._sent)
            elif booked.pnl_cents is not None and self._open is not None:
                self.trades.append(self._open.ended(booked, self._account_no))
                self._realized_cents += booked.pnl_cents
                self._open = None
        self._symbol = symbol

    def _manage(self, mask: int, chosen: Action, *, is_approved: bool) -> None:
        managing = self.managing
        for place in range(3):
            managing.valid[place] += mask >> (Action.MOVE_TO_BE + place) & 1
        if is_approved and chosen >= Action.MOVE_TO_BE:
            managing.taken[chosen - Action.MOVE_TO_BE] += 1

    def _note(self, look: Look, cause: Cause, outcome: Outcome) -> None:
        """Keep an entry that was blocked or turned away, and advice that changed what became of a position."""
        wanted, chosen = cause.proposal.action, cause.decision.action
        if self._open is not None:
            self._open.changed_management += chosen is not wanted
        if outcome.verdict == "vetoed" and ENTRY_BITS >> chosen & 1:
            self._block(look, cause, chosen, outcome.vetoes)
        elif chosen is not wanted and ENTRY_BITS >> wanted & 1:
            self._block(look, cause, wanted, ())

    def _block(self, look: Look, cause: Cause, action: Action, rules: tuple[Rule, ...]) -> None:
        side = Side.BUY if action is Action.BUY else Side.SELL
        last = self.blocked[-1] if self.blocked else None
        if last is not None and _follows(last, look, side, rules):
            self.blocked[-1] = Blocked(
                session=last.session,
                side=side,
                rules=rules,
                close_ticks=last.close_ticks,
                bars=last.bars + 1,
                cause=last.cause,
            )
            return
        self.blocked.append(
            Blocked(
                session=look.outlook.session,
                side=side,
                rules=rules,
                close_ticks=look.close_ticks,
                bars=1,
                cause=cause,
            )
        )

    def _mark(self, session: Session, account: AccountView, *, in_window: bool) -> None:
        if account.account_no != self._account_no:  # a new account begins flat: P&L runs on from what was realised
            self._account_no = account.account_no
            self._base_cents = self._realized_cents - account.equity_cents
        running = self._base_cents + account.equity_cents
        marks = self._marks
        if marks is None or marks.session is not session:
            marks = self._marks = SessionMarks(
                session=session, low_cents=running, high_cents=running, last_cents=running
            )
            self.sessions.append(marks)
        marks.low_cents = min(marks.low_cents, running)
        marks.high_cents = max(marks.high_cents, running)
        marks.last_cents = running
        marks.bars += 1
        marks.window_bars += in_window
        if account.position_qty:
            marks.held_bars += 1
            marks.held_window_bars += in_window
            if self._open is not None:
                self._open.mae_ticks = account.mae_ticks
                self._open.mfe_ticks = account.mfe_ticks
                self._open.bars += 1


def _follows(last: Blocked, look: Look, side: Side, rules: tuple[Rule, ...]) -> bool:
    return (
        last.side is side
        and last.rules == rules
        and last.session is look.outlook.session
        and last.cause.seq + last.bars == look.seq
    )
