"""After each session: our executions and commissions against the broker's, what its fills cost beyond simulated ones.

What was compared is dropped from the state once the broker does not tell of it any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import Struct

from trader.adapters.ib.books import (
    BooksReport,
    Simulated,
    SlippageReport,
    compare_books,
    in_session,
    measure_slippage,
    simulated_ticks,
)
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.ours import decision_of, execution_key
from trader.adapters.ib.truth import TruthLink, fetch_executions
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import Execution, Intent, IntentState, Leg, State
from trader.adapters.state.writer import StateWriter
from trader.adapters.whole_file import write_whole
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.orders import Amend, Bracket, Protect
from trader.domain.sessions import Calendar, Session
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.errors import LinkError, StateFailedError
from trader.live.paper_ledger import KEPT_NS
from trader.ports import Alerts

log = structlog.get_logger("trader.books")
_BROKERS_ZONE = ZoneInfo("America/New_York")
_WITHOUT_EFFECT = frozenset({IntentState.DENIED, IntentState.REJECTED, IntentState.CANCELLED})


class BooksTerms(Struct, frozen=True, kw_only=True):
    """The broker is asked `every_s` seconds and after each fill, as it tells of a day's executions only. A session is
    compared `settle_s` after its close. `slippage_ticks` is what the simulation gives away.
    """

    account: str
    every_s: float
    settle_s: float
    slippage_ticks: int


class BooksFile(Struct, frozen=True, kw_only=True):
    """What is written beside the log. `untold` are executions of ours after which this run has not asked on the same
    day, so that the broker does not tell of them any more: nobody can compare them.
    """

    session: str
    is_equal: bool
    untold: tuple[str, ...]
    books: BooksReport
    slippage: SlippageReport


class BooksLink(TruthLink, Protocol):
    """The connection, which can be waited for; `Link` is one."""

    async def wait_up(self) -> None: ...


class Around(Struct, frozen=True, kw_only=True):
    """What the comparison needs from around it. `now_ns` is the broker's clock, `bars` those since a moment, LinkError
    where they do not come; `folder` is the log's, None where there is none; `is_flat`: nothing is open or on its way.
    """

    calendar: Calendar
    market: Instrument
    alerts: Alerts
    now_ns: Callable[[], int]
    bars: Callable[[int], Awaitable[list[Bar]]]
    folder: Callable[[], Path | None]
    is_flat: Callable[[], bool]


class SessionBooks:
    """One account's. `contract` is the month; executions of the one before stay known."""

    def __init__(self, link: BooksLink, writer: StateWriter, terms: BooksTerms, around: Around) -> None:
        self._link = link
        self._writer = writer
        self._terms = terms
        self._around = around
        self._theirs: dict[str, Execution] = {}
        self._asked_from_ns: int | None = None
        self._asked_ns: list[int] = []
        self._done = ""
        self._wanted = asyncio.Event()
        self.contract: Pinned | None = None

    def look_soon(self) -> None:
        """Something was filled."""
        self._wanted.set()

    async def run(self) -> None:
        """Keep what the broker tells, and compare each session that has ended, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._terms.every_s):
                    await self._wanted.wait()
            await self._link.wait_up()
            self._wanted.clear()
            try:
                await self.look()
                await self.compare_ended()
            except (LinkError, StateFailedError) as error:
                log.warning("books_not_compared", why=str(error), effect="tried again")

    async def look(self) -> None:
        """Take what the broker tells now. LinkError where it does not."""
        if self.contract is None:
            return
        now_ns = self._around.now_ns()
        for each in await fetch_executions(self._link, self.contract, self._terms.account):
            before = self._theirs.get(execution_key(each.exec_id))
            if before is None or (before.exec_id, before.commission_cents is None) <= (each.exec_id, True):
                self._theirs[execution_key(each.exec_id)] = each
        if self._asked_from_ns is None:
            self._asked_from_ns = now_ns
        self._asked_ns.append(now_ns)

    async def compare_ended(self) -> None:
        """Compare each session that has ended since the last one compared, once. LinkError, StateFailedError: not yet.

        One that an earlier run has compared has its file beside that run's log; the last one is compared all the same.
        """
        last = self._ended()
        if last is None or last.date == self._done:
            return
        state = await self._writer.durable(StateDb.snapshot)
        for session in self._due(last, state):
            ours = in_session(state.executions, session.open_ns, session.close_ns)
            theirs = in_session(self._theirs.values(), session.open_ns, session.close_ns)
            if ours or theirs:
                await self._report(session, state, ours, theirs)
            self._done = session.date
        self._theirs = {key: each for key, each in self._theirs.items() if each.ts_ns >= last.close_ns}
        self._asked_ns = [ts_ns for ts_ns in self._asked_ns if ts_ns >= last.close_ns]
        if self._around.is_flat():
            before_ns = last.open_ns - KEPT_NS
            await self._writer.durable(lambda db: db.forget_ended(before_ns))

    def _due(self, last: Session, state: State) -> list[Session]:
        """From the first session of which anything is known to the last that has ended."""
        calendar = self._around.calendar
        end = calendar.index_from(last.date)
        known_ns = min((each.ts_ns for each in (*state.executions, *self._theirs.values())), default=last.open_ns)
        first = calendar.index_from((calendar.at(known_ns) or calendar.next_open(known_ns)).date)
        if self._done:
            first = max(first, calendar.index_from(self._done) + 1)
        earlier = [calendar.session(index) for index in range(first, end)]
        return [*(each for each in earlier if self._done or not self._is_compared(each.date)), last]

    def _is_compared(self, date: str) -> bool:
        folder = self._around.folder()
        return folder is not None and any(folder.parent.glob(f"*/{_file(date)}"))

    def _is_untold(self, execution: Execution) -> bool:
        """The broker tells of its day only: who asks on the next one for the first time learns nothing of it."""
        if self._asked_from_ns is None or execution.ts_ns < self._asked_from_ns:
            return True
        asked_ns = min((ts_ns for ts_ns in self._asked_ns if ts_ns >= execution.ts_ns), default=None)
        return asked_ns is None or _day(asked_ns) != _day(execution.ts_ns)

    def _ended(self) -> Session | None:
        """The last session that has been over for long enough."""
        calendar, settled_ns = self._around.calendar, self._around.now_ns() - round(self._terms.settle_s * SECOND_NS)
        following = calendar.at(settled_ns) or calendar.next_open(settled_ns)
        index = calendar.index_from(following.date) - 1
        return calendar.session(index) if index >= 0 else None

    async def _report(
        self, session: Session, state: State, ours: tuple[Execution, ...], theirs: tuple[Execution, ...]
    ) -> None:
        told = {execution_key(each.exec_id) for each in theirs}
        untold = [each for each in ours if execution_key(each.exec_id) not in told and self._is_untold(each)]
        market = self._around.market
        books = compare_books([each for each in ours if each not in untold], theirs, market)
        try:
            bars = await self._around.bars(session.open_ns)
        except LinkError as error:
            log.warning("slippage_not_measured", session=session.date, why=str(error))
            bars = []
        expected = simulated_fills(ours, state.intents, bars, market, self._terms.slippage_ticks)
        slippage = measure_slippage(expected, [each for each in ours if each.leg is not None], market)
        report = BooksFile(
            session=session.date,
            is_equal=books.are_equal,
            untold=tuple(each.exec_id for each in untold),
            books=books,
            slippage=slippage,
        )
        self._tell(report)

    def _tell(self, report: BooksFile) -> None:
        log.info(
            "books",
            session=report.session,
            is_equal=report.is_equal,
            books=report.books.text(),
            untold=len(report.untold),
            slippage=report.slippage.text(),
        )
        alerts, folder = self._around.alerts, self._around.folder()
        if not report.is_equal:
            effect = "see to it by hand: what this account has done is not what the broker says; trading goes on"
            alerts.alert(AlertKind.BOOKS_DIFFER, why=f"{report.session}: {report.books.text()}", effect=effect)
        if folder is None:
            return
        path = folder / _file(report.session)
        try:
            write_whole(path, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        except OSError as error:
            log.warning("books_not_written", file=path.name, why=str(error))


def _file(date: str) -> str:
    return f"books-{date}.json"


def _day(ts_ns: int) -> str:
    """The broker's."""
    return f"{datetime.fromtimestamp(ts_ns // SECOND_NS, _BROKERS_ZONE):%Y-%m-%d}"


