"""What became of each advice: by hand, against the paper broker and the book, and against the training's shadows."""

from functools import cache

import msgspec
import numpy as np
from builders import MINUTE_NS, OPEN_NS, some_terms
from hypothesis import given
from hypothesis import strategies as st
from line_builders import settings_with
from msgspec.structs import replace

from trader.adapters.columns import concatenate
from trader.adapters.paper_broker import PaperBroker
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.advisor.outcomes import Case, Held, Outcome, OutcomeTerms, OutcomeTracker, TrackerState
from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.orders import Amend, AmendCause, Bracket, ExitReason, Fill, Flatten, Unfilled
from trader.domain.sessions import Calendar
from trader.kernels import book as k
from trader.kernels import layout
from trader.training.ground import Ground, prepare_ground
from trader.training.rollout import REASONS, shadow_trades

NQ = instrument("NQ")
ROW = some_terms().as_row(NQ)
BASE = 48_000  # ticks
NEVER_NS = 2**62
FLAT, LONG = 0b000111, 0b001001
TERMS = OutcomeTerms(
    ticks_per_point=4,
    tick_value_cents=500,
    commission_side_cents=225,
    slippage_ticks=1,
    target_through_ticks=1,
    break_even_ticks=2,
    trail_atr=1.0,
)


def a_case(seq: int = 0, **changes: object) -> Case:
    """A flat question at BASE with a stop 20 and a target 60 ticks away."""
    case = Case(
        seq=seq,
        mask=FLAT,
        regime=1,
        close_ticks=BASE,
        atr_ticks=10.0,
        stop_distance_ticks=20,
        target_distance_ticks=60,
    )
    return replace(case, **changes)


def a_bar_of(minute: int, open_: int, high: int, low: int, close: int) -> Bar:
    """A minute in ticks from BASE; minute 1 is the first after a question."""
    at = OPEN_NS + minute * MINUTE_NS
    points = ((BASE + ticks) / 4 for ticks in (open_, high, low, close))
    return Bar(at, at + MINUTE_NS, "NQM23", *points, None)


def still(minute: int, level: int = 0) -> Bar:
    return a_bar_of(minute, level, level + 1, level - 1, level)


def followed(case: Case, *bars: Bar, atr_ticks: float = 10.0, flat_at_ns: int = NEVER_NS) -> Outcome:
    """The outcome of one case over these bars, and then the end."""
    tracker = OutcomeTracker(TERMS)
    tracker.open(case)
    for bar in bars:
        for outcome in tracker.on_bar(bar, atr_ticks, flat_at_ns):
            return outcome
    (outcome,) = tracker.end()
    return outcome


def test_entry_that_reaches_its_target_wins_and_the_other_side_loses():
    """Long from +1 to +61, short from -1 to its stop at +19, slipped; two commissions each; HOLD was wrong."""
    outcome = followed(a_case(seq=7), still(1), a_bar_of(2, 0, 62, 0, 60))
    assert outcome == Outcome(
        seq=7,
        regime=1,
        mask=FLAT,
        net_cents=(0, 60 * 500 - 450, -21 * 500 - 450, None, None, None),
        won=(False, True, False, None, None, None),
    )


def test_target_is_reached_by_a_trade_through_it_only():
    """The long's target lies at +61: touched, it is not filled, and the trade is left at the end with a tick's loss."""
    outcome = followed(a_case(), still(1), a_bar_of(2, 0, 61, 0, 0))
    assert outcome.net_cents[Action.BUY] == (-1 - 1) * 500 - 450


def test_stop_and_target_inside_one_bar_are_booked_as_the_stop():
    """Both sides lose where the bar reaches everything, and HOLD was right."""
    outcome = followed(a_case(), still(1), a_bar_of(2, 0, 100, -100, 0))
    assert outcome.net_cents[:3] == (0, -21 * 500 - 450, -21 * 500 - 450)
    assert outcome.won[:3] == (True, False, False)


def test_bracket_works_on_the_bar_of_the_fill():
    """The first bar after the question already reaches both stops, anchored at its fills."""
    tracker = OutcomeTracker(TERMS)
    tracker.open(a_case())
    (outcome,) = tracker.on_bar(a_bar_of(1, 5, 30, -20, 0), 10.0, NEVER_NS)
    assert outcome.net_cents[:3] == (0, -21 * 500 - 450, -21 * 500 - 450)


def test_entry_filled_beyond_its_resting_bracket_is_closed_at_once():
    """The market opens 25 ticks lower: the long's stop at -20 is passed, the short's bracket moves with its fill."""
    tracker = OutcomeTracker(TERMS)
    tracker.open(a_case())
    assert tracker.on_bar(a_bar_of(1, -25, -24, -26, -25), 10.0, NEVER_NS) == ()
    tracker.on_bar(still(2, -15), 10.0, NEVER_NS)
    (outcome,) = tracker.end()
    assert outcome.net_cents[Action.BUY] == -2 * 500 - 450
    assert outcome.net_cents[Action.SELL] == -12 * 500 - 450


