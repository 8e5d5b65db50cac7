"""The rules that remember: when they fire, and how they end."""

import math
from typing import Any

import pytest
from builders import MINUTE_NS, OPEN_NS, an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from risk_builders import limits

from trader.domain.account import AccountView
from trader.domain.decisions import Rule
from trader.errors import InvariantError
from trader.kernels.rules import EXHAUSTED
from trader.risk.counters import FRESH, RESETTABLE, Counters, CountersState, Proximity
from trader.risk.rules import rules_in

WELL = an_account()
DAY_NS = 24 * 60 * MINUTE_NS
WIN, LOSS, NEITHER = 1_000, -1_000, 0


def at(minute: float) -> int:
    return OPEN_NS + round(minute * MINUTE_NS)


def active(counters: Counters, minute: float, account: AccountView = WELL) -> tuple[Rule, ...]:
    return rules_in(counters.observe(account, at(minute)))


def after(*results: int, minutes_apart: int = 10, **changes: Any) -> Counters:
    """Trades that close 10 minutes apart, the first one at minute 10 of the session."""
    counters = Counters(limits(**changes))
    counters.on_session_open(OPEN_NS)
    for number, pnl_cents in enumerate(results, start=1):
        counters.on_trade_closed(pnl_cents, at(number * minutes_apart))
    return counters


@pytest.mark.parametrize(
    ("results", "fires"),
    [
        ([LOSS, LOSS], False),
        ([LOSS, LOSS, LOSS], True),
        ([LOSS, LOSS, WIN, LOSS], False),
        ([LOSS, NEITHER, LOSS, NEITHER, LOSS], True),
        ([LOSS, LOSS, NEITHER], False),
        ([LOSS, LOSS, LOSS, LOSS], True),
        ([LOSS, LOSS, -1], True),
    ],
)
def test_consecutive_losses_fire_at_three_in_a_row(results: list[int], fires: bool) -> None:
    """A trade of exactly nothing neither counts nor interrupts."""
    assert (Rule.CONSECUTIVE_LOSSES in active(after(*results), 60)) is fires


@pytest.mark.parametrize(
    ("results", "fires"),
    [
        ([WIN, LOSS, LOSS] * 3, False),
        ([WIN, LOSS, LOSS] * 3 + [LOSS], True),
        ([WIN, WIN, LOSS, LOSS, LOSS] * 2, False),
        ([WIN, WIN, LOSS, LOSS, LOSS] * 2 + [LOSS], True),
        ([WIN] * 9 + [LOSS, WIN, LOSS, LOSS, WIN, LOSS, LOSS, WIN, LOSS, LOSS], True),
        ([WIN, LOSS, NEITHER, LOSS, NEITHER, WIN, LOSS, LOSS, WIN, LOSS], True),
        ([WIN, LOSS, NEITHER, LOSS, WIN, WIN, LOSS, LOSS, WIN, LOSS], False),
        ([NEITHER] * 10, False),
    ],
)
def test_low_win_rate_fires_below_four_of_ten(results: list[int], fires: bool) -> None:
    """Ten closed trades are needed; 40 % itself is enough; trades of nothing are left out of the rate."""
    assert (Rule.LOW_WIN_RATE in active(after(*results), 300)) is fires


@pytest.mark.parametrize("minute", [30, 60, 269.9])
def test_fired_streak_stays_until_its_time(minute: float) -> None:
    """It fired at minute 30; 240 minutes later it ends."""
    assert active(after(LOSS, LOSS, LOSS), minute) == (Rule.CONSECUTIVE_LOSSES,)


def test_fired_streak_ends_after_the_reset_minutes() -> None:
    """At minute 270, and counts from nothing: two more losses do not fire it, three do."""
    counters = after(LOSS, LOSS, LOSS)
    assert active(counters, 270) == ()
    counters.on_trade_closed(LOSS, at(280))
    counters.on_trade_closed(LOSS, at(290))
    assert active(counters, 291) == ()
    counters.on_trade_closed(LOSS, at(300))
    assert active(counters, 301) == (Rule.CONSECUTIVE_LOSSES,)


def test_fired_streak_ends_at_the_next_session_open() -> None:
    """Whichever is first."""
    counters = after(LOSS, LOSS, LOSS)
    counters.on_session_open(at(100))
    assert active(counters, 100) == ()


def test_streak_that_has_not_fired_runs_across_sessions() -> None:
    """Two losses yesterday and one today are three in a row."""
    counters = after(LOSS, LOSS)
    counters.on_session_open(OPEN_NS + DAY_NS)
    counters.on_trade_closed(LOSS, OPEN_NS + DAY_NS + MINUTE_NS)
    assert rules_in(counters.observe(WELL, OPEN_NS + DAY_NS + MINUTE_NS)) == (Rule.CONSECUTIVE_LOSSES,)


