"""What is done after asking the broker: one line of the table is one situation."""

from reconcile_builders import (
    BUY,
    LAST,
    SELL,
    STOP,
    a_bracket,
    a_stop,
    a_target,
    execution,
    known,
    long_of,
    meant,
    plan_of,
    truth,
)

from trader.adapters.state.records import IntentState, Leg


def test_nothing_known_and_nothing_there_asks_for_nothing():
    plan = plan_of(known(), truth())
    assert plan.may_enter
    assert (plan.cancel, plan.protect_qty, plan.close_qty, plan.alerts) == ((), 0, 0, ())


def test_a_position_with_its_bracket_is_adopted():
    stop, target = a_stop(), a_target()
    plan = plan_of(long_of(a_bracket()), truth(position_qty=1, entry_ticks=LAST, orders=(stop, target)))
    assert (plan.stop, plan.target, plan.position_qty, plan.decision) == (stop, target, 1, "NQ-1")
    assert (plan.cancel, plan.protect_qty, plan.close_qty, plan.unexplained_qty) == ((), 0, 0, 0)


def test_an_entry_that_filled_while_we_were_down_is_booked_before_its_stop_is_adopted():
    bracket = a_bracket()
    filled = execution("0000e0d5.00000001.01.01", "NQ-1", BUY)
    says = truth(position_qty=1, entry_ticks=LAST, orders=(a_stop(), a_target()), executions=(filled,))
    plan = plan_of(known(intents=(meant(bracket),)), says)
    assert plan.bracket == bracket
    assert [each.leg for each in plan.executions] == [Leg.ENTRY]
    assert [each.state for each in plan.resolutions] == [IntentState.FILLED]
    assert plan.stop == a_stop()


def test_a_stop_that_filled_while_we_were_down_leaves_no_target_behind():
    exits = execution("0000e0d5.00000002.01.01", "NQ-1", SELL, price=STOP - 1)
    plan = plan_of(long_of(a_bracket()), truth(orders=(a_target(),), executions=(exits,)))
    assert [each.leg for each in plan.executions] == [Leg.STOP]
    assert (plan.position_qty, plan.cancel) == (0, (a_target(),))


def test_a_position_without_a_stop_is_protected_at_the_level_that_the_book_knows():
    plan = plan_of(long_of(a_bracket()), truth(position_qty=1, entry_ticks=LAST))
    assert (plan.protect_qty, plan.protect_ticks, plan.close_qty) == (1, STOP, 0)


def test_a_position_whose_stop_the_price_has_passed_is_closed():
    plan = plan_of(long_of(a_bracket()), truth(position_qty=1, entry_ticks=LAST), last_ticks=STOP)
    assert (plan.protect_qty, plan.close_qty) == (0, 1)
