"""What became of each advice: every valid action followed on its own until it has paid or not. Pure; kernels only.

Rules of spec advisor.md (Outcome) with the fills of spec decision.md. Flat: BUY and SELL enter at the next bar's open
with the configured bracket. In a position: the trade as it stands, and with each valid stop action taken. A course ends
by stop or target, at the first open at or after flat_at, at the close of its last bar (`horizon_bars`), or where its
session, contract or file ends; pessimistic inside a bar, slippage and both commissions paid. All of it is
hypothetical: what the engine did, what vetoed it and what else it held play no part.
"""

from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from trader.domain.actions import ACTION_COUNT, Action, actions_in
from trader.domain.bars import Bar
from trader.kernels import book, matching

Cents = tuple[int | None, ...]
Won = tuple[bool | None, ...]

_NOTHING: "tuple[Outcome, ...]" = ()
_STOP_ACTIONS = frozenset({Action.MOVE_TO_BE, Action.ENABLE_TRAIL, Action.DISABLE_TRAIL})


class OutcomeTerms(Struct, frozen=True, kw_only=True):
    """Costs and distances of one contract. `break_even_ticks` lie beyond the entry, `trail_atr` is a multiple of ATR.

    `horizon_bars` counts from the bar of the entry's fill, or from the first after the question where a position is
    held.
    """

    ticks_per_point: int
    tick_value_cents: int
    commission_side_cents: int
    slippage_ticks: int
    target_through_ticks: int
    break_even_ticks: int
    trail_atr: float
    horizon_bars: int = 30


class Held(Struct, frozen=True, gc=False):
    """The position at the question's close: `side` +1 or -1, its average entry, its bracket as it rests then."""

    side: int
    entry_ticks: int
    stop_ticks: int
    target_ticks: int
    trailing: bool


class Case(Struct, frozen=True, kw_only=True):
    """A question whose outcome is wanted, at the close of bar `seq`; the distances are those that an entry would get.

    `held` is None when flat. `atr_ticks` is that of bar `seq`: a trail that is turned on works at once.
    """

    seq: int
    mask: int
    regime: int
    close_ticks: int
    atr_ticks: float
    stop_distance_ticks: int
    target_distance_ticks: int
    held: Held | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What each valid action came to; None where it was not valid, or could not be filled.

    `net_cents` is of one contract's whole trade, costs included; HOLD is 0 when flat, else the trade left as it was.
    `won`: BUY and SELL by more than 0, a stop action by more than HOLD, HOLD where no other did.
    """

    seq: int
    regime: int
    mask: int
    net_cents: Cents
    won: Won


class Course(Struct):
    """One action followed: a position of one contract that is being filled, or open. It changes with the bars."""

    action: int
    side: int
    entry_ticks: int
    stop_ticks: int
    target_ticks: int
    trailing: bool


class Followed(Struct):
    """A case, the bars it has seen, the courses that still run, and what the ended ones came to, by action."""

    case: Case
    bars: int
    running: list[Course]
    net_cents: list[int | None]


class TrackerState(Struct, frozen=True, kw_only=True):
    """All that a tracker knows, to be kept over a restart."""

    followed: tuple[Followed, ...]
    last_close_ticks: int


class _Prices(NamedTuple):
    open_: int
    high: int
    low: int
    close: int


class OutcomeTracker:
    """Follows cases bar by bar. About 30 are open at most, one a bar."""

    def __init__(self, terms: OutcomeTerms) -> None:
        self._terms = terms
        self._row = np.zeros(book.TERMS_SIZE)
        self._row[book.TRAIL_ATR] = terms.trail_atr
        self._open: list[Followed] = []
        self._last_close = 0

    def __len__(self) -> int:
        return len(self._open)

    def open(self, case: Case) -> None:
        """Follow a question from the next bar on; one with a forced answer teaches nothing and is left out."""
        if not case.mask & (case.mask - 1):
            return
        held = case.held
        running = (
            _entries(case)
            if held is None
            else [_managed(case, held, action, self._terms, self._row) for action in _managing(case.mask)]
        )
        net: list[int | None] = [None] * ACTION_COUNT
        if held is None:
            net[Action.HOLD] = 0
        self._open.append(Followed(case, 0, running, net))
        self._last_close = case.close_ticks

    def on_bar(self, bar: Bar, atr_ticks: float, flat_at_ns: int) -> tuple[Outcome, ...]:
        """Take one closed bar; returns what it settled. To be called before the bar's own case is opened.

        `atr_ticks` is ATR at this bar's close, `flat_at_ns` the session's time to be flat.
        """
        if not self._open:
            return _NOTHING
        scale = self._terms.ticks_per_point
        prices = _Prices(
            round(bar.open * scale), round(bar.high * scale), round(bar.low * scale), round(bar.close * scale)
        )
        self._last_close = prices.close
        if bar.ts_open_ns >= flat_at_ns:
            return self._cut(prices.open_)
        is_settled = False
        for followed in self._open:
            followed.bars += 1
            _match(followed, prices, self._terms)
            if followed.bars == self._terms.horizon_bars:
                _leave(followed, prices.close, self._terms)
            is_settled |= not followed.running
        self._trail(prices.close, atr_ticks)
        return self._settle() if is_settled else _NOTHING

    def end(self) -> tuple[Outcome, ...]:
        """The session, the contract or the file has ended: what is open is left at the last close, slipped."""
        return self._cut(self._last_close) if self._open else _NOTHING

    def state(self) -> TrackerState:
        """What `restore` takes; a copy, which later bars do not change."""
        return _copied(TrackerState(followed=tuple(self._open), last_close_ticks=self._last_close))

    def restore(self, state: TrackerState) -> None:
        """Go on where another tracker of the same terms stood."""
        own = _copied(state)
        self._open = list(own.followed)
        self._last_close = own.last_close_ticks

    def _trail(self, close: int, atr_ticks: float) -> None:
        """After a closed bar, pull the stops that trail; they work from the next bar on."""
        levels: dict[int, int] = {}
        for followed in self._open:
            for course in followed.running:
                if course.trailing:
                    side = course.side
                    if side not in levels:
                        levels[side] = book.trail_level(self._row, side, close, atr_ticks)
                    _tighten(course, levels[side])

    def _cut(self, price: int) -> tuple[Outcome, ...]:
        for followed in self._open:
            _leave(followed, price, self._terms)
        return self._settle()

    def _settle(self) -> tuple[Outcome, ...]:
        done = tuple(_outcome(followed) for followed in self._open if not followed.running)
        self._open = [followed for followed in self._open if followed.running]
        return done


def _entries(case: Case) -> list[Course]:
    """The valid entries, not filled yet: their brackets are anchored at the question's close."""
    courses = []
    for action, side in ((Action.BUY, 1), (Action.SELL, -1)):
        if case.mask >> action & 1:
            close = case.close_ticks
            stop, target = close - side * case.stop_distance_ticks, close + side * case.target_distance_ticks
            courses.append(Course(int(action), side, close, stop, target, trailing=False))
    return courses