def test_horizon_ends_a_course_at_the_close_of_its_thirtieth_bar():
    """Nothing happens for 29 bars; the 30th closes at +10 and everything is left there."""
    tracker = OutcomeTracker(TERMS)
    tracker.open(a_case())
    for minute in range(1, 30):
        assert tracker.on_bar(still(minute), 10.0, NEVER_NS) == ()
    (outcome,) = tracker.on_bar(a_bar_of(30, 0, 10, 0, 10), 10.0, NEVER_NS)
    assert outcome.net_cents[:3] == (0, (9 - 1) * 500 - 450, (-1 - 11) * 500 - 450)
    assert len(tracker) == 0


def test_time_to_be_flat_ends_courses_at_the_first_open_after_it():
    """Filled at the open, one tick against each side, before the bar's range can reach the target."""
    flat_at_ns = still(2).ts_open_ns
    outcome = followed(a_case(), still(1), a_bar_of(2, 8, 200, 8, 200), flat_at_ns=flat_at_ns)
    assert outcome.net_cents[:3] == (0, (7 - 1) * 500 - 450, (-1 - 9) * 500 - 450)


def test_entry_that_could_not_be_filled_is_neither_won_nor_lost():
    """The next bar opens at the time to be flat, or there is none."""
    nothing = (None,) * 6
    late = followed(a_case(), still(1), flat_at_ns=still(1).ts_open_ns)
    unfilled = followed(a_case())
    assert late.won == unfilled.won == nothing
    assert late.net_cents == (0, None, None, None, None, None)


def test_break_even_wins_where_holding_is_stopped_out():
    """A long from BASE, its stop at -20: up to +30, the stop goes to +2; the market falls to -40."""
    held = Held(side=1, entry_ticks=BASE, stop_ticks=BASE - 20, target_ticks=BASE + 60, trailing=False)
    outcome = followed(a_case(mask=LONG, held=held, close_ticks=BASE + 30), a_bar_of(1, 30, 30, -40, -40))
    assert outcome.net_cents == (-21 * 500 - 450, None, None, 500 - 450, None, None)
    assert outcome.won == (False, None, None, True, None, None)


def test_break_even_of_a_short_lies_below_its_entry():
    """A short from BASE at -30: the stop goes to -2, and a market that rises to +10 takes it there."""
    held = Held(side=-1, entry_ticks=BASE, stop_ticks=BASE + 20, target_ticks=BASE - 60, trailing=False)
    outcome = followed(a_case(mask=LONG, held=held, close_ticks=BASE - 30), a_bar_of(1, -30, 10, -30, 10))
    assert outcome.net_cents == (-11 * 500 - 450, None, None, 500 - 450, None, None)


def test_position_that_ends_before_another_bar_is_left_at_the_questions_close():
    """The session ends at once: a long from BASE is sold at +30, a tick lower."""
    held = Held(side=1, entry_ticks=BASE, stop_ticks=BASE - 20, target_ticks=BASE + 60, trailing=False)
    outcome = followed(a_case(mask=LONG, held=held, close_ticks=BASE + 30))
    assert outcome.net_cents[Action.HOLD] == outcome.net_cents[Action.MOVE_TO_BE] == 29 * 500 - 450


def test_break_even_that_made_no_difference_has_not_won():
    """Both ways the target is reached: a stop action wins by more only, and HOLD was right."""
    held = Held(side=1, entry_ticks=BASE, stop_ticks=BASE - 20, target_ticks=BASE + 60, trailing=False)
    outcome = followed(a_case(mask=LONG, held=held, close_ticks=BASE + 30), a_bar_of(1, 30, 61, 30, 61))
    assert outcome.net_cents[Action.HOLD] == outcome.net_cents[Action.MOVE_TO_BE] == 60 * 500 - 450
    assert outcome.won == (True, None, None, False, None, None)


def test_trail_works_from_the_question_on_and_follows_closed_bars():
    """A short from BASE with the trail turned on at -30: stop at -20 at once, at -40 after a close of -50."""
    held = Held(side=-1, entry_ticks=BASE, stop_ticks=BASE - 2, target_ticks=BASE - 90, trailing=False)
    case = a_case(mask=0b010001, held=held, close_ticks=BASE - 30)
    at_once = followed(case, a_bar_of(1, -30, -20, -30, -30))
    later = followed(case, a_bar_of(1, -30, -30, -50, -50), a_bar_of(2, -50, -40, -50, -50))
    assert at_once.net_cents[Action.ENABLE_TRAIL] == 19 * 500 - 450
    assert later.net_cents[Action.ENABLE_TRAIL] == 39 * 500 - 450
    assert later.net_cents[Action.HOLD] == 49 * 500 - 450