def test_streak_that_fires_by_a_trade_of_the_session_before_ends_at_once() -> None:
    """A forced close is booked when the next session has already opened."""
    counters = after(LOSS, LOSS)
    counters.on_session_open(at(100))
    counters.on_trade_closed(LOSS, at(95))
    assert active(counters, 101) == ()


def test_fired_win_rate_ends_with_an_empty_window() -> None:
    """After the reset ten more trades are needed before it can fire again."""
    counters = after(*[WIN, LOSS, LOSS] * 3, LOSS)
    counters.on_session_open(at(200))
    for minute in range(201, 210):
        counters.on_trade_closed(LOSS, at(minute))
        counters.on_reset(Rule.CONSECUTIVE_LOSSES)
    assert active(counters, 210) == ()
    counters.on_trade_closed(LOSS, at(211))
    assert Rule.LOW_WIN_RATE in active(counters, 211)


def test_reset_of_one_rule_leaves_the_other() -> None:
    """Each clears its own counter only."""
    counters = after(*[WIN, LOSS, LOSS] * 3, LOSS)
    assert active(counters, 101) == (Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE)
    counters.on_reset(Rule.CONSECUTIVE_LOSSES)
    assert active(counters, 101) == (Rule.LOW_WIN_RATE,)
    counters.on_reset(Rule.LOW_WIN_RATE)
    assert active(counters, 101) == ()


@pytest.mark.parametrize(
    ("equity_cents", "fires"), [(4_800_000, False), (4_799_999, True), (4_750_000, True), (4_700_000, True)]
)
def test_drawdown_proximity_fires_below_a_fifth_of_the_limit(equity_cents: int, fires: bool) -> None:
    """500 $ above the threshold is 20 % of 2,500 $ and still allowed."""
    account = an_account(equity_cents=equity_cents, session_open_cents=equity_cents)
    assert active(Counters(limits()), 1, account) == ((Rule.DRAWDOWN_PROXIMITY,) if fires else ())


NEAR = an_account(equity_cents=4_790_000, session_open_cents=4_790_000)


def test_drawdown_proximity_that_fired_stays() -> None:
    """Neither a recovery, nor a session, nor time ends it."""
    counters = Counters(limits())
    active(counters, 1, NEAR)
    counters.on_session_open(OPEN_NS + DAY_NS)
    assert rules_in(counters.observe(WELL, OPEN_NS + 30 * DAY_NS)) == (Rule.DRAWDOWN_PROXIMITY,)


def test_drawdown_proximity_that_the_operator_waived_fires_again_after_a_recovery() -> None:
    """The leave lasts while equity is near the threshold; once recovered, the rule is armed again."""
    counters = Counters(limits())
    active(counters, 1, NEAR)
    counters.on_reset(Rule.DRAWDOWN_PROXIMITY)
    assert [active(counters, minute, NEAR) for minute in (2, 3)] == [(), ()]
    assert active(counters, 4, WELL) == ()
    assert active(counters, 5, NEAR) == (Rule.DRAWDOWN_PROXIMITY,)


def test_drawdown_proximity_ends_with_a_new_account() -> None:
    """Together with a breach; the streak runs on."""
    counters = after(LOSS, LOSS, LOSS)
    assert len(active(counters, 40, an_account(equity_cents=4_740_000, breached=True))) == 4
    counters.on_account_renewed()
    assert active(counters, 41) == (Rule.CONSECUTIVE_LOSSES,)


def test_trailing_breach_stays_until_the_operator_resets_it() -> None:
    """The book says that the bar's adverse extreme touched the threshold; a later bar does not take it back."""
    counters = Counters(limits())
    assert active(counters, 1, an_account(breached=True)) == (Rule.TRAILING_BREACH,)
    counters.on_session_open(at(1_500))
    assert active(counters, 1_501) == (Rule.TRAILING_BREACH,)
    counters.on_reset(Rule.TRAILING_BREACH)
    assert active(counters, 1_502) == ()


@pytest.mark.parametrize(("equity_cents", "fires"), [(4_900_001, False), (4_900_000, True), (4_899_999, True)])
def test_daily_loss_fires_at_the_limit(equity_cents: int, fires: bool) -> None:
    """1,000 $ below the session's open is the limit itself."""
    account = an_account(equity_cents=equity_cents)
    assert active(Counters(limits()), 1, account) == ((Rule.DAILY_LOSS,) if fires else ())


