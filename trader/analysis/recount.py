"""A run's report from its decision log alone: the same figures that the engine counted while it ran."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from trader.analysis.figures import Report, RunFacts, facts_of
from trader.analysis.log import Entry, Kind, open_log
from trader.analysis.report import Tally
from trader.domain.actions import Action, Side
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule
from trader.domain.instruments import Instrument, instrument
from trader.domain.orders import ClosedTrade, ExitReason, Fill
from trader.errors import LogDamagedError
from trader.records import AccountRecord, Canonical, EndRecord, FillRecord, StartRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def report_from_log(path: Path, *, bars_per_s: float | None = None) -> Report:
    """Recompute the report of the run at `path`; LogDamagedError, with file and line, where the log cannot be read.

    A run that was not closed is reported as far as it goes, and labelled so.
    """
    log = open_log(path)
    entries = log.entries()
    first = next(entries, None)
    start = first.record() if first is not None else None
    if not isinstance(start, StartRecord):
        msg = f"{log.path}: a report needs a whole run, from its `start` line on; name the run's folder"
        raise LogDamagedError(msg)
    recount = _Recount(start)
    for entry in entries:
        match entry.kind:
            case Kind.BAR:
                recount.bar(entry.bar())
            case Kind.END:
                recount.end(entry)
            case Kind.START | Kind.CONTINUE | Kind.EVENT:
                pass
    return recount.tally.report(
        recount.facts, accounts_used=recount.account, bars_per_s=bars_per_s, is_closed=recount.is_closed
    )


class _Recount:
    """Turns records back into what the engine told its tally."""

    def __init__(self, start: StartRecord) -> None:
        self.facts: RunFacts = facts_of(start)
        self.account = start.account.account
        self.is_closed = False
        self._market: Instrument = instrument(start.market)
        self.tally = Tally(self._market)
        self._carried_cents = 0
        self._start_cents = _cents(start.account.equity)
        self._realized_cents = 0
        self._entries: list[Fill] = []
        self._active_bits: dict[tuple[str, ...], int] = {}

    def bar(self, record: Canonical) -> None:
        """Count one bar: its fills, its advice, its decision."""
        for fill in record.fills:
            self._fill(fill)
        if record.llm is not None:
            self.tally.asked(AdviceStatus(record.llm.status), is_late=not record.query.asked)
        if record.risk.vetoes:
            self.tally.veto([Rule(name) for name in record.risk.vetoes])
        self.tally.bar(
            record.bar.session,
            _ns(record.bar.close_utc),
            Action[record.fusion.action],
            FusionMethod(record.fusion.method),
            self._bits(record.risk.active),
            Rule.SESSION_WINDOW.value not in record.risk.active,
            self._running(record.account),
        )

    def end(self, entry: Entry) -> None:
        """Count the fills after the last bar."""
        record = entry.record()
        if isinstance(record, EndRecord):
            for fill in record.fills:
                self._fill(fill)
            self.is_closed = True

    def _running(self, account: AccountRecord) -> int:
        """Equity with P&L running on: a new account begins flat, with what has been realised behind it."""
        equity_cents = _cents(account.equity)
        if account.account != self.account:
            self.account = account.account
            self._carried_cents = self._start_cents + self._realized_cents - equity_cents
        return equity_cents + self._carried_cents

    def _fill(self, record: FillRecord) -> None:
        fill = self._domain_fill(record)
        self.tally.fill(fill)
        if fill.reason is None:
            self._entries.append(fill)
        elif record.pnl is not None:
            pnl_cents = _cents(record.pnl)
            self._realized_cents += pnl_cents
            self.tally.trade(self._trade(fill, fill.reason, pnl_cents, _cents(record.risk or 0.0)))
            self._entries.clear()

    def _domain_fill(self, record: FillRecord) -> Fill:
        to_ticks = self._market.to_ticks
        return Fill(
            order_ref=record.ref,
            nth=record.nth,
            side=Side[record.side],
            qty=record.qty,
            remaining_qty=0,
            price_ticks=to_ticks(record.price),
            commission_cents=_cents(record.commission),
            ts_ns=_ns(record.ts_utc),
            reason=None if record.reason is None else ExitReason(record.reason),
            optimistic_ticks=None if record.optimistic is None else to_ticks(record.optimistic),
        )

    def _trade(self, last: Fill, reason: ExitReason, pnl_cents: int, risk_cents: int) -> ClosedTrade:
        side = Side.SELL if last.side is Side.BUY else Side.BUY
        better_ticks = 0 if last.optimistic_ticks is None else side * (last.optimistic_ticks - last.price_ticks)
        entered_qty = sum(fill.qty for fill in self._entries)
        return ClosedTrade(
            side=side,
            qty=last.qty,
            entry_ticks=round(sum(fill.qty * fill.price_ticks for fill in self._entries) / entered_qty),
            exit_ticks=last.price_ticks,
            opened_ns=self._entries[0].ts_ns,
            closed_ns=last.ts_ns,
            pnl_cents=pnl_cents,
            optimistic_pnl_cents=pnl_cents + better_ticks * self._market.tick_value_cents * last.qty,
            risk_cents=risk_cents,
            reason=reason,
            is_ambiguous=last.optimistic_ticks is not None,
        )

    def _bits(self, active: tuple[str, ...]) -> int:
        known = self._active_bits.get(active)
        if known is None:
            known = self._active_bits[active] = sum(1 << bit for bit, rule in enumerate(Rule) if rule.value in active)
        return known


def _cents(usd: float) -> int:
    return round(usd * 100)


def _ns(iso: str) -> int:
    return (datetime.fromisoformat(iso) - _EPOCH) // _MICROSECOND * 1000
