"""What the parts of a run hold, as the records in which it is kept, and back into the parts."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from trader.adapters.paper_broker import PaperState
from trader.adapters.state.books import book_row
from trader.adapters.state.records import (
    BookRow,
    KeptAnswers,
    KeptLearned,
    LineMemory,
    LogHead,
    PaperOrders,
    Progress,
    RuleCounters,
    Section,
    State,
    Switches,
)
from trader.advisor.cache import AdviceCache, CacheState
from trader.advisor.gate import Gate, GateMemory
from trader.book import Book
from trader.engine import Engine
from trader.live.paper_ledger import Simulated
from trader.parts import Reached

S = TypeVar("S", bound=Struct)
Take = Callable[[], Section | None]
"""One section as it is now; None where this run has none. The same object again where it is known to be the same."""


def no_log(lines: int, patience_s: float) -> bool:
    """There is no line to wait for."""
    del lines, patience_s
    return True


class Source(Struct, frozen=True, kw_only=True):
    """Whose state is kept. `simulated` is None with a real broker, `cache` None where no answer is given twice.

    `gate` is what decides when the advisor is asked; a cache without it is asked as at a beginning.

    `advisor` names who is learned of, the same from run to run: market, strategy and back end, not what was learned.
    `head` is the last line of the log so far (None before the first), `who` the run. `has_written` waits so many
    seconds for the first so many lines of the log, and says whether they are on the disk; from any thread.
    """

    engine: Engine
    simulated: Simulated | None
    cache: AdviceCache | None
    advisor: str
    head: Callable[[], LogHead | None]
    who: str
    gate: Gate | None = None
    has_written: Callable[[int, float], bool] = no_log


def takes_of(source: Source, found: State) -> tuple[Take, ...]:
    """How each section of this run is taken."""
    parts = source.engine.parts
    learner, cache, simulated, gate = parts.learner, source.cache, source.simulated, source.gate
    takes: list[Take] = [
        lambda: progress_of(source.engine.reached()),
        BookTaken(parts.book),
        lambda: LineMemory(router=parts.router.state()),
        lambda: RuleCounters(counters=parts.counters.state()),
        SwitchesTaken(source.engine, source.who, found.switches),
        source.head,
    ]
    if simulated is not None:
        takes.append(lambda: paper_orders(simulated.broker.state()))
    if cache is not None:
        takes.append(lambda: kept_answers(cache.state(), None if gate is None else gate.memory()))
    if learner is not None:
        takes.append(
            lambda: KeptLearned(advisor=source.advisor, learned=learner.learned(), unsettled=learner.unsettled())
        )
    return tuple(takes)


class BookTaken:
    """The book's row, made into a record only when one of its bytes has changed."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._seen = (b"", 0)
        self._row: BookRow | None = None

    def __call__(self) -> BookRow:
        """The row as it is."""
        seen = (self._book.row.tobytes(), self._book.accounts_used)
        if self._row is None or seen != self._seen:
            self._seen, self._row = seen, book_row(self._book)
        return self._row


class SwitchesTaken:
    """What the operator has switched; since the bar after which it was found so."""

    def __init__(self, engine: Engine, who: str, found: Switches | None) -> None:
        self._engine = engine
        self._who = who
        self._switches = found

    def __call__(self) -> Switches:
        """The switches as they are."""
        controls, was = self._engine.controls, self._switches
        now = (controls.is_killed, controls.is_paused, controls.is_flattening)
        if was is None or now != (was.killed, was.paused, was.flattening):
            killed, paused, flattening = now
            self._switches = was = Switches(
                killed=killed,
                paused=paused,
                flattening=flattening,
                by=self._who,
                ts_ns=self._engine.reached().ts_close_ns,
            )
        return was


def progress_of(reached: Reached) -> Progress:
    """How far the run has come, as it is kept."""
    return _same(reached, Progress)


def paper_orders(state: PaperState) -> PaperOrders:
    """All that the simulated broker holds, as it is kept."""
    return _same(state, PaperOrders)


def kept_answers(state: CacheState, gate: GateMemory | None) -> KeptAnswers:
    """The answers that may be given again, as they are kept."""
    return KeptAnswers(advisor=state.identity, scope=state.scope, entries=state.entries, gate=gate)


def cache_state(answers: KeptAnswers) -> CacheState:
    """And back."""
    return CacheState(identity=answers.advisor, scope=answers.scope, entries=answers.entries)


def _same(record: Struct, as_: type[S]) -> S:
    """The record as one of another name with the same fields."""
    return as_(**{field: getattr(record, field) for field in record.__struct_fields__})
