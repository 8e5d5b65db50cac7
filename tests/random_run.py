"""A random run told twice: as records of a log, and as the calls that an engine would have made of a tally.

A ledger of its own (cash in cents, one position) keeps the money, so that the two tellings have one truth.
"""

import random
from datetime import UTC, datetime

from log_builders import (
    ACCOUNT,
    COMMISSION_CENTS,
    MINUTE_NS,
    NO_ADVICE,
    NQ,
    START_CENTS,
    Day,
    a_fill,
    a_record,
    weekdays,
)
from msgspec import Struct
from msgspec.structs import replace

from trader.analysis.report import Tally
from trader.domain.actions import ACTIONS, Side
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule
from trader.domain.orders import ClosedTrade, ExitReason, Fill
from trader.records import AccountRecord, EndRecord, FillRecord

RULES = list(Rule)
OUTSIDE = RULES.index(Rule.SESSION_WINDOW)
AT_OPEN = (ExitReason.FLAT_AT, ExitReason.TRAILING_BREACH, ExitReason.DAILY_LOSS)
IN_BAR = (ExitReason.STOP, ExitReason.TARGET, ExitReason.BREAK_EVEN, ExitReason.TRAIL)
ANSWERS = list(AdviceStatus)


class _Position(Struct):
    side: Side
    qty: int
    entries: list[Fill]
    cash_before: int