def test_forced_choice_is_not_followed():
    """Nothing was chosen, so nothing can be learned."""
    tracker = OutcomeTracker(TERMS)
    tracker.open(a_case(mask=1))
    assert len(tracker) == 0
    assert tracker.end() == ()


class Desk:
    """The paper broker and the book, with what a router does for a bracket: the same trade by another way."""

    def __init__(self) -> None:
        self.book = Book(ROW)
        self.broker = PaperBroker(NQ, ROW, self)
        self.order: Bracket | None = None
        self.net_cents: int | None = None

    def enter(self, side: Side, close: int, stop: int, target: int) -> None:
        self.order = Bracket(
            order_ref="1",
            side=side,
            qty=1,
            stop_distance_ticks=stop,
            target_distance_ticks=target,
            stop_ticks=close - side * stop,
            target_ticks=close + side * target,
        )
        self.broker.submit(self.order)

    def on_fill(self, fill: Fill) -> None:
        pnl_cents = self.book.apply(fill)
        if fill.reason is not None:
            self.net_cents = pnl_cents
        else:
            self.book.set_bracket(self.order.stop_distance_ticks, self.order.target_distance_ticks)
            self.amend(AmendCause.ANCHOR)

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        raise AssertionError(order_ref)

    def amend(self, cause: AmendCause) -> None:
        view = self.book.view()
        self.broker.submit(
            Amend(order_ref="1", cause=cause, stop_ticks=view.stop_ticks, target_ticks=view.target_ticks)
        )

    def act(self, action: int, close: int, atr_ticks: float) -> None:
        match action:
            case Action.MOVE_TO_BE:
                self.book.move_to_break_even()
            case Action.ENABLE_TRAIL:
                self.book.set_trailing(on=True)
                self.book.trail(close, atr_ticks)
            case Action.DISABLE_TRAIL:
                self.book.set_trailing(on=False)
        self.amend(AmendCause.TRAIL)

    def take(self, bar: Bar, atr_ticks: float) -> None:
        self.broker.on_bar(bar)
        if self.net_cents is None and self.book.trail(round(bar.close * 4), atr_ticks) is not None:
            self.amend(AmendCause.TRAIL)

    def held(self) -> Held:
        view = self.book.view()
        return Held(
            side=view.position_qty,
            entry_ticks=view.entry_ticks,
            stop_ticks=view.stop_ticks,
            target_ticks=view.target_ticks,
            trailing=view.trailing,
        )


STEP = st.tuples(st.integers(-12, 12), st.integers(-14, 14), st.integers(0, 12), st.integers(0, 12))
STEPS = st.lists(STEP, min_size=25, max_size=25)


def walk(steps: list[tuple[int, int, int, int]]) -> list[Bar]:
    """Bars in ticks from BASE by gap, body, and what lies above and below."""
    bars, close = [], 0
    for minute, (gap, body, above, below) in enumerate(steps, 1):
        open_ = close + gap
        close = open_ + body
        bars.append(a_bar_of(minute, open_, max(open_, close) + above, min(open_, close) - below, close))
    return bars


@given(STEPS, st.sampled_from(list(Side)), st.integers(5, 20), st.integers(10, 50))
def test_entry_comes_to_what_the_paper_broker_makes_of_it(steps, side, stop, target):
    """Any bars, any bracket: the same cents, gaps over the bracket included; what is left is closed at flat_at."""
    bars = walk(steps)
    desk = Desk()
    desk.enter(side, BASE, stop, target)
    for bar in bars[:-1]:
        desk.take(bar, 10.0)
    if desk.net_cents is None:
        desk.broker.submit(Flatten(order_ref="2", side=side, qty=1, reason=ExitReason.FLAT_AT))
        desk.take(bars[-1], 10.0)
    case = a_case(stop_distance_ticks=stop, target_distance_ticks=target)
    outcome = followed(case, *bars, flat_at_ns=bars[-1].ts_open_ns)
    assert outcome.net_cents[Action.BUY if side > 0 else Action.SELL] == desk.net_cents


