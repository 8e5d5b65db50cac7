"""Every veto ends by itself, but for the two of an exhausted account; and those say so."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_builders import UNEXPLAINED, Drive, bracket_of

from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.domain.sessions import MINUTE_NS

SCRATCHES = "execution.commission_side_usd=2.5"
"""A stop at break-even then ends in exactly nothing: neither win nor loss."""
EXHAUSTED = {Rule.DRAWDOWN_PROXIMITY.value, Rule.TRAILING_BREACH.value}


def three_losses() -> Drive:
    """A streak has fired, at the close of the bar that has just been taken."""
    drive = Drive().warm()
    for _ in range(3):
        drive.lose()
    return drive


def three_wins_of_ten() -> Drive:
    """A win rate of 30 % has fired, without three losses in a row."""
    drive = Drive().warm()
    for won in (False, False, True, False, False, True, False, False, True, False):
        drive.win() if won else drive.lose()
    return drive


@pytest.mark.parametrize("fire", [three_losses, three_wins_of_ten])
def test_engine_memory_veto_ends_240_minutes_after_it_fired(fire: Callable[[], Drive]) -> None:
    """A decision at 239 minutes is blocked, one at 240 is approved."""
    drive = fire()
    fired_ns = drive.now_ns
    while drive.now_ns < fired_ns + 238 * MINUTE_NS:
        drive.bar()

    assert drive.bar(Action.BUY).risk.verdict == "vetoed"
    assert drive.bar(Action.BUY).risk.verdict == "approved"


@pytest.mark.parametrize("fire", [three_losses, three_wins_of_ten])
def test_engine_memory_veto_ends_at_the_next_session_open(fire: Callable[[], Drive]) -> None:
    """Whichever comes first: a veto of the afternoon is over the next morning."""
    drive = fire()
    assert drive.bar(Action.BUY).risk.verdict == "vetoed"
    drive.next_session().skip_to("09:35")

    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_streak_veto_clears_its_own_counter_only() -> None:
    """After its end three more losses are needed; the account still shows the whole streak."""
    drive = three_losses()
    drive.next_session().skip_to("09:35")
    drive.lose()
    drive.lose()
    free = drive.bar(Action.SELL)
    drive.bar()
    drive.stop_out()
    blocked = drive.bar(Action.SELL)

    assert (free.risk.verdict, free.account.streak) == ("approved", 5)
    assert (blocked.risk.vetoes, blocked.account.streak) == (("consecutive_losses",), 6)


def test_engine_win_rate_veto_clears_its_own_counter_only() -> None:
    """After its end a window of ten new trades is needed; the account still shows the old rate."""
    drive = three_wins_of_ten()
    drive.next_session().skip_to("09:35")
    drive.lose()

    record = drive.bar(Action.BUY)

    assert (record.risk.verdict, record.account.win_rate) == ("approved", 0.3)


def test_engine_scratch_neither_lengthens_nor_ends_a_streak() -> None:
    """Two losses, a trade of exactly 0.00 $ after costs, a loss: three in a row."""
    drive = Drive(SCRATCHES).warm()
    for outcome in "LL=":
        drive.enter()
        drive.trade_out(outcome)
    scratch = drive.fills()[-1]
    free = drive.bar(Action.BUY)
    drive.bar()
    drive.stop_out()

    assert (scratch.pnl, scratch.reason, free.risk.verdict) == (0.0, "break_even", "approved")
    assert drive.bar(Action.BUY).risk.vetoes == ("consecutive_losses",)


@pytest.mark.parametrize("limit", ["account.daily_limit_usd=150", "risk.max_trades_per_session=1"])
def test_engine_session_limit_lasts_to_the_end_of_its_session(limit: str) -> None:
    """No number of minutes lifts it; the next session open does."""
    drive = Drive(limit).warm()
    drive.lose()
    drive.until("15:28")
    late = drive.bar(Action.BUY)
    drive.next_session().skip_to("09:35")

    assert late.risk.verdict == "vetoed"
    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_daily_loss_is_measured_from_the_session_open() -> None:
    """Yesterday's loss is not today's."""
    drive = Drive("account.daily_limit_usd=200").warm()
    drive.lose()
    drive.next_session().skip_to("09:35")
    drive.lose()

    assert drive.bar(Action.BUY).risk.verdict == "approved"


def exhausted(kind: str, on_exhausted: str) -> Drive:
    """Breached, or too near to the threshold, with a flat account that cannot recover."""
    if kind == "breach":
        drive = Drive("account.trailing_limit_usd=100", f"account.on_exhausted={on_exhausted}").warm()
        drive.enter()
        drive.bar(low=-25)
        drive.bar()
    else:
        drive = Drive("account.trailing_limit_usd=430", f"account.on_exhausted={on_exhausted}").warm()
        drive.lose()
        drive.lose()
    return drive


@pytest.mark.parametrize("kind", ["breach", "proximity"])
def test_engine_exhausted_account_with_stop_ends_trading_and_says_so(kind: str) -> None:
    """One event, at the next session; from then on no entry is even offered."""
    drive = exhausted(kind, "stop")
    first_bar = len(drive.records())
    for _ in range(3):
        drive.next_session().skip_to("09:35")
        drive.bar()
        assert drive.strategy.mask == 1

    rule = "trailing_breach" if kind == "breach" else "drawdown_proximity"
    hit, said = drive.events()
    assert (hit[0], hit[2]) == ("limit_hit", rule)
    assert said == ("account_exhausted", first_bar, rule)
    assert (drive.engine.accounts_used, drive.book.account_no) == (1, 1)


@pytest.mark.parametrize("kind", ["breach", "proximity"])
def test_engine_exhausted_account_with_renew_begins_another(kind: str) -> None:
    """At the next session, at the start balance; what was lost stays in the run's P&L, and the accounts are counted."""
    drive = exhausted(kind, "renew")
    lost_cents = drive.book.realized_cents
    blocked = drive.bar(Action.BUY)
    drive.next_session().skip_to("09:35")

    record = drive.bar(Action.BUY)

    assert blocked.risk.verdict == "vetoed"
    assert (record.risk.verdict, record.account.account, record.account.equity) == ("approved", 2, 50_000.0)
    assert drive.book.realized_cents == lost_cents < 0
    assert [event.kind for event in drive.event_records()] == ["limit_hit", "account_renewed"]
    assert drive.event_records()[-1].detail["account"] == 2
    assert drive.report().run.accounts_used == 2