class RandomRun:
    """`days` for `builders.write_run`, `end` for its last line, and the `tally` that was fed."""

    def __init__(self, seed: int, sessions: int, bars: int) -> None:
        self._random = random.Random(seed)
        self.tally = Tally(NQ)
        self.days: list[Day] = []
        self.accounts = 1
        self._cash = START_CENTS  # of all accounts in a row
        self._carried = 0  # what the accounts before this one came to
        self._position: _Position | None = None
        self._fills: list[FillRecord] = []
        self._close = 60_000
        self._close_ns = 0
        self._seq = 0
        self._pending = False
        for session in weekdays(sessions):
            self._session(session, bars)
        self._force_close()
        bars_in_all = sessions * bars
        self.end = EndRecord(bars=bars_in_all, lines=0, fills=tuple(self._fills), account=self._account())

    def _session(self, session: str, bars: int) -> None:
        rng = self._random
        self._force_close()
        self._pending = False
        if rng.random() < 0.2:
            self.accounts += 1
            self._carried = self._cash - START_CENTS
        records: list[Struct] = []
        for index in range(bars):
            open_ticks = self._close + rng.randint(-4, 4)
            record = a_record(self._seq, minute=index, session=session)
            close_ns = _ns(record.bar.close_utc)
            self._trade(open_ticks, close_ns, is_first=index == 0)
            self._close, self._close_ns = open_ticks + rng.randint(-40, 40), close_ns
            records.append(self._decide(record, in_window=2 <= index < bars - 3))
            self._seq += 1
        self.days.append((session, records))

    def _trade(self, open_ticks: int, close_ns: int, *, is_first: bool) -> None:
        rng, position = self._random, self._position
        if position is None:
            if self._pending and not is_first:
                self._enter(open_ticks, close_ns - MINUTE_NS)
            self._pending = rng.random() < 0.3
        elif rng.random() < 0.3:
            ambiguous = rng.random() < 0.3
            if not ambiguous and rng.random() < 0.4:
                self._exit(open_ticks, rng.choice(AT_OPEN), close_ns - MINUTE_NS, None)
            else:
                price = open_ticks + rng.randint(-60, 60)
                best = price + position.side * rng.randint(10, 90) if ambiguous else None
                self._exit(price, ExitReason.STOP if ambiguous else rng.choice(IN_BAR), close_ns, best)

    def _enter(self, open_ticks: int, ts_ns: int) -> None:
        rng = self._random
        side = rng.choice(list(Side))
        before = self._cash
        entries = []
        for nth in range(1, rng.choice((1, 1, 1, 2, 3)) + 1):
            fill = _a_domain_fill(side, 1, open_ticks + side + 3 * (nth - 1) * side, ts_ns, nth)
            self._book(fill, None, None)
            entries.append(fill)
        self._position = _Position(side=side, qty=len(entries), entries=entries, cash_before=before)

    def _exit(self, price: int, reason: ExitReason, ts_ns: int, best: int | None) -> None:
        position = self._position
        assert position is not None
        rng = self._random
        exit_side = Side(-position.side)
        fill = _a_domain_fill(exit_side, position.qty, price, ts_ns, len(position.entries) + 1)
        fill = replace(fill, reason=reason, optimistic_ticks=best)
        risk = rng.choice((0, 10_000, 14_500, 30_000))
        self._book(fill, position, risk)
        pnl = self._cash - position.cash_before
        better = 0 if best is None else position.side * (best - price) * position.qty * NQ.tick_value_cents
        self.tally.trade(
            ClosedTrade(
                side=position.side,
                qty=position.qty,
                entry_ticks=round(sum(entry.price_ticks for entry in position.entries) / position.qty),
                exit_ticks=price,
                opened_ns=position.entries[0].ts_ns,
                closed_ns=ts_ns,
                pnl_cents=pnl,
                optimistic_pnl_cents=pnl + better,
                risk_cents=risk,
                reason=reason,
                is_ambiguous=best is not None,
            )
        )
        self._position = None

    def _force_close(self) -> None:
        position = self._position
        if position is not None:
            self._exit(self._close - 2 * position.side, ExitReason.FORCED_CLOSE, self._close_ns, None)

    def _book(self, fill: Fill, ended: _Position | None, risk: int | None) -> None:
        self._cash -= fill.side * fill.qty * fill.price_ticks * NQ.tick_value_cents + fill.commission_cents
        self.tally.fill(fill)
        self._fills.append(
            a_fill(
                ref=fill.order_ref,
                nth=fill.nth,
                side=fill.side.name,
                qty=fill.qty,
                price=fill.price_ticks / 4,
                commission=fill.commission_cents / 100,
                ts_utc=datetime.fromtimestamp(fill.ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                reason=None if fill.reason is None else fill.reason.value,
                optimistic=None if fill.optimistic_ticks is None else fill.optimistic_ticks / 4,
                pnl=None if ended is None else (self._cash - ended.cash_before) / 100,
                risk=None if risk is None else risk / 100,
            )
        )

    def _decide(self, record: object, *, in_window: bool) -> Struct:
        rng = self._random
        action, method = rng.choice(ACTIONS), rng.choice(list(FusionMethod))
        active = rng.sample(range(9), rng.choice((0, 0, 1, 3)))
        bits = sum(1 << bit for bit in active) | (0 if in_window else 1 << OUTSIDE)
        vetoes = tuple(rule for rule in RULES if rng.random() < 0.05)
        if vetoes:
            self.tally.veto(vetoes)
        status = rng.choice(ANSWERS) if rng.random() < 0.4 else None
        asked = status is not None and rng.random() < 0.9
        if status is not None:
            self.tally.asked(status, is_late=not asked)
        assert isinstance(record, type(a_record()))
        fills, self._fills = tuple(self._fills), []
        self.tally.bar(record.bar.session, self._close_ns, action, method, bits, in_window, self._equity())
        return replace(
            record,
            llm=None if status is None else replace(NO_ADVICE, status=status.value),
            query=replace(record.query, asked=asked),
            fusion=replace(record.fusion, action=action.name, method=method.value),
            risk=replace(
                record.risk,
                vetoes=tuple(rule.value for rule in vetoes),
                active=tuple(rule.value for bit, rule in enumerate(RULES) if bits >> bit & 1),
            ),
            fills=fills,
            account=self._account(),
        )

    def _equity(self) -> int:
        position = self._position
        open_value = 0 if position is None else position.side * position.qty * self._close * NQ.tick_value_cents
        return self._cash + open_value

    def _account(self) -> AccountRecord:
        equity = (self._equity() - self._carried) / 100
        return replace(ACCOUNT, equity=equity, balance=equity, account=self.accounts)


def _a_domain_fill(side: Side, qty: int, price: int, ts_ns: int, nth: int) -> Fill:
    return Fill(
        order_ref="NQH23-1",
        nth=nth,
        side=side,
        qty=qty,
        remaining_qty=0,
        price_ticks=price,
        commission_cents=COMMISSION_CENTS * qty,
        ts_ns=ts_ns,
    )


def _ns(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp()) * 10**9