def simulated_fills(
    executions: Iterable[Execution],
    intents: Iterable[Intent],
    bars: Iterable[Bar],
    market: Instrument,
    slippage_ticks: int,
) -> list[Simulated]:
    """What the simulation would have paid for each order that filled: the open of the bar in which it filled, its own
    level (or that open, where it lies beyond a stop); orders without a bar or a level are left out.
    """
    known = list(bars)
    length_ns = known[0].ts_close_ns - known[0].ts_open_ns if known else MINUTE_NS
    opens = {bar.ts_open_ns: market.to_ticks(bar.open) for bar in known}
    meant = [each for each in intents if each.state not in _WITHOUT_EFFECT]
    found: dict[tuple[str, Leg], Simulated] = {}
    for each in sorted(executions, key=lambda execution: execution.ts_ns):
        if each.order_ref is None or each.leg is None or (each.order_ref, each.leg) in found:
            continue
        opened = opens.get(each.ts_ns // length_ns * length_ns)
        level = _level(each, meant)
        reference = opened if each.leg in {Leg.ENTRY, Leg.CLOSE} else level
        if each.leg is Leg.STOP and level is not None and opened is not None:
            reference = min(level, opened) if each.side < 0 else max(level, opened)
        if reference is not None:
            price = simulated_ticks(each.leg, each.side, reference, slippage_ticks)
            found[each.order_ref, each.leg] = Simulated(order_ref=each.order_ref, leg=each.leg, price_ticks=price)
    return list(found.values())


def _level(execution: Execution, meant: Iterable[Intent]) -> int | None:
    """Where the stop or target that filled had been sent to last; None where no order of the decision says.

    `meant` are in the order in which they were written.
    """
    decision, level = decision_of(execution.order_ref), None
    for intent in meant:
        if intent.decision_id != decision:
            continue
        match intent.order:
            case Bracket(stop_ticks=stop_ticks, target_ticks=target_ticks):
                level = stop_ticks if execution.leg is Leg.STOP else target_ticks
            case Amend(stop_ticks=stop_ticks, target_ticks=target_ticks):
                level = stop_ticks if execution.leg is Leg.STOP else target_ticks
            case Protect(stop_ticks=stop_ticks) if execution.leg is Leg.STOP:
                level = stop_ticks
            case _:
                pass
    return level
