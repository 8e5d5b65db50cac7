"""Puts what was kept back into the parts of a run that is to go on, or refuses what contradicts itself.

The warm-up is for the features alone and may come before or after.
"""

from collections.abc import Iterator

from msgspec import Struct

from trader.adapters.state.books import restore_book
from trader.adapters.state.records import (
    BookRow,
    Kept,
    KeptLearned,
    LineMemory,
    PaperOrders,
    Progress,
    RuleCounters,
    State,
)
from trader.clock_text import utc_text
from trader.errors import InvariantError, StateDamagedError
from trader.kernels import book as k
from trader.learning import Learner
from trader.live.sections import Source, cache_state
from trader.live.starting import what_is_open

REMEDY = "compare with the broker, then move the state folder away; nothing was traded"


class Restored(Struct, frozen=True, kw_only=True):
    """What a run goes on with. `progress` is None where nothing had been kept: it begins afresh.

    `ts_close_ns` is the close of the last bar whose fills are booked (0 before the first): bars from there on are
    missing. `open` says what is open, `remarks` what a person should know.
    """

    progress: Progress | None
    ts_close_ns: int
    position_qty: int
    open: tuple[str, ...]
    remarks: tuple[str, ...]


class Line(Struct, frozen=True, kw_only=True):
    """What is kept of every run, after each bar: all of it or none. `paper` is None with a real broker."""

    progress: Progress
    book: BookRow
    line: LineMemory
    rules: RuleCounters
    paper: PaperOrders | None


def restore(state: State, source: Source, now_ns: int) -> Restored:
    """Make freshly assembled parts what the kept ones were, before their first bar.

    StateDamagedError, and nothing is put back, where sections contradict each other or the time.
    """
    line = line_of(state, is_simulated=source.simulated is not None)
    remarks = list(state.remarks)
    if line is not None:
        _demand_whole(line, now_ns)
        _put_back(line, source)
        if source.simulated is not None:
            source.simulated.ledger.restore(state.intents, line.progress.ts_close_ns)
    remarks += _switch(state, source)
    remarks += _advise(state, source)
    open_ = what_is_open(state)
    if line is not None:
        remarks.append(f"goes on after the bar that closed at {utc_text(line.progress.ts_close_ns)}")
    return Restored(
        progress=None if line is None else line.progress,
        ts_close_ns=0 if line is None else line.progress.ts_close_ns,
        position_qty=source.engine.parts.book.position_qty,
        open=open_,
        remarks=tuple(remarks),
    )


def line_of(state: State, *, is_simulated: bool) -> Line | None:
    """The sections that belong together; None where none has been kept. StateDamagedError where some are missing."""
    needed: dict[str, Kept | None] = {
        "progress": state.progress,
        "book": state.book,
        "line": state.line,
        "rules": state.rules,
    }
    if is_simulated:
        needed["paper"] = state.paper
    missing = [name for name, section in needed.items() if section is None]
    if len(missing) == len(needed):
        return None
    if state.progress is None or state.book is None or state.line is None or state.rules is None or missing:
        why = f"the sections {', '.join(missing)} are missing, and others are there"
        raise _damaged(why)
    return Line(
        progress=state.progress,
        book=state.book,
        line=state.line,
        rules=state.rules,
        paper=state.paper if is_simulated else None,
    )


def _demand_whole(kept: Line, now_ns: int) -> None:
    """StateDamagedError names what contradicts what."""
    for contradiction in _contradictions(kept, now_ns):
        raise _damaged(contradiction)


