"""A run's report from its decision log alone: the same figures that the engine counted while it ran."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from trader.analysis.figures import Report, RunFacts, facts_of
from trader.analysis.log import Entry, Kind, LogReader, open_log
from trader.analysis.report import Tally
from trader.domain.actions import Action, Side
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule
from trader.domain.instruments import Instrument, instrument
from trader.domain.orders import ExitReason, Fill
from trader.errors import LogDamagedError
from trader.records import AccountRecord, Canonical, EndRecord, FillRecord, StartRecord
from trader.router import ClosedTrade

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
        msg = f"{log.path}: a report needs the run's first file, which begins with its start record; name the run's folder"
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
        self._equity_cents = _cents(start.account.equity)
        self._entries: list[Fill] = []
        self._active_bits: dict[tuple[str, ...], int] = {}

    def bar(self, record: Canonical) -> None:
        """Count one bar: its fills, its advice, its decision."""
        for fill in record.fills:
            self._fill(fill)
        status = AdviceStatus(record.llm.status)
        if status is not AdviceStatus.NOT_ASKED:
            self.tally.asked(status, is_late=not record.query.asked)
        if record.risk.vetoes:
            self.tally.veto([Rule(name) for name in record.risk.vetoes])
        active_bits = self._bits(record.risk.active)
        self.tally.bar(
            record.bar.session,
            _ns(record.bar.close_utc),
            Action[record.fusion.action],
            FusionMethod(record.fusion.method),
            active_bits,
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
        """Equity with P&L running on: a new account begins flat, where the one before it has ended."""
        equity_cents = _cents(account.equity)
        if account.account != self.account:
            self.account = account.account
            self._carried_cents += self._equity_cents - equity_cents
        self._equity_cents = equity_cents
        return equity_cents + self._carried_cents