def _managed(case: Case, held: Held, action: Action, terms: OutcomeTerms, row: book.Terms) -> Course:
    """The position from the question's close on, with `action` taken there as the engine takes it."""
    side = held.side
    course = Course(action, side, held.entry_ticks, held.stop_ticks, held.target_ticks, held.trailing)
    match action:
        case Action.MOVE_TO_BE:
            _tighten(course, held.entry_ticks + side * terms.break_even_ticks)
        case Action.ENABLE_TRAIL:
            course.trailing = True
            _tighten(course, book.trail_level(row, side, case.close_ticks, case.atr_ticks))
        case Action.DISABLE_TRAIL:
            course.trailing = False
        case Action.HOLD | Action.BUY | Action.SELL:
            pass
    return course


def _match(followed: Followed, prices: _Prices, terms: OutcomeTerms) -> None:
    """One bar against all courses of a case: an entry at its open, then stop and target over its range."""
    _, high, low, _ = prices
    if followed.bars == 1 and followed.case.held is None:
        _enter(followed, prices.open_, terms)
    ended = False
    for course in followed.running:
        side, stop, target = course.side, course.stop_ticks, course.target_ticks
        if (stop < low and high < target) if side > 0 else (target < low and high < stop):
            continue  # out of reach: most bars, and a kernel's call costs more than all the rest
        outcome, price, _ = matching.exit_in_bar(
            side, prices.open_, high, low, stop, target, terms.slippage_ticks, terms.target_through_ticks
        )
        if outcome != matching.NO_EXIT:
            _book(followed, course, price, terms)
            ended = True
    if ended:
        followed.running = [course for course in followed.running if followed.net_cents[course.action] is None]


def _enter(followed: Followed, open_: int, terms: OutcomeTerms) -> None:
    """Fill the entries and anchor their brackets at the fill; one beyond the bracket that rested closes at once."""
    slippage = terms.slippage_ticks
    case = followed.case
    kept = []
    for course in followed.running:
        side = course.side
        fill = matching.market_price(side, open_, slippage)
        is_beyond = matching.is_beyond(side, fill, course.stop_ticks, course.target_ticks)
        course.entry_ticks = fill
        course.stop_ticks = fill - side * case.stop_distance_ticks
        course.target_ticks = fill + side * case.target_distance_ticks
        if is_beyond:
            _book(followed, course, matching.market_price(-side, open_, slippage), terms)
        else:
            kept.append(course)
    followed.running = kept


def _book(followed: Followed, course: Course, exit_ticks: int, terms: OutcomeTerms) -> None:
    gain = course.side * (exit_ticks - course.entry_ticks) * terms.tick_value_cents
    followed.net_cents[course.action] = gain - 2 * terms.commission_side_cents


def _leave(followed: Followed, price: int, terms: OutcomeTerms) -> None:
    """Close what still runs at the market; an entry that was never filled comes to nothing."""
    if followed.bars or followed.case.held is not None:
        for course in followed.running:
            _book(followed, course, matching.market_price(-course.side, price, terms.slippage_ticks), terms)
    followed.running = []


def _managing(mask: int) -> tuple[Action, ...]:
    return tuple(action for action in actions_in(mask) if action in _STOP_ACTIONS or action is Action.HOLD)


def _tighten(course: Course, level: int) -> None:
    if course.side * level > course.side * course.stop_ticks:
        course.stop_ticks = level


def _outcome(followed: Followed) -> Outcome:
    case, net = followed.case, followed.net_cents
    hold = net[Action.HOLD]
    won = [None if cents is None or hold is None else cents > hold for cents in net]
    others = [gained for gained in won[Action.HOLD + 1 :] if gained is not None]
    won[Action.HOLD] = not any(others) if others else None
    return Outcome(seq=case.seq, regime=case.regime, mask=case.mask, net_cents=tuple(net), won=tuple(won))


def _copied(state: TrackerState) -> TrackerState:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=TrackerState)