def test_daily_loss_that_fired_stays_for_the_session() -> None:
    """A recovery of the open trade does not bring the day back; the next session open does."""
    counters = Counters(limits())
    active(counters, 1, an_account(equity_cents=4_900_000))
    assert active(counters, 600) == (Rule.DAILY_LOSS,)
    counters.on_session_open(OPEN_NS + DAY_NS)
    assert rules_in(counters.observe(WELL, OPEN_NS + DAY_NS)) == ()


@pytest.mark.parametrize("rule", sorted(set(Rule) - RESETTABLE))
def test_reset_of_a_rule_that_ends_by_itself_is_refused(rule: Rule) -> None:
    """A daily limit or a switch is not an operator's to reset."""
    with pytest.raises(InvariantError, match=rule.value):
        Counters(limits()).on_reset(rule)


@pytest.mark.parametrize("equity", [math.nan, math.inf, 5_000_000.0])
def test_observe_of_equity_that_is_no_whole_number_stops(equity: float) -> None:
    """Nothing is decided on such an account."""
    with pytest.raises(InvariantError, match="equity"):
        Counters(limits()).observe(an_account(equity_cents=equity), at(1))


def test_state_survives_a_restart() -> None:
    """Counters, times of firing and latches; what was in force is in force again, and ends when it would have."""
    counters = after(*[WIN, LOSS, LOSS] * 3, LOSS)
    before = active(counters, 101, an_account(equity_cents=4_740_000, breached=True))
    again = Counters(limits(), counters.state())
    assert set(before) == set(Rule) & {
        Rule.CONSECUTIVE_LOSSES,
        Rule.LOW_WIN_RATE,
        Rule.DRAWDOWN_PROXIMITY,
        Rule.TRAILING_BREACH,
        Rule.DAILY_LOSS,
    }
    assert rules_in(again.bits) == before
    assert again.state() == counters.state()
    assert active(again, 340) == (Rule.DRAWDOWN_PROXIMITY, Rule.TRAILING_BREACH, Rule.DAILY_LOSS)


def test_state_of_a_fresh_start_is_empty() -> None:
    """Nothing counted, nothing fired."""
    assert Counters(limits()).state() == FRESH
    assert FRESH.proximity is Proximity.ARMED


HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(-50_000, 50_000)),
        st.tuples(st.just("wait"), st.integers(1, 600)),
        st.tuples(st.just("session"), st.just(0)),
        st.tuples(st.just("equity"), st.integers(4_600_000, 5_200_000)),
    ),
    max_size=60,
)


def play(happenings: list[tuple[str, int]]) -> tuple[Counters, int]:
    """Let things happen in order; the time at the end."""
    counters = Counters(limits())
    now_ns = OPEN_NS
    for what, number in happenings:
        now_ns += MINUTE_NS
        match what:
            case "trade":
                counters.on_trade_closed(number, now_ns)
            case "wait":
                now_ns += number * MINUTE_NS
                counters.observe(WELL, now_ns)
            case "session":
                counters.on_session_open(now_ns)
            case _:
                counters.observe(an_account(equity_cents=number, breached=number <= 4_750_000), now_ns)
    return counters, now_ns


@settings(max_examples=300, deadline=None)
@given(HAPPENINGS)
def test_any_history_is_free_of_deadlock_at_the_next_session_open(happenings: list[tuple[str, int]]) -> None:
    """Only the two rules that say so need the operator."""
    counters, now_ns = play(happenings)
    counters.on_session_open(now_ns + 1)
    assert counters.observe(WELL, now_ns + 1) & ~EXHAUSTED == 0


@settings(max_examples=300, deadline=None)
@given(HAPPENINGS)
def test_any_history_is_free_of_streak_and_win_rate_vetoes_after_the_reset_minutes(
    happenings: list[tuple[str, int]],
) -> None:
    """Without a session open too."""
    counters, now_ns = play(happenings)
    in_force = rules_in(counters.observe(WELL, now_ns + 240 * MINUTE_NS))
    assert not {Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE} & set(in_force)


@settings(max_examples=100, deadline=None)
@given(HAPPENINGS, HAPPENINGS)
def test_any_history_cut_by_a_restart_goes_on_the_same(
    before: list[tuple[str, int]], then: list[tuple[str, int]]
) -> None:
    """A state written and read continues as if nothing had been."""
    counters, now_ns = play(before)
    state = counters.state()
    again = Counters(limits(), state)
    other, _ = play(then)
    other.restore(state)
    assert isinstance(state, CountersState)
    for one in (counters, again, other):
        clock_ns = now_ns
        for what, number in then:
            clock_ns += MINUTE_NS
            if what == "trade":
                one.on_trade_closed(number, clock_ns)
            elif what == "session":
                one.on_session_open(clock_ns)
            else:
                one.observe(an_account(equity_cents=5_000_000 - number), clock_ns)
    assert counters.state() == again.state() == other.state()
    assert counters.bits == again.bits == other.bits
