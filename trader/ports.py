"""What the line needs from outside, on one page. Adapters implement these; tests use 40-line fakes."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trader.advisor.counts import AdviceCounts
    from trader.advisor.question import Answer, Question
    from trader.book import Book
    from trader.domain.account import AccountView
    from trader.domain.alerts import AlertKind
    from trader.domain.bars import Bar
    from trader.domain.decisions import Decision, Proposal
    from trader.domain.orders import Fill, Order, Unfilled
    from trader.outlook import Outlook
    from trader.pipeline import Look
    from trader.recorder import Outcome
    from trader.records import EventKind
    from trader.router import Router


class Feed(Protocol):
    """Closed bars in time order. Each chunk is what is known at one moment: one bar live, thousands in a replay."""

    def chunks(self) -> AsyncIterator[Iterable["Bar"]]: ...


class Strategy(Protocol):
    """Who proposes. Sees the outlook of the bar that has just closed; must choose inside `outlook.mask`."""

    def propose(self, outlook: "Outlook") -> "Proposal": ...


class AdvisorBackend(Protocol):
    """Answers one question: USED with advice, ERROR or INVALID. It may block, and has a thread of its own for that.

    `is_instant` says that `ask` is a pure function, called in place. `identity` names everything that makes two answers
    differ for the same question: template, model, revision, quantisation. `is_calibrated` says that its confidences are
    a model's, to be calibrated before use. `start` makes ready (loads, connects, warms up), may block, and raises a
    ConfigurationError that says what is wrong. `close` makes a call in progress return.
    """

    @property
    def is_instant(self) -> bool: ...

    @property
    def identity(self) -> str: ...

    @property
    def is_calibrated(self) -> bool: ...

    def start(self) -> None: ...

    def ask(self, question: "Question") -> "Answer": ...

    def close(self) -> None: ...


class Advisor(Protocol):
    """Answers the engine's questions, in bounded time; `late_answer` is asked on every bar without a question.

    `start` makes ready before the first bar: None, or why there will be no advice for now. ConfigurationError where
    there must be.
    """

    async def start(self) -> "str | None": ...

    async def answer(self, question: "Question") -> "Answer": ...

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: "AccountView") -> "Answer | None": ...

    def forget(self) -> None: ...

    def counts(self) -> "AdviceCounts": ...

    async def close(self) -> bool: ...


class Broker(Protocol):
    """Takes orders without waiting; what becomes of them comes back through the listener that it was built with.

    The engine tells it of the market first, then the pipeline: a simulated broker fills inside these calls, a real one
    ignores them.
    """

    def submit(self, order: "Order") -> None: ...

    def on_bar(self, bar: "Bar") -> None: ...

    def on_session_end(self) -> None: ...

    def on_roll(self) -> None: ...


class OrderListener(Protocol):
    """Who is told what became of orders, inside the broker's call."""

    def on_fill(self, fill: "Fill") -> None: ...

    def on_unfilled(self, order_ref: str, outcome: "Unfilled") -> None: ...


class BrokerWatcher(OrderListener, Protocol):
    """Who is told what only a real broker can do besides filling; `order_ref` is the bracket's.

    `on_fee`: an execution cost so many cents more (less: negative) than its fill said. `on_foreign`: somebody else has
    traded the contract on this account, by as many signed contracts. `on_naked`: a position has had no working stop for
    too long, or its stop was refused: close it. `on_doubt`: what the broker has is not certain, so no entries, None
    once it is again. `on_out_of_step`: the connection went or has to be compared anew, so no entries until the next
    `on_doubt`. `on_broken`: an order has been in doubt for too long: protect only, until somebody starts again.
    """

    def on_fee(self, order_ref: str, cents: int) -> None: ...

    def on_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> None: ...

    def on_naked(self, why: str) -> None: ...

    def on_doubt(self, why: str | None) -> None: ...

    def on_out_of_step(self) -> None: ...

    def on_broken(self, why: str) -> None: ...


class RunLog(Protocol):
    """Is told of everything that the engine does, bar by bar: the decision log, or whoever watches a run.

    `bar` is called once a bar, before its orders leave; whoever implements it drains the router's news. `is_healthy`
    and `backlog` are those of the journal.
    """

    @property
    def is_healthy(self) -> bool: ...

    @property
    def backlog(self) -> int: ...

    def begin_session(self, date: str) -> None: ...

    def bar(
        self, look: "Look", answer: "Answer | None", decision: "Decision", outcome: "Outcome", router: "Router"
    ) -> None: ...

    def event(self, kind: "EventKind", from_bar: int, detail: Mapping[str, str | int]) -> None: ...

    def close(self, bars: int, router: "Router", book: "Book") -> None: ...

    def discard(self) -> None: ...


class Journal(Protocol):
    """Takes finished lines, a file a session, without making the loop wait for a disk.

    `is_healthy` is False once a line could not be kept: entries stop, protection goes on. `backlog` is how many
    lines wait for the disk; `has_written` waits for the first so many, from any thread, and says whether they are
    on it. `aside` takes a line of the advisor log, which may be lost and never stops anything.
    """

    @property
    def is_healthy(self) -> bool: ...

    @property
    def backlog(self) -> int: ...

    def begin_file(self, session_date: str) -> None: ...

    def write(self, line: bytes) -> None: ...

    def has_written(self, lines: int, patience_s: float) -> bool: ...

    def aside(self, line: bytes) -> None: ...

    def close(self, head: str, lines: int) -> None: ...

    def discard(self) -> None: ...


class Alerts(Protocol):
    """Tells a person of what cannot wait until somebody looks: what happened, why, and what it means for trading.

    Called from the loop: it neither blocks nor raises.
    """

    def alert(self, kind: "AlertKind", *, why: str, effect: str) -> None: ...