def _contradictions(kept: Line, now_ns: int) -> Iterator[str]:
    row, progress, router = kept.book.row, kept.progress, kept.line.router
    if len(row) != k.SIZE:
        yield f"the book's row has {len(row)} places, this program's has {k.SIZE}: the state needs a migration"
        return
    qty = row[k.QTY]
    if progress.ts_close_ns > now_ns:
        yield f"the last bar closes at {utc_text(progress.ts_close_ns)}, and it is {utc_text(now_ns)}: see to the clock"
    if (qty != 0) != (router.holding.order_ref != ""):
        yield f"the book holds {qty:+d}, the router {router.holding.order_ref or 'no position'}"
    if router.entry_working and router.bracket is None:
        yield "the router has an entry at work, and no bracket"
    if kept.paper is not None:
        yield from _against_paper(kept, kept.paper)


def _against_paper(kept: Line, paper: PaperOrders) -> Iterator[str]:
    qty, router = kept.book.row[k.QTY], kept.line.router
    bracket, holding = router.bracket, router.holding
    if paper.position_qty != qty:
        yield f"the book holds {qty:+d}, the simulated broker {paper.position_qty:+d}"
    if holding.order_ref and paper.order_ref != holding.order_ref:
        yield f"the router's position is {holding.order_ref}, the simulated broker's {paper.order_ref}"
    working = bracket.order_ref if bracket is not None and router.entry_working else None
    at_broker = None if paper.entry is None else paper.entry.order_ref
    if working != at_broker:
        yield f"the entry at work is {working} to the router, {at_broker} to the simulated broker"
    if (paper.closing is not None) != (holding.closing_qty > 0):
        yield f"{holding.closing_qty} contracts are being closed, and the simulated broker's close is {paper.closing}"
    if paper.last is not None and paper.last.ts_close_ns != kept.progress.ts_close_ns:
        yield (
            f"the simulated broker's last bar closes at {utc_text(paper.last.ts_close_ns)}, the run's at"
            f" {utc_text(kept.progress.ts_close_ns)}"
        )


def _put_back(kept: Line, source: Source) -> None:
    engine, parts = source.engine, source.engine.parts
    restore_book(parts.book, kept.book)
    parts.router.restore(kept.line.router)
    parts.counters.restore(kept.rules.counters)
    engine.passage.resume(kept.progress)
    if source.simulated is not None and kept.paper is not None:
        source.simulated.broker.restore(kept.paper)


def _switch(state: State, source: Source) -> Iterator[str]:
    switches, controls = state.switches, source.engine.controls
    if switches is None:
        return
    if switches.killed:
        controls.kill()
        yield f"the kill switch is in force, since {utc_text(switches.ts_ns)} ({switches.by})"
    controls.is_flattening = switches.flattening
    if switches.paused:
        controls.pause()
        yield f"paused, since {utc_text(switches.ts_ns)} ({switches.by}): `trader resume` lifts it"


def _advise(state: State, source: Source) -> Iterator[str]:
    """Put back what the advisor need not be asked, or learn, again; of another advisor it is of no use."""
    answers, learned, learner = state.answers, state.learned, source.engine.parts.learner
    bars = 0 if state.progress is None else state.progress.bars
    if source.cache is not None and answers is not None:
        source.cache.restore(cache_state(answers))
        if not len(source.cache) and answers.entries:
            yield f"the answers of {answers.advisor} are left out: another advisor is asked"
        if source.gate is not None and answers.gate is not None:
            source.gate.restore(answers.gate, bars)
    if learner is not None and learned is not None:
        if learned.advisor != source.advisor:
            yield f"what was learned of {learned.advisor} is left out: the advisor is {source.advisor}"
        else:
            yield from _teach(learner, learned, bars)


def _teach(learner: Learner, kept: KeptLearned, bars: int) -> Iterator[str]:
    fresh = learner.learned()
    try:
        learner.restore(kept.learned)
        if kept.unsettled is not None:
            learner.go_on(kept.unsettled, bars)
    except (InvariantError, ValueError) as error:  # figures that no run has written
        learner.restore(fresh)
        yield f"what was learned is left out: {error}"


def _damaged(why: str) -> StateDamagedError:
    return StateDamagedError(f"state.db: {why}; {REMEDY}")
