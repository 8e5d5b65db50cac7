"""A position from entry to exit by its own orders: anchored bracket, break-even, trail, stop, target."""

from typing import TypedDict

import pytest
from line_builders import Drive, kinds
from line_fakes import FakeAdvisor

from trader.domain.actions import Action
from trader.domain.instruments import INSTRUMENTS
from trader.errors import StrategyError

BOTH_SIDES = pytest.mark.parametrize(("entry", "side"), [(Action.BUY, 1), (Action.SELL, -1)], ids=["long", "short"])


class Extremes(TypedDict):
    """How far a bar reached."""

    high: int
    low: int


def mirrored(side: int, up: int, down: int) -> Extremes:
    """`high` and `low` of a bar that reaches `up` in the position's favour and `down` against it."""
    return {"high": up, "low": down} if side > 0 else {"high": -down, "low": -up}


@BOTH_SIDES
def test_engine_entry_is_anchored_at_the_fill(entry: Action, side: int) -> None:
    """Decided at 0, opened five ticks on: the bracket leaves around 0 and rests around the slipped fill at 6."""
    drive = Drive().warm()

    decided = drive.bar(entry)
    filled = drive.bar(open=5 * side)

    (order,) = decided.orders
    assert (order.kind, order.side, order.qty) == ("bracket", entry.name, 1)
    assert (drive.ticks(order.stop), drive.ticks(order.target)) == (-30 * side, 90 * side)
    (fill,) = filled.fills
    assert (fill.side, fill.qty, fill.reason, fill.commission, fill.pnl) == (entry.name, 1, None, 2.25, None)
    assert (drive.ticks(fill.price), fill.ts_utc) == (6 * side, filled.bar.open_utc)
    account = filled.account
    assert (account.position, drive.ticks(account.entry)) == (side, 6 * side)
    assert (drive.ticks(account.stop), drive.ticks(account.target)) == (-24 * side, 96 * side)


def test_engine_order_is_named_by_contract_and_minute_of_its_decision() -> None:
    """The reference is known before anything is sent, and ties order and fill to their bar."""
    drive = Drive().warm()
    decided = drive.bar(Action.BUY)
    (fill,) = drive.bar().fills

    closed_minute = drive.at_clock("09:36") // 60_000_000_000
    assert decided.orders[0].ref == fill.ref == f"NQH23-{closed_minute}"


def test_engine_stop_distance_follows_the_atr_of_the_decision_bar() -> None:
    """An ATR of 40 ticks gives 60, whatever the next bar's is; a quiet market gives the minimum of 20."""
    wild = Drive(reach=20).warm().bar(Action.BUY)
    quiet = Drive(reach=2).warm().bar(Action.BUY)

    assert [Drive().ticks(order.stop) for order in (*wild.orders, *quiet.orders)] == [-60, -20]
    assert [Drive().ticks(order.target) for order in (*wild.orders, *quiet.orders)] == [180, 60]


@BOTH_SIDES
def test_engine_stop_inside_a_bar_slips_one_tick(entry: Action, side: int) -> None:
    """Filled at 1, stop at -29: booked at -30, a loss of 31 ticks and two commissions."""
    drive = Drive().warm()
    drive.enter(entry)

    record = drive.bar(**mirrored(side, 5, -29))

    (fill,) = record.fills
    assert (fill.reason, drive.ticks(fill.price), fill.pnl, fill.risk) == ("stop", -30 * side, -159.5, 150.0)
    assert (fill.optimistic, record.account.position, record.account.balance) == (None, 0, 49_840.5)


@BOTH_SIDES
def test_engine_stop_one_tick_away_holds(entry: Action, side: int) -> None:
    """A bar that ends one tick short of the stop changes nothing."""
    drive = Drive().warm()
    drive.enter(entry)

    assert drive.bar(**mirrored(side, 5, -28)).fills == ()


@BOTH_SIDES
def test_engine_gap_through_the_stop_fills_at_the_open(entry: Action, side: int) -> None:
    """The stop's level was never traded: the open is worse, and slips too."""
    drive = Drive().warm()
    drive.enter(entry)

    (fill,) = drive.bar(open=-50 * side).fills

    assert (fill.reason, drive.ticks(fill.price)) == ("stop", -51 * side)


@BOTH_SIDES
def test_engine_open_at_the_stop_leaves_no_doubt(entry: Action, side: int) -> None:
    """Opened exactly at the stop and later through the target: the stop came first, the bar is not ambiguous."""
    drive = Drive().warm()
    drive.enter(entry)

    (fill,) = drive.bar(open=-29 * side, **mirrored(side, 95, -35)).fills

    assert (fill.reason, drive.ticks(fill.price), fill.optimistic) == ("stop", -30 * side, None)


