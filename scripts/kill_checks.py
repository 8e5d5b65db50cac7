"""What must hold after lives that were killed: an oracle for each broker, and the logs of all lives in a chain."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from trader import assembly
from trader.adapters.paper_broker import PaperBroker
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import AccountIdentity, State
from trader.analysis.log import Entry as Line
from trader.analysis.log import Kind, LogReader
from trader.clock_text import utc_text
from trader.commands.common import open_source
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.orders import Amend, AmendCause, Fill, Order, Unfilled
from trader.domain.sessions import Calendar
from trader.gateway.ledger import Entry, Event
from trader.kernels import book as k
from trader.options import BarOptions
from trader.records import PreviousRun, StartRecord
from trader.settings import Settings

HARMLESS = frozenset({AlertKind.LINK_DOWN, AlertKind.STALE_BARS})
"""Alerts that a market with minutes of half a second raises by itself."""
SETTLING_S = 0.3


class Sample(Struct, frozen=True, kw_only=True):
    """What a life said of its position: asked at `begun_s`, answered at `ended_s` of the machine's clock."""

    begun_s: float
    ended_s: float
    position_qty: int


class Chain(Struct, frozen=True, kw_only=True):
    """What the logs of a leg show. `broken` says where a run does not go on from the one before; `loose` are folders
    that no later run names. `caught_up` counts bars that were booked later, `events` those that say so.
    """

    folders: int
    bars: int
    caught_up: int
    events: int
    loose: int
    broken: tuple[str, ...]


def read_state(folder: Path, identity: AccountIdentity) -> State:
    """What the state folder holds; whoever had it must have ended."""
    state = StateDb(folder, identity)
    try:
        return state.snapshot()
    finally:
        state.close()


def read_ledger(path: Path) -> list[Entry]:
    """A gateway's."""
    return [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()]


def alerts_in(outs: Sequence[Path]) -> tuple[Counter[str], list[str]]:
    """How often each alert was raised, and lines that no life of the program should say."""
    kinds = {kind.value for kind in AlertKind}
    counts: Counter[str] = Counter()
    odd: list[str] = []
    for out in outs:
        whole = out.read_bytes().rpartition(b"\n")[0]
        for line in whole.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                odd.append(f"{out.name}: {line.decode(errors='replace')}")
                continue
            if event["event"] in kinds:
                counts[event["event"]] += 1
                if event["event"] not in HARMLESS:
                    odd.append(f"{out.name}: {line.decode()}")
            elif event.get("level") in {"error", "critical"}:
                odd.append(f"{out.name}: {line.decode()}")
    return counts, odd


def against_ledger(state: State, entries: Sequence[Entry], settings: Settings) -> Iterator[str]:
    """Where executions and book are not the exchange's, or something still works."""
    theirs = Counter((e.order_ref, e.side, e.qty, e.price_ticks) for e in entries if e.event is Event.EXECUTED)
    ours = Counter((e.order_ref or "", int(e.side), e.qty, e.price_ticks) for e in state.executions)
    if ours != theirs:
        yield f"executions that only we have: {sorted((ours - theirs).elements())}"
        yield f"executions that only they have: {sorted((theirs - ours).elements())}"
    working: set[int] = set()
    for entry in entries:
        if entry.event in {Event.PLACED, Event.MODIFIED}:
            working.add(entry.perm_id)
        elif entry.event in {Event.ENDED, Event.REJECTED} or (entry.event is Event.EXECUTED and not entry.remaining):
            working.discard(entry.perm_id)
    if working:
        yield f"orders {sorted(working)} still work"
    yield from _against_executions(state, settings)


def _against_executions(state: State, settings: Settings) -> Iterator[str]:
    """Where the book is not what its executions come to."""
    if state.book is None:
        yield "there is no book"
        return
    market = instrument(settings.market)
    terms = assembly.terms_of_trade(settings, market)
    qty = sum(int(e.side) * e.qty for e in state.executions)
    traded = sum(int(e.side) * e.qty * e.price_ticks for e in state.executions) * market.tick_value_cents
    fees = sum(e.qty for e in state.executions) * terms.commission_side_cents
    wanted = (qty, terms.start_balance_cents - traded - fees)
    got = (state.book.row[k.QTY], state.book.row[k.CASH])
    if got != wanted:
        yield f"position and cash are {got}, the executions come to {wanted}"


def against_samples(entries: Sequence[Entry], samples: Sequence[Sample]) -> tuple[int, list[str]]:
    """How many samples were taken while nothing filled, and those that are not the exchange's position."""
    fills = [entry for entry in entries if entry.event is Event.EXECUTED]
    compared, wrong = 0, []
    for sample in samples:
        if any(sample.begun_s - SETTLING_S <= fill.at_s <= sample.ended_s for fill in fills):
            continue
        compared += 1
        position = sum(fill.side * fill.qty for fill in fills if fill.at_s < sample.begun_s)
        if position != sample.position_qty:
            wrong.append(f"at {sample.begun_s:.2f} s we said {sample.position_qty:+d}, the exchange {position:+d}")
    return compared, wrong


