"""The decision log of one run: the recorder's lines in the journal's files, in order."""

from collections.abc import Callable, Mapping

from trader.advisor.question import Answer
from trader.book import Book
from trader.chain import Chain
from trader.domain.decisions import Decision
from trader.domain.orders import Order
from trader.errors import InvariantError
from trader.exchange_log import ExchangeLog
from trader.news import BookedFill
from trader.pipeline import Look
from trader.ports import Journal
from trader.recorder import Outcome, Recorder
from trader.records import EventKind, EventRecord, StartRecord, file_name
from trader.router import Router


class Logbook:
    """Opens a file a session, writes a line a bar; nothing is lost between two bars."""

    def __init__(
        self, recorder: Recorder, journal: Journal, start: StartRecord, exchanges: ExchangeLog | None = None
    ) -> None:
        self._recorder = recorder
        self._journal = journal
        self._exchanges = exchanges
        self._start: StartRecord | None = start
        self._session = ""

    @property
    def chain(self) -> Chain:
        """How many lines there are, and the last one's hash."""
        return self._recorder.chain

    @property
    def is_healthy(self) -> bool:
        """Whether lines still reach the disk; entries stop when they do not."""
        return self._journal.is_healthy

    @property
    def backlog(self) -> int:
        """Lines that wait for the disk."""
        return self._journal.backlog

    def has_written(self, lines: int, patience_s: float) -> bool:
        """Have the first so many lines on the disk, but wait no longer; whether they are there. From any thread."""
        return self._journal.has_written(lines, patience_s)

    def newest_line(self) -> Callable[[float], bool]:
        """`has_written` of what has been written until now."""
        lines = self.chain.lines
        return lambda patience_s: self._journal.has_written(lines, patience_s)

    def restate(self, change: Callable[[StartRecord], StartRecord]) -> None:
        """Say more in the manifest, before the first bar: what was restored, and what features began from."""
        if self._start is None:
            msg = "the manifest has been written"
            raise InvariantError(msg)
        self._start = change(self._start)

    def begin_session(self, date: str) -> None:
        """Begin the file of another session; the run's first file begins with the manifest."""
        if self._exchanges is not None and self._session:
            self._exchanges.flush()  # reasons for the last answers stand with them
        self._journal.begin_file(date)
        if self._start is not None:
            self._journal.write(self._recorder.start(self._start))
            self._start = None
        else:
            self._journal.write(self._recorder.go_on(file_name(self._session)))
        self._session = date

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """The record of one bar, with the orders about to leave and the fills since the line before."""
        orders: list[Order] = []
        fills: list[BookedFill] = []
        if router.has_news:
            orders, fills, refused = router.drain()
            self._tell_unfilled(router, look.seq)
            self._tell_outside(router, look.seq)
            for order in refused:
                detail = {"order": order.order.order_ref, "why": order.why.value}
                self.event(EventKind.ORDER_REFUSED, look.seq, detail)
        self._journal.write(self._recorder.line(look, answer, decision, outcome, orders, fills))

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """Something besides bars that replay must know."""
        self._journal.write(self._recorder.event(EventRecord(kind=kind.value, from_bar=from_bar, detail=dict(detail))))

    def close(self, bars: int, router: Router, book: Book) -> None:
        """The last line, and the head beside the files. A run without a bar leaves no log."""
        if self._start is not None:
            self._journal.discard()
            return
        if self._exchanges is not None:
            self._exchanges.flush()
        _, fills, _ = router.drain()
        self._tell_unfilled(router, bars)
        self._tell_outside(router, bars)
        self._journal.write(self._recorder.end(bars, fills, book.view()))
        self._journal.close(self._recorder.chain.head, self._recorder.chain.lines)

    def _tell_unfilled(self, router: Router, from_bar: int) -> None:
        for order_ref, outcome in router.drain_unfilled():
            self.event(EventKind.ORDER_UNFILLED, from_bar, {"order": order_ref, "outcome": outcome.value})

    def _tell_outside(self, router: Router, from_bar: int) -> None:
        """What no order of ours explains: a replay books it where it is told."""
        fees, trades = router.drain_outside()
        for fee in fees:
            self.event(EventKind.FEE, from_bar, {"order": fee.order_ref, "cents": fee.cents})
        for trade in trades:
            detail = {"qty": trade.signed_qty, "price_ticks": trade.price_ticks, "ts_ns": trade.ts_ns}
            self.event(EventKind.FOREIGN_TRADE, from_bar, detail)

    def discard(self) -> None:
        """Give up: a replay that failed leaves no log."""
        self._journal.discard()


class SilentLogbook:
    """Keeps nothing: for benchmarks, sweeps and training."""

    is_healthy = True
    backlog = 0

    def begin_session(self, date: str) -> None:
        """Nothing is written."""

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """Nothing is written."""
        del look, answer, decision, outcome
        if router.has_news:
            router.drain()
            router.drain_unfilled()
            router.drain_outside()

    def event(self, kind: EventKind, from_bar: int, detail: Mapping[str, str | int]) -> None:
        """Nothing is written."""

    def close(self, bars: int, router: Router, book: Book) -> None:
        """Nothing was written."""
        del bars, book
        router.drain()

    def discard(self) -> None:
        """Nothing was written."""