@BOTH_SIDES
@pytest.mark.parametrize(("mode", "reaches", "fills"), [("through", 91, 0), ("through", 92, 1), ("touch", 91, 1)])
def test_engine_target_needs_a_trade_through_it(entry: Action, side: int, mode: str, reaches: int, fills: int) -> None:
    """The target at 91 is a resting limit order: a touch may leave it unfilled; it never slips."""
    drive = Drive(f"execution.target_fill={mode}").warm()
    drive.enter(entry)

    record = drive.bar(**mirrored(side, reaches, -5))

    assert [(fill.reason, drive.ticks(fill.price), fill.pnl) for fill in record.fills] == [
        ("target", 91 * side, 445.5)
    ] * fills


@BOTH_SIDES
@pytest.mark.parametrize("opens", [92, 100])
def test_engine_gap_through_the_target_fills_at_the_open(entry: Action, side: int, opens: int) -> None:
    """A limit order is filled at the better price, from one tick through on."""
    drive = Drive().warm()
    drive.enter(entry)

    (fill,) = drive.bar(open=opens * side).fills

    assert (fill.reason, drive.ticks(fill.price)) == ("target", opens * side)


@BOTH_SIDES
def test_engine_ambiguous_bar_books_the_stop_and_keeps_the_other_price(entry: Action, side: int) -> None:
    """Stop and target inside one bar: the loss is booked, and the report states the range."""
    drive = Drive().warm()
    drive.enter(entry)

    (fill,) = drive.bar(**mirrored(side, 92, -29)).fills

    assert (fill.reason, drive.ticks(fill.price), drive.ticks(fill.optimistic)) == ("stop", -30 * side, 91 * side)
    result = drive.report().result
    assert (result.ambiguous_bars, result.pessimistic_pnl_usd, result.optimistic_pnl_usd) == (1, -159.5, 445.5)


@BOTH_SIDES
def test_engine_stop_works_inside_the_entry_bar(entry: Action, side: int) -> None:
    """From the fill on, at the re-anchored level: opened at 5, filled at 6, the stop is at -24 and not at -30."""
    drive = Drive().warm()
    drive.bar(entry)

    entered, stopped = drive.bar(open=5 * side, **mirrored(side, 10, -24)).fills

    assert (drive.ticks(entered.price), drive.ticks(stopped.price)) == (6 * side, -25 * side)
    assert (entered.nth, stopped.nth, stopped.reason) == (1, 2, "stop")


@BOTH_SIDES
def test_engine_anchored_stop_has_left_its_first_level(entry: Action, side: int) -> None:
    """Opened against the trade at -10, filled at -9: the stop went to -39, and the first level at -30 is harmless."""
    drive = Drive().warm()
    drive.bar(entry)

    record = drive.bar(open=-10 * side, **mirrored(side, 0, -38))

    assert [fill.reason for fill in record.fills] == [None]
    assert drive.ticks(record.account.stop) == -39 * side


@BOTH_SIDES
@pytest.mark.parametrize(("opens", "fill_at", "exit_at"), [(-31, -30, -32), (-60, -59, -61), (90, 91, 89)])
def test_engine_fill_beyond_a_level_closes_at_the_market(
    entry: Action, side: int, opens: int, fill_at: int, exit_at: int
) -> None:
    """Filled at or past a level of the bracket as it was sent: out again at once, by name."""
    drive = Drive().warm()
    drive.bar(entry)

    entered, closed = drive.bar(open=opens * side).fills

    assert (drive.ticks(entered.price), drive.ticks(closed.price)) == (fill_at * side, exit_at * side)
    assert (closed.reason, closed.pnl, drive.book.position_qty) == ("entry_beyond_stop", -14.5, 0)


@BOTH_SIDES
def test_engine_fill_one_tick_inside_the_stop_stays(entry: Action, side: int) -> None:
    """Filled at -29 with the anchored stop at -30: anchored again, 30 ticks below the fill."""
    drive = Drive().warm()
    drive.bar(entry)

    record = drive.bar(open=-30 * side)

    assert [fill.reason for fill in record.fills] == [None]
    assert drive.ticks(record.account.stop) == -59 * side


@pytest.mark.parametrize("market", INSTRUMENTS)
@pytest.mark.parametrize("entry", [Action.BUY, Action.SELL])
@pytest.mark.parametrize("slippage", [0, 1, 3])
def test_engine_break_even_never_loses(market: str, entry: Action, slippage: int) -> None:
    """Stopped at break-even each market nets at least nothing, and less than a tick more."""
    drive = Drive(f"market={market}", f"execution.slippage_ticks={slippage}", "risk.max_cost_share=1").warm()
    drive.enter(entry)
    drive.bar(close=15 if entry is Action.BUY else -15)

    moved = drive.bar(Action.MOVE_TO_BE, high=drive.level + 3, low=drive.level - 3)
    fill = drive.stop_out().fills[-1]

    assert kinds(moved.orders) == [("amend", "break_even")]
    assert fill.reason == "break_even"
    assert fill.pnl is not None
    assert 0 <= fill.pnl < INSTRUMENTS[market].tick_value_cents / 100


def test_engine_break_even_nq_nets_fifty_cents() -> None:
    """The specification's example: 9.50 $ of costs are two ticks, net +0.50 $."""
    drive = Drive().warm()
    drive.enter()
    moved = drive.bar(Action.MOVE_TO_BE, close=5)

    assert drive.ticks(moved.orders[0].stop) == 3
    assert drive.stop_out().fills[0].pnl == 0.5