class Again:
    """The simulated broker alone, given the orders of a state: what it fills."""

    def __init__(self, settings: Settings, state: State) -> None:
        market = instrument(settings.market)
        row = assembly.terms_of_trade(settings, market).as_row(market)
        self.fills: list[tuple[str, int, int, int, int]] = []
        self._broker = PaperBroker(market, row, self)
        self._orders: dict[int, list[Order]] = {}
        self._anchors: dict[str, list[Amend]] = {}
        for intent in state.intents:
            if isinstance(intent.order, Amend) and intent.order.cause is AmendCause.ANCHOR:
                self._anchors.setdefault(intent.order.order_ref, []).append(intent.order)
            else:
                self._orders.setdefault(intent.ts_intended_ns, []).append(intent.order)

    def play(self, bars: Sequence[Bar]) -> None:
        """Fill over these bars, each order behind the bar after which it was sent."""
        calendar = Calendar.load()
        for before, bar in pairwise((bars[0], *bars)):
            session = calendar.at(before.ts_open_ns)
            if session is None or bar.ts_open_ns >= session.close_ns:
                self._broker.on_session_end()
            if bar.symbol != before.symbol:
                self._broker.on_roll()
            self._broker.on_bar(bar)
            for order in self._orders.pop(bar.ts_close_ns, ()):
                self._broker.submit(order)

    @property
    def unsent(self) -> int:
        """Orders of which the bars say nothing."""
        return sum(len(orders) for orders in self._orders.values())

    def on_fill(self, fill: Fill) -> None:
        """OrderListener's."""
        self.fills.append((f"{fill.order_ref}#{fill.nth}", int(fill.side), fill.qty, fill.price_ticks, fill.ts_ns))
        for amend in self._anchors.pop(fill.order_ref, ()):
            self._broker.submit(amend)

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """OrderListener's."""


def against_bars(state: State, settings: Settings) -> Iterator[str]:
    """Where executions are not what the same orders fill on the same bars in one go."""
    if state.progress is None:
        yield "no bar was kept"
        return
    again = Again(settings, state)
    again.play([bar for bar in sample_bars() if bar.ts_close_ns <= state.progress.ts_close_ns])
    ours = [(e.exec_id, int(e.side), e.qty, e.price_ticks, e.ts_ns) for e in state.executions]
    if ours != again.fills:
        only = sorted((Counter(ours) - Counter(again.fills)).elements())
        yield f"{len(ours)} executions, in one go {len(again.fills)}; only ours: {only[:5]}"
    if again.unsent:
        yield f"{again.unsent} orders were sent at no bar's close"
    yield from _against_executions(state, settings)


def sample_bars() -> list[Bar]:
    """The embedded sample."""
    source = open_source(BarOptions(bars="sample"), instrument("NQ"), Calendar.load())
    return [bar for columns in source.columns() for bar in columns.to_bars()]


def lines_of(folder: Path) -> list[Line]:
    """A run's log, without a last line that was cut; empty where a run ended before its first."""
    return list(LogReader(folder, is_run=True).entries())


def before_of(lines: Sequence[Line]) -> PreviousRun | None:
    """Which run this one goes on from."""
    record = lines[0].record()
    return record.previous_run if isinstance(record, StartRecord) else None


def breaks(name: str, link: PreviousRun, runs: Mapping[str, Sequence[Line]]) -> Iterator[str]:
    """Where a run names a line that the one before does not have."""
    there = runs.get(link.run_id, [])
    if link.lines > len(there):
        yield f"{name} goes on after line {link.lines} of {link.run_id}, which has {len(there)}"
    elif there[link.lines - 1].hash != link.head:
        yield f"{name} names another head of {link.run_id} than its line {link.lines} has"


def chain_of(root: Path, *, is_whole: bool) -> Chain:
    """See that each run goes on from the one before. `is_whole`: and that together they have every bar once."""
    runs = {folder.name: lines for folder in root.iterdir() if (lines := lines_of(folder))}
    links = {name: before_of(lines) for name, lines in runs.items()}
    broken = [why for name, link in links.items() if link is not None for why in breaks(name, link, runs)]
    kept = {link.run_id: link.lines for link in links.values() if link is not None}
    following = {link.run_id: name for name, link in links.items() if link is not None}
    name: str | None = next(name for name, link in links.items() if link is None)
    bars, chained = [], 0
    while name is not None:
        chained += 1
        lines = runs.get(name, [])
        bars += [line.bar().bar for line in lines[: kept.get(name)] if line.kind is Kind.BAR]
        name = following.get(name)
    if is_whole:
        order = {utc_text(one.ts_open_ns): utc_text(two.ts_open_ns) for one, two in pairwise(sample_bars())}
        broken += [
            f"the bar that opens at {two} follows the one at {one}"
            for one, two in pairwise(bar.open_utc for bar in bars)
            if order[one] != two
        ]
    whole = [line for lines in runs.values() for line in lines]
    return Chain(
        folders=len(runs),
        bars=len(bars),
        caught_up=sum(b'"caught_up":true' in line.x for line in whole),
        events=sum(line.kind is Kind.EVENT and b"catching_up" in line.payload for line in whole),
        loose=len(runs) - chained,
        broken=tuple(broken),
    )
