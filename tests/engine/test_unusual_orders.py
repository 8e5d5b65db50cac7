"""Entries that are rejected, filled in portions, or overtaken by the stop, the clock or the session's end."""

import pytest
from line_builders import Drive, kinds

from trader.adapters.paper_broker import Faults
from trader.domain.actions import Action

THREE = ("execution.qty=3", "execution.max_position_qty=3")
ONE_THEN_TWO = Faults(entry_portions={1: (1, 2)})


def three_in_portions(*overrides: str, clock: str = "10:00") -> Drive:
    """Three contracts ordered at 0; one is filled at 1, two are still to come."""
    drive = Drive(*THREE, *overrides, faults=ONE_THEN_TWO).warm(clock)
    drive.bar(Action.BUY)
    drive.bar()
    return drive


def test_engine_rejected_entry_leaves_the_line_ready_for_the_next() -> None:
    """Nothing is filled, nothing is working, and the next decision goes out as usual."""
    drive = Drive(faults=Faults(rejected_entries=frozenset({1}))).warm()
    rejected = drive.bar(Action.BUY)
    after = drive.bar(Action.SELL)
    filled = drive.bar()

    assert kinds(rejected.orders) == [("bracket", None)]
    assert (after.fills, after.account.position, after.rl.mask) == ((), 0, (1, 1, 1, 0, 0, 0))
    assert [fill.side for fill in filled.fills] == ["SELL"]


def test_engine_first_portion_is_protected_by_the_bracket_as_sent() -> None:
    """One of three filled at 1: its stop is the one that left with the order, for one contract's risk."""
    record = three_in_portions().records()[-1]

    (fill,) = record.fills
    assert (fill.qty, fill.commission, record.account.position) == (1, 2.25, 1)
    assert ((record.account.stop or 0) * 4 - 48_000, (record.account.target or 0) * 4 - 48_000) == (-30, 90)


def test_engine_last_portion_anchors_the_bracket_at_the_average_fill() -> None:
    """One at 1 and two at 7 are three at 5: stop and target are laid around that, once, for all three."""
    drive = three_in_portions()

    record = drive.bar(open=6)

    (fill,) = record.fills
    assert (fill.qty, fill.nth, drive.ticks(fill.price)) == (2, 2, 7)
    account = record.account
    assert (account.position, drive.ticks(account.entry)) == (3, 5)
    assert (drive.ticks(account.stop), drive.ticks(account.target)) == (-25, 95)


def test_engine_portions_end_as_one_trade_with_six_sides() -> None:
    """Bought one at 1 and two at 7, sold three at -26: 15 + 78 ticks and six commissions lost."""
    drive = three_in_portions()
    drive.bar(open=6)

    (fill,) = drive.bar(low=-25).fills

    lost_ticks = 3 * 26 + 1 + 2 * 7
    assert (fill.qty, fill.commission, fill.reason) == (3, 6.75, "stop")
    assert fill.pnl == -(lost_ticks * 5 + 6 * 2.25)
    assert drive.report().result.commissions_usd == 13.5


@pytest.mark.parametrize(("entry", "side"), [(Action.BUY, 1), (Action.SELL, -1)], ids=["long", "short"])
def test_engine_break_even_of_two_prices_does_not_lose(entry: Action, side: int) -> None:
    """Filled at 1 and at 2, on average between two ticks: stopped at break-even both together net at least nothing."""
    sizes = ("execution.qty=2", "execution.max_position_qty=2")
    drive = Drive(*sizes, faults=Faults(entry_portions={1: (1, 1)})).warm("10:00")
    drive.bar(entry)
    drive.bar()
    drive.bar(open=side)
    drive.bar(Action.MOVE_TO_BE, close=15 * side)

    (fill,) = drive.stop_out().fills

    assert (fill.reason, fill.qty, fill.pnl) == ("break_even", 2, 6.0)


def test_engine_stop_before_the_rest_is_filled_closes_what_there_is() -> None:
    """The stop covers the filled quantity; the rest of the entry is taken back and never comes."""
    drive = Drive(*THREE, faults=Faults(entry_portions={1: (1, 1, 1)})).warm("10:00")
    drive.bar(Action.BUY)
    drive.bar()
    stopped = drive.bar(open=-2, low=-31)
    after = [drive.bar() for _ in range(3)]

    assert [(fill.qty, fill.reason) for fill in stopped.fills] == [(1, None), (2, "stop")]
    assert [record.fills for record in after] == [(), (), ()]
    assert (drive.book.position_qty, drive.book.working) == (0, False)
    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_portion_that_fills_beyond_the_stop_closes_the_whole() -> None:
    """The second portion opens past the resting stop: all that is held goes out at the market."""
    drive = three_in_portions()

    record = drive.bar(open=-40)

    assert [(fill.qty, fill.reason) for fill in record.fills] == [(2, None), (3, "entry_beyond_stop")]
    assert drive.book.position_qty == 0


def test_engine_flat_at_takes_back_the_rest_of_an_entry_first() -> None:
    """Cancel, then close what was filled: nothing can fill behind the close."""
    late = ('execution.windows.rth.end="15:55"', "execution.entry_end_before_flat_minutes=0")
    drive = Drive(*THREE, *late, faults=ONE_THEN_TWO).warm("15:53")
    drive.bar(Action.BUY)

    due = drive.bar()
    flat = drive.bar()

    assert kinds(due.orders) == [("cancel", None), ("flatten", "flat_at")]
    assert due.orders[1].qty == 1
    assert [(fill.qty, fill.reason) for fill in (*due.fills, *flat.fills)] == [(1, None), (1, "flat_at")]
    assert (drive.bar().fills, drive.book.working) == ((), False)


def test_engine_breach_takes_back_the_rest_of_an_entry_first() -> None:
    """A risk rule closes like the clock does."""
    drive = Drive(*THREE, "account.trailing_limit_usd=60", faults=ONE_THEN_TWO).warm("10:00")
    drive.bar(Action.BUY)

    breached = drive.bar(low=-12)
    flat = drive.bar()

    assert kinds(breached.orders) == [("cancel", None), ("flatten", "trailing_breach")]
    assert [(fill.qty, fill.reason) for fill in flat.fills] == [(1, "trailing_breach")]


def test_engine_partial_position_is_not_managed_while_orders_work() -> None:
    """Until the last portion is in, HOLD is all that is offered."""
    drive = three_in_portions()

    assert drive.records()[-1].rl.mask == (1, 0, 0, 0, 0, 0)


def test_engine_session_end_cancels_the_rest_and_closes_what_was_filled() -> None:
    """One portion in, the market closes: the rest is cancelled, the one is closed for it."""
    drive = three_in_portions()
    drive.next_session()

    record = drive.bar()

    assert [(fill.qty, fill.reason) for fill in record.fills] == [(1, "forced_close")]
    assert (drive.book.position_qty, drive.book.working) == (0, False)