@given(STEPS, st.sampled_from(list(Side)), st.sampled_from([3, 4, 5]), st.booleans(), st.floats(2, 30))
def test_stop_action_comes_to_what_the_paper_broker_and_the_book_make_of_it(steps, side, action, trailing, atr):
    """With the action and without it, on two desks: the same cents, and won where there are more of them with it."""
    bars = walk(steps)
    desks = [Desk(), Desk()]
    for desk in desks:
        desk.enter(side, BASE, 20, 40)
        desk.take(bars[0], atr)
        if desk.net_cents is None:
            desk.book.set_trailing(on=trailing)
            desk.take(bars[1], atr)
    if desks[0].net_cents is not None:
        return
    close = round(bars[1].close * 4)
    mask = 1 | 1 << action
    case = a_case(mask=mask, close_ticks=close, atr_ticks=atr, held=desks[0].held())
    desks[1].act(action, close, atr)
    for desk in desks:
        for bar in bars[2:-1]:
            if desk.net_cents is None:
                desk.take(bar, atr)
        if desk.net_cents is None:
            desk.broker.submit(Flatten(order_ref="2", side=side, qty=1, reason=ExitReason.FLAT_AT))
            desk.take(bars[-1], atr)
    outcome = followed(case, *bars[2:], atr_ticks=atr, flat_at_ns=bars[-1].ts_open_ns)
    without, with_it = (desk.net_cents for desk in desks)
    assert (outcome.net_cents[Action.HOLD], outcome.net_cents[action]) == (without, with_it)
    assert outcome.won[action] is (with_it > without)
    assert outcome.won[Action.HOLD] is not (with_it > without)


@given(STEPS, st.lists(st.integers(0, 3), min_size=25, max_size=25), st.integers(0, 24))
def test_restored_tracker_goes_on_to_the_same_outcomes(steps, kinds, at):
    """Kept as JSON between any two bars; the tracker that was asked for its state is not disturbed by the other."""
    held = Held(side=1, entry_ticks=BASE - 9, stop_ticks=BASE - 20, target_ticks=BASE + 40, trailing=True)
    tracker = other = OutcomeTracker(TERMS)
    settled: list[tuple[Outcome, ...]] = []
    again: list[tuple[Outcome, ...]] = []
    for seq, bar in enumerate(walk(steps)):
        settled.append(tracker.on_bar(bar, 9.5, NEVER_NS))
        again.append(settled[-1] if other is tracker else other.on_bar(bar, 9.5, NEVER_NS))
        close = round(bar.close * 4)
        case = a_case(seq=seq, close_ticks=close) if kinds[seq] else a_case(seq=seq, mask=0b101001, held=held)
        tracker.open(case)
        if other is not tracker:
            other.open(case)
        if seq == at:
            other = OutcomeTracker(TERMS)
            other.restore(msgspec.json.decode(msgspec.json.encode(tracker.state()), type=TrackerState))
    assert again == settled
    assert other.end() == tracker.end()


def test_state_is_not_changed_by_later_bars():
    """Neither by the tracker that gave it nor by one that took it."""
    tracker, other = OutcomeTracker(TERMS), OutcomeTracker(TERMS)
    tracker.open(a_case())
    state = tracker.state()
    other.restore(state)
    kept = msgspec.json.encode(state)
    tracker.on_bar(still(1), 10.0, NEVER_NS)
    assert msgspec.json.encode(state) == kept
    other.on_bar(still(1), 10.0, NEVER_NS)
    assert msgspec.json.encode(state) == kept


@cache
def a_history() -> tuple[Ground, list[Bar]]:
    """Two sessions of a made market as the training's kernels take it, and as bars."""
    calendar = Calendar.load()
    sessions = generate(5, "2019-11-19", 3, calendar=calendar, market=SyntheticMarket(instrument=NQ))
    columns = concatenate(list(sessions))
    return prepare_ground(settings_with(), columns, calendar, NQ), list(columns.to_bars())


def test_entry_comes_to_what_the_trainings_shadow_of_it_does():
    """Each entry in the window of a made market that ends within 30 bars and before flat_at: the same cents."""
    ground, bars = a_history()
    rows, atrs = ground.tape.bars.bars, ground.tape.bars.atrs
    entries = np.flatnonzero(rows[:, layout.FLAGS] & layout.ENTRIES_OPEN)[::3]
    asked = np.repeat(entries, 2)
    shadows = shadow_trades(ground, asked, np.tile([1, -1], len(entries)))
    net = [0] * len(asked)
    for place, t in enumerate(entries.tolist()):
        stop = k.stop_distance_ticks(ROW, atrs[t])
        case = a_case(
            close_ticks=int(rows[t, layout.CLOSE]),
            stop_distance_ticks=stop,
            target_distance_ticks=k.target_distance_ticks(ROW, stop),
        )
        outcome = followed(case, *bars[t + 1 : t + 31])
        net[2 * place : 2 * place + 2] = outcome.net_cents[1:3]
    own_end = np.isin(shadows.reason, [n for n, reason in REASONS.items() if reason in _BY_PRICE])
    soon = own_end & (shadows.closed_bar - shadows.opened_bar < 30) & (shadows.risk_cents > 0)
    assert soon.sum() > 100
    assert np.unique(shadows.reason[soon]).size >= 2
    assert np.array(net)[soon].tolist() == shadows.pnl_cents[soon].tolist()


_BY_PRICE = {ExitReason.STOP, ExitReason.TARGET, ExitReason.ENTRY_BEYOND_STOP}
