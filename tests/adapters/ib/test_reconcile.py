"""What is done after asking the broker, situation by situation."""

from typing import Any

import pytest
from msgspec.structs import replace
from reconcile_builders import LAST, gist, known, plan_of, truth
from reconcile_cases import OWN
from reconcile_cases_others import OTHERS
from reconcile_situations import ENTERED, IN_POSITION, LONG, THEIRS

from trader.adapters.ib.facts import Truth
from trader.adapters.ib.plan import Known

TABLE = OWN + OTHERS


@pytest.mark.parametrize(("what", "says", "how", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_situation_has_its_plan(what: Known, says: Truth, how: dict[str, Any], expected: list[str]) -> None:
    """The row's name says which."""
    assert gist(plan_of(what, says, **how)) == expected


def test_a_refusal_names_the_position_and_what_to_do() -> None:
    """For whoever reads the exit message."""
    plan = plan_of(known(), truth(elsewhere=(("NQM0", -1), ("NQZ9", 2))))
    assert plan.refusal == (
        "the account holds -1 NQM0, +2 NQZ9, and NQH20 is to be traded: close that position by hand, or trade its"
        " month; nothing was sent"
    )


def test_a_correction_is_told_to_a_person() -> None:
    """Its difference is not booked."""
    changed = replace(ENTERED, exec_id="0000e0d5.00000001.01.02", price_ticks=LAST + 1)
    plan = plan_of(LONG, replace(IN_POSITION, executions=(changed,)))
    assert len(plan.alerts) == 1
    assert "0000e0d5.00000001.01.02" in plan.alerts[0]


def test_what_needs_a_person_is_an_alert() -> None:
    """A naked position, somebody's orders, contracts without an execution."""
    plan = plan_of(known(), truth(position_qty=2, entry_ticks=LAST, orders=(THEIRS,)))
    assert len(plan.alerts) == 3