def test_engine_renewed_account_does_not_win_back_the_loss() -> None:
    """The report's equity runs on over accounts: the drawdown is all that was lost, in both."""
    drive = exhausted("proximity", "renew")
    drive.next_session().skip_to("09:35")
    drive.lose()

    lost_usd = -sum(fill.pnl or 0.0 for fill in drive.fills())
    result = drive.report().result
    assert lost_usd > 450
    assert (result.net_pnl_usd, result.max_drawdown_usd) == (-lost_usd, lost_usd)


def test_engine_renewed_account_keeps_streak_and_win_rate() -> None:
    """They run across accounts; the threshold, the peak and the day do not."""
    drive = exhausted("proximity", "renew")
    drive.next_session().skip_to("09:35")

    account = drive.bar().account

    assert (account.streak, account.win_rate, account.trades, account.drawdown) == (2, 0.0, 2, 0.0)


def test_engine_account_that_recovers_is_renewed_all_the_same() -> None:
    """The veto has fired, and only the operator or a new account ends it: a position may have won it back."""
    drive = Drive("account.trailing_limit_usd=300").warm()
    drive.enter()
    drive.bar(high=60, close=10, low=5)
    drive.bar(high=95, close=60, low=10)
    drive.next_session().skip_to("09:35")

    assert drive.bar(Action.BUY).account.account == 2


def test_engine_veto_switched_off_does_not_exhaust() -> None:
    """With `enable_risk_veto: false` nearness to the threshold is neither a veto nor the end of an account."""
    drive = Drive("account.trailing_limit_usd=430", "account.on_exhausted=stop", "risk.enable_risk_veto=false").warm()
    drive.lose()
    drive.lose()
    drive.next_session().skip_to("09:35")

    assert (drive.bar(Action.BUY).risk.verdict, drive.events()) == ("approved", [])


def test_engine_limits_hit_and_vetoes_that_end_are_events() -> None:
    """Each names the bar from which it counts, and stands before that bar's line."""
    drive = three_losses()
    hit = len(drive.records()) - 1
    drive.next_session().skip_to("09:35")
    drive.bar()

    assert drive.events() == [
        ("limit_hit", hit, "consecutive_losses"),
        ("veto_reset", hit + 1, "consecutive_losses"),
    ]
    kinds = [line[2:3] for line in drive.journal.lines]
    assert kinds[-3:] == [b"c", b"e", b"c"]