def test_engine_break_even_is_not_offered_within_the_gap() -> None:
    """Break-even is at 3; a close at 4 is one tick short of the gap of two."""
    drive = Drive().warm()
    drive.enter()

    with pytest.raises(StrategyError, match="MOVE_TO_BE"):
        drive.bar(Action.MOVE_TO_BE, close=4)


def trailing(entry: Action, side: int) -> Drive:
    """Filled at 1, closed at 40, stop at break-even 3, trail on since a close at 50: the stop is at 30."""
    drive = Drive().warm()
    drive.enter(entry)
    drive.climb(4, 10 * side)
    drive.bar(Action.MOVE_TO_BE)
    drive.climb(1, 10 * side, propose=Action.ENABLE_TRAIL)
    return drive


@BOTH_SIDES
def test_engine_trail_follows_one_atr_behind_the_close(entry: Action, side: int) -> None:
    """Twenty ticks behind each close that is better than those before."""
    drive = trailing(entry, side)
    on = drive.records()[-1]
    drive.climb(1, 10 * side)
    further = drive.records()[-1]

    assert [(*kinds([order]), drive.ticks(order.stop)) for order in (*on.orders, *further.orders)] == [
        (("amend", "trail"), 30 * side),
        (("amend", "trail"), 40 * side),
    ]
    assert (further.account.trailing, drive.ticks(further.account.stop)) == (True, 40 * side)


@BOTH_SIDES
def test_engine_trail_works_from_the_next_bar_on(entry: Action, side: int) -> None:
    """The bar that pulls the stop to 40 has itself traded at 40: only a later bar is stopped there."""
    drive = trailing(entry, side)

    pulling = drive.bar(close=60 * side, **mirrored(side, 60, 40))
    stopped = drive.bar(**mirrored(side, 60, 40))

    assert (pulling.fills, drive.ticks(pulling.account.stop)) == ((), 40 * side)
    (fill,) = stopped.fills
    assert (fill.reason, drive.ticks(fill.price)) == ("trail", 39 * side)


@BOTH_SIDES
def test_engine_trail_never_loosens(entry: Action, side: int) -> None:
    """Closes that fall back leave the stop where it was, and send nothing."""
    drive = trailing(entry, side)
    drive.climb(1, -10 * side)

    record = drive.records()[-1]

    assert (record.orders, drive.ticks(record.account.stop)) == ((), 30 * side)


def test_engine_trail_ends_when_the_close_is_under_way() -> None:
    """At 15:55 the position is being closed: its stop rests where it was, and only the close leaves."""
    drive = trailing(Action.BUY, 1)
    drive.until("15:54")
    drive.climb(1)

    assert kinds(drive.records()[-1].orders) == [("flatten", "flat_at")]
    assert drive.ticks(drive.records()[-1].account.stop) == 30


@BOTH_SIDES
def test_engine_trail_turned_off_leaves_the_stop(entry: Action, side: int) -> None:
    """DISABLE_TRAIL sends nothing; later closes move nothing."""
    drive = trailing(entry, side)
    off = drive.bar(Action.DISABLE_TRAIL)
    drive.climb(3, 10 * side)

    record = drive.records()[-1]

    assert (off.risk.verdict, off.orders) == ("approved", ())
    assert (record.account.trailing, drive.ticks(record.account.stop)) == (False, 30 * side)


def test_engine_trail_waits_for_break_even() -> None:
    """ENABLE_TRAIL is offered only once the stop has reached break-even."""
    drive = Drive().warm()
    drive.enter()
    drive.climb(4)
    before = drive.records()[-1].rl.mask
    drive.bar(Action.MOVE_TO_BE)
    after = drive.bar().rl.mask

    assert (before, after) == ((1, 0, 0, 1, 0, 0), (1, 0, 0, 0, 1, 0))


@pytest.mark.parametrize("opposite", [Action.BUY, Action.SELL])
def test_engine_position_is_never_reversed_nor_enlarged(opposite: Action) -> None:
    """Long, no entry is offered to the strategy."""
    drive = Drive().warm()
    drive.enter()

    with pytest.raises(StrategyError, match=opposite.name):
        drive.bar(opposite)


@pytest.mark.parametrize("advised", [Action.BUY, Action.SELL, Action.DISABLE_TRAIL])
def test_engine_advice_outside_the_mask_becomes_no_other_action(advised: Action) -> None:
    """An advisor that is sure of what cannot be done leaves the proposal as it is."""
    advisor = FakeAdvisor()
    drive = Drive("advisor.backend=rules", "fusion.use_selective_querying=false", advisor=advisor).warm()
    drive.enter()
    drive.bar(close=15)
    advisor.action = advised

    record = drive.bar(Action.MOVE_TO_BE, confidence=0.1)

    assert (record.query.asked, record.fusion.method, record.fusion.action) == (True, "rl_only", "MOVE_TO_BE")
    assert kinds(record.orders) == [("amend", "break_even")]
