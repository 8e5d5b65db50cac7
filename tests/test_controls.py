"""The switches: trading starts disabled, and each switch has its rule."""

from collections.abc import Callable

import pytest

from trader.controls import Controls
from trader.domain.decisions import Rule
from trader.risk.rules import rules_in


def reconciled() -> Controls:
    """Controls of a run that may trade."""
    controls = Controls()
    controls.reconciled()
    return controls


def test_controls_start_disabled() -> None:
    """Nobody has compared book and broker yet."""
    controls = Controls()

    assert (controls.entries_allowed, rules_in(controls.standing)) == (False, (Rule.NOT_RECONCILED,))


def test_controls_reconciled_allow_entries() -> None:
    """No rule stands."""
    controls = reconciled()

    assert (controls.entries_allowed, controls.standing, controls.is_stopping) == (True, 0, False)


@pytest.mark.parametrize(
    ("raised", "rule"),
    [
        (Controls.kill, Rule.KILL_SWITCH),
        (Controls.unreconciled, Rule.NOT_RECONCILED),
        (lambda controls: controls.mark_stale(on=True), Rule.STALE_DATA),
    ],
)
def test_controls_raised_switch_stands_as_its_rule(raised: Callable[[Controls], None], rule: Rule) -> None:
    """Twice is no more than once."""
    controls = reconciled()
    raised(controls)
    raised(controls)

    assert (controls.entries_allowed, rules_in(controls.standing)) == (False, (rule,))


def test_controls_pause_is_no_rule() -> None:
    """The operator's pause blocks entries by the mask, and resume lifts it."""
    controls = reconciled()
    controls.pause()
    paused = (controls.entries_allowed, controls.standing)
    controls.resume()

    assert (paused, controls.entries_allowed) == ((False, 0), True)


def test_controls_resume_lifts_nothing_but_the_pause() -> None:
    """Killed and silent stay what they are."""
    controls = reconciled()
    controls.pause()
    controls.kill()
    controls.mark_stale(on=True)
    controls.resume()

    assert rules_in(controls.standing) == (Rule.STALE_DATA, Rule.KILL_SWITCH)
    controls.mark_stale(on=False)
    assert (controls.entries_allowed, rules_in(controls.standing)) == (False, (Rule.KILL_SWITCH,))


def test_controls_say_whether_a_reason_to_protect_only_is_new() -> None:
    """Whoever looks once a second tells of it once."""
    controls = Controls()
    assert [controls.protect_only(why) for why in ("lock", "lock", "disk", "disk")] == [True, False, True, False]