def test_engine_trades_used_up_are_an_event_and_so_is_their_end() -> None:
    """The session's number of trades is a limit like the others: hit at the last entry's bar, over at the next open."""
    drive = Drive("risk.max_trades_per_session=1").warm()
    drive.enter()
    hit = len(drive.records()) - 1
    drive.stop_out()
    drive.next_session()
    drive.bar()

    assert drive.events() == [("limit_hit", hit, "max_trades"), ("veto_reset", hit + 2, "max_trades")]


def test_engine_renewal_tells_of_its_rules_once() -> None:
    """What the new account ended is in its own event; the daily limit's end is told apart."""
    drive = Drive("account.trailing_limit_usd=100", "account.daily_limit_usd=80").warm()
    drive.enter()
    drive.bar(low=-25, close=-22)
    drive.bar()
    drive.next_session().skip_to("09:35")
    drive.bar()

    kinds_and_rules = [(kind, rules) for kind, _, rules in drive.events()]
    assert kinds_and_rules == [
        ("limit_hit", "drawdown_proximity,trailing_breach,daily_loss"),
        ("account_renewed", "drawdown_proximity,trailing_breach"),
        ("veto_reset", "daily_loss"),
    ]


@UNEXPLAINED
@given(
    sessions=st.lists(st.lists(st.sampled_from("WL="), max_size=9), min_size=2, max_size=5),
    limit_usd=st.sampled_from([400, 1000, 2500]),
)
def test_engine_every_session_opens_with_an_entry_while_accounts_renew(
    sessions: list[list[str]], limit_usd: int
) -> None:
    """Whatever was won and lost: the first decision of a new session is approved, and so a run never stands still."""
    drive = Drive(f"account.trailing_limit_usd={limit_usd}", "account.daily_limit_usd=900", SCRATCHES).warm()
    for outcomes in sessions:
        opened = drive.bar(Action.SELL)
        assert opened.risk.verdict == "approved"
        drive.bar()
        drive.trade_out("W")
        for outcome in outcomes:
            if bracket_of(drive.bar(Action.BUY)) is None:
                break
            drive.bar()
            drive.trade_out(outcome)
        drive.next_session().skip_to("09:35")


@UNEXPLAINED
@given(
    outcomes=st.lists(st.sampled_from("WL="), min_size=1, max_size=14),
    limit_usd=st.sampled_from([400, 1000, 2500]),
)
def test_engine_with_stop_only_exhaustion_lasts(outcomes: list[str], limit_usd: int) -> None:
    """After any trades: the next session trades, or the account is exhausted and an event has said so, once."""
    drive = Drive(f"account.trailing_limit_usd={limit_usd}", "account.on_exhausted=stop", SCRATCHES).warm()
    for outcome in outcomes:
        if bracket_of(drive.bar(Action.BUY)) is not None:
            drive.bar()
            drive.trade_out(outcome)
    last = drive.bar()
    drive.next_session().skip_to("09:35")
    drive.bar()

    if set(last.risk.active) & EXHAUSTED:
        assert drive.strategy.mask == 1
        assert [kind for kind, *_ in drive.events()].count("account_exhausted") == 1
    else:
        assert drive.bar(Action.BUY).risk.verdict == "approved"
        assert {kind for kind, *_ in drive.events()} <= {"limit_hit", "veto_reset"}


@UNEXPLAINED
@given(outcomes=st.lists(st.sampled_from("WL="), min_size=3, max_size=14))
def test_engine_waiting_is_enough_within_a_session(outcomes: list[str]) -> None:
    """With room for losses, 240 minutes after a veto an entry is approved: no streak lasts."""
    roomy = ("account.trailing_limit_usd=20000", "account.daily_limit_usd=20000", "risk.max_trades_per_session=100")
    drive = Drive("execution.entry_window=all", SCRATCHES, *roomy).warm("01:10")
    for outcome in outcomes:
        record = drive.bar(Action.BUY)
        if record.risk.verdict == "vetoed":
            assert set(record.risk.vetoes) <= {"consecutive_losses", "low_win_rate"}
            drive.now_ns += 240 * MINUTE_NS
            if drive.now_ns >= drive.at_clock("16:00"):
                return
            record = drive.bar(Action.BUY)
        assert record.risk.verdict == "approved"
        drive.bar()
        drive.trade_out(outcome)
