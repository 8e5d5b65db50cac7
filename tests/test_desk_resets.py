"""Resets at a run: which rule each ends, and which it must not."""

from pathlib import Path

import pytest
from desk_builders import Seat
from line_builders import Drive

from trader.domain.actions import Action
from trader.domain.alerts import AlertKind
from trader.domain.decisions import Rule


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    """At a run whose features are ready, inside the entry window."""
    return Seat(Drive().warm(), tmp_path)


@pytest.mark.parametrize("rule", [Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE])
def test_reset_clears_the_counter_of_its_rule_only(seat: Seat, rule: Rule) -> None:
    """The next entry passes; the other rule is untouched, and the end of the veto is an event."""
    if rule is Rule.CONSECUTIVE_LOSSES:
        for _ in range(3):
            seat.drive.lose()
    else:
        for won in (False, False, True, False, False, True, False, False, True, False):
            seat.drive.win() if won else seat.drive.lose()
    blocked = seat.drive.bar(Action.BUY)
    before = seat.status()
    reply = seat.say("reset", rule)
    free = seat.drive.bar(Action.BUY)

    assert (blocked.risk.vetoes, free.risk.verdict, reply.ok) == ((rule.value,), "approved", True)
    assert (rule.value in before.vetoes, seat.status().vetoes) == (True, ())
    assert seat.commands() == [(free.seq, {"command": "reset", "rule": rule.value})]
    ended = [event for event in seat.drive.event_records() if event.kind == "veto_reset"]
    assert (ended[-1].from_bar, ended[-1].detail) == (free.seq, {"rules": rule.value})


def test_reset_of_proximity_lets_the_account_trade_until_it_has_recovered(tmp_path: Path) -> None:
    """Also after the next session has declared the account used up: the operator has answered."""
    seat = Seat(Drive("account.trailing_limit_usd=430", "account.on_exhausted=stop").warm(), tmp_path)
    seat.drive.lose()
    seat.drive.lose()
    seat.drive.bar()
    seat.drive.next_session().warm()
    exhausted = (seat.status().is_exhausted, seat.drive.bar().rl.mask[1])
    reply = seat.say("reset", Rule.DRAWDOWN_PROXIMITY)
    entry = seat.drive.bar(Action.BUY)

    assert exhausted == (True, 0)
    assert (reply.ok, entry.risk.verdict, seat.status().is_exhausted) == (True, "approved", False)
    assert seat.told.kinds == [AlertKind.LIMIT_HIT, AlertKind.ACCOUNT_EXHAUSTED]


def test_reset_of_a_breach_below_the_threshold_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A threshold is never lowered: the rule would fire again, and a flat account cannot rise."""
    seat = Seat(Drive("account.trailing_limit_usd=100", "account.on_exhausted=stop").warm(), tmp_path)
    seat.drive.enter()
    seat.drive.bar(low=-25)
    early = seat.say("reset", Rule.TRAILING_BREACH)
    seat.drive.bar(open=-25)
    late = [seat.say("reset", rule) for rule in (Rule.TRAILING_BREACH, Rule.DRAWDOWN_PROXIMITY)]

    assert (early.ok, [reply.ok for reply in late]) == (False, [False, False])
    assert "still being closed" in early.message
    assert all("cannot recover" in reply.message for reply in late)
    assert seat.drive.bar().risk.active[:2] == ("drawdown_proximity", "trailing_breach")
    assert seat.commands() == []


def test_reset_of_a_breach_that_was_only_inside_a_bar_ends_it(tmp_path: Path) -> None:
    """The close was better than the extreme: above the threshold again, the rule does not come back."""
    seat = Seat(Drive("account.trailing_limit_usd=100").warm(), tmp_path)
    seat.drive.enter()
    seat.drive.bar(low=-25)
    seat.drive.bar()
    breach = seat.say("reset", Rule.TRAILING_BREACH)

    assert breach.ok
    assert "trailing_breach" not in seat.drive.bar().risk.active


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Rule.DAILY_LOSS, "next session's open"),
        (Rule.KILL_SWITCH, "--clear-kill"),
        (Rule.COST_SHARE, "follows from each order"),
        (Rule.CONSECUTIVE_LOSSES, "not in force"),
        (Rule.DRAWDOWN_PROXIMITY, "not in force"),
    ],
)
def test_reset_of_what_is_not_the_operators_is_refused(seat: Seat, rule: Rule, why: str) -> None:
    """With the reason, and nothing in the log."""
    reply = seat.say("reset", rule)

    assert not reply.ok
    assert why in reply.message
    assert seat.commands() == []
