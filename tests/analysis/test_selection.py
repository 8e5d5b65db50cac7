"""Which lines are shown: periods by session or by New York's clock, and what a decision must have."""

from collections.abc import Callable

import pytest
from log_builders import a_fill, a_record, an_order
from msgspec.structs import replace

from trader.analysis.selection import Bound, Selection, action_named, bound, method_named, rule_named
from trader.domain.actions import Action
from trader.domain.decisions import FusionMethod, Rule
from trader.errors import UsageError

PLAIN = a_record(minute=4)  # closes at 09:35 in New York, 14:35 UTC
BUY = replace(PLAIN, fusion=replace(PLAIN.fusion, action="BUY", method="agreement"))
VETOED = replace(PLAIN, risk=replace(PLAIN.risk, verdict="vetoed", vetoes=("cost_share", "daily_loss")))
IN_FORCE = replace(PLAIN, risk=replace(PLAIN.risk, active=("cost_share",)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-01-10", Bound("2023-01-10", None)),
        ("2023-01-10T09:35", Bound(None, "2023-01-10T14:35:00")),
        ("2023-01-10 09:35", Bound(None, "2023-01-10T14:35:00")),
        ("2023-07-10T09:35", Bound(None, "2023-07-10T13:35:00")),
        ("2023-01-10T09:35Z", Bound(None, "2023-01-10T09:35:00")),
        ("2023-01-10T09:35+01:00", Bound(None, "2023-01-10T08:35:00")),
    ],
)
def test_bound_of_a_text_is_a_session_or_a_moment(text: str, expected: Bound):
    """New York's clock, summer time included, unless an offset is stated."""
    assert bound(text) == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "2023-13-01", "2023-01-10T25:00", "20230110xx"])
def test_bound_of_something_else_says_what_is_expected(text: str):
    """The message shows both forms."""
    with pytest.raises(UsageError, match="2023-10-23T09:35"):
        bound(text)


@pytest.mark.parametrize(
    ("since", "until", "taken"),
    [
        ("2023-01-10", "2023-01-10", True),
        ("2023-01-11", None, False),
        (None, "2023-01-09", False),
        ("2023-01-10T09:35", None, True),
        ("2023-01-10T09:36", None, False),
        (None, "2023-01-10T09:35", True),
        (None, "2023-01-10T09:34", False),
    ],
)
def test_selection_of_a_period_includes_both_ends(since: str | None, until: str | None, taken: bool):
    """Sessions and moments alike."""
    selection = Selection(since=bound(since) if since else None, until=bound(until) if until else None)
    assert selection.takes(PLAIN) is taken


def test_selection_of_an_evening_bar_by_date_counts_its_session():
    """At 18:00 on the 9th the session of the 10th has begun."""
    evening = replace(
        PLAIN, bar=replace(PLAIN.bar, close_utc="2023-01-09T23:01:00Z", close_et="2023-01-09T18:01:00-05:00")
    )
    assert Selection(since=bound("2023-01-10")).takes(evening)
    assert not Selection(since=bound("2023-01-10T00:00")).takes(evening)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(action=Action.BUY), [BUY]),
        (Selection(method=FusionMethod.AGREEMENT), [BUY]),
        (Selection(veto=Rule.DAILY_LOSS), [VETOED]),
        (Selection(veto=Rule.COST_SHARE), [VETOED]),
        (Selection(vetoed=True), [VETOED]),
        (Selection(with_orders=True), [replace(PLAIN, orders=(an_order(),))]),
        (Selection(with_fills=True), [replace(PLAIN, fills=(a_fill(),))]),
        (Selection(action=Action.BUY, vetoed=True), []),
        (Selection(), [PLAIN, BUY, VETOED, IN_FORCE]),
    ],
)
def test_selection_takes_what_has_all_of_it(selection: Selection, taken: list[object]):
    """A rule in force that blocked nothing is no veto."""
    records = [PLAIN, BUY, VETOED, IN_FORCE, replace(PLAIN, orders=(an_order(),)), replace(PLAIN, fills=(a_fill(),))]
    found = [record for record in records if selection.takes(record)]
    assert found == (records if selection.is_everything else taken)
    assert all(record in found for record in taken)


@pytest.mark.parametrize(
    ("named", "text", "member"),
    [
        (action_named, "buy", Action.BUY),
        (action_named, "MOVE_TO_BE", Action.MOVE_TO_BE),
        (method_named, "Agreement", FusionMethod.AGREEMENT),
        (rule_named, "COST_SHARE", Rule.COST_SHARE),
    ],
)
def test_name_in_any_case_is_its_member(named: Callable[[str], object], text: str, member: object):
    """People type small letters."""
    assert named(text) is member


@pytest.mark.parametrize(
    ("named", "text", "hint"),
    [
        (action_named, "MOVE_TO_BEE", "did you mean MOVE_TO_BE"),
        (method_named, "agrement", "did you mean agreement"),
        (rule_named, "costs_share", "did you mean cost_share"),
        (action_named, "zzz", "one of: HOLD, BUY, SELL"),
    ],
)
def test_name_that_is_unknown_suggests_the_right_one(named: Callable[[str], object], text: str, hint: str):
    """Or lists them all where none is near."""
    with pytest.raises(UsageError, match=hint):
        named(text)
