"""Bars from before a run are for its features alone, and what is due by the clock does not wait for a bar."""

from line_builders import Drive, drive, record_of

from trader.domain.actions import Action
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.parts import Reached


def test_warmed_run_sees_what_a_run_from_the_beginning_sees() -> None:
    """The same bars give the same vector, whether they were traded or only taken in; none of them is logged."""
    whole = Drive().warm("10:00")
    bars = []
    late = Drive()
    late.now_ns = late.at_clock("10:00") - 425 * MINUTE_NS
    while late.now_ns < late.at_clock("10:00"):
        bar = late.shape(None, None, None, None)
        bars.append(bar)
        late.now_ns = bar.ts_close_ns

    assert late.engine.warm_up(bars) == 425
    assert late.journal.lines == []

    first, same = late.bar(), whole.bar()
    assert (first.features.sha256, first.features.ready, first.seq) == (same.features.sha256, True, 0)
    assert late.bar(Action.BUY).orders[0].stop == whole.bar(Action.BUY).orders[0].stop


def test_warm_up_leaves_an_open_position_as_it_was() -> None:
    """Bars from before are not held against what was bought after them."""
    was = Drive().warm("10:00")
    was.enter()
    before = was.book

    was.parts.pipeline.warm(was.shape(None, 500, -500, 400), was.session)
    was.parts.book.touch()

    assert was.book == before


def test_position_is_closed_at_flat_at_though_no_bar_comes() -> None:
    """The clock is enough; the next bar finds the close on its way and sends no other."""
    run = Drive().warm("15:20")
    run.enter(Action.BUY)
    assert run.book.position_qty == 1
    run.engine.passage.advance(run.at_clock("15:54"))
    assert not run.parts.router.closing
    run.engine.passage.advance(run.at_clock("15:55"))
    assert run.parts.router.closing

    run.skip_to("15:56")
    record = run.bar()

    assert [order.kind for order in record.orders] == ["flatten"]
    assert [fill.reason for fill in record.fills] == ["flat_at"]


def test_clock_does_nothing_that_a_bar_has_done() -> None:
    """A time at or before the last bar's close is old news."""
    run = Drive().warm("15:20")
    run.enter(Action.BUY)
    lines = len(run.journal.lines)

    run.engine.passage.advance(run.now_ns)

    assert (run.parts.router.closing, len(run.journal.lines)) == (False, lines)


def test_clock_begins_the_next_session_before_its_first_bar() -> None:
    """What counts by session starts again at the open, and once; while bars of the old one may still come, not yet."""
    run = Drive("risk.max_trades_per_session=1").warm("10:00")
    run.win()
    opens_ns = Calendar.load().next_open(run.session.open_ns).open_ns
    run.engine.passage.advance(opens_ns)
    assert run.book.trades_in_session == 1

    run.until("16:55").bar(minutes=5)
    assert run.now_ns == run.session.close_ns
    run.next_session()
    run.engine.passage.advance(run.now_ns)
    assert run.book.trades_in_session == 0
    files = list(run.journal.files)
    run.bar()

    assert list(run.journal.files) == files


def test_resumed_run_goes_on_in_its_session() -> None:
    """A session that was begun before the restart is not begun again; another one is, and the last one ended."""
    before = Drive().warm("10:00")
    before.win()
    reached = before.engine.reached()
    assert reached == Reached(
        ts_close_ns=before.now_ns,
        symbol="NQH23",
        session_date=before.session.date,
        bars=428,
        carried_cents=0,
        is_exhausted=False,
    )

    for clock, trades in (("10:30", 1), ("next", 0)):
        after = Drive()
        after.parts.book.row[:] = before.parts.book.row
        after.parts.book.touch()
        after.engine.passage.resume(reached)
        after.now_ns = before.now_ns
        if clock == "next":
            after.next_session()
        drive(after.engine.on_bar(after.shape(None, None, None, None)))
        assert after.book.trades_in_session == trades


def test_bars_that_nobody_saw_are_booked_and_nothing_is_sent() -> None:
    """A stop that was there has filled; the trail did not follow, and nothing was closed at its time."""
    run = Drive().warm("10:00")
    run.enter()
    run.climb(3)
    run.bar(Action.MOVE_TO_BE)
    run.bar(Action.ENABLE_TRAIL)
    stop, target = run.book.stop_ticks, run.book.target_ticks
    seen = []
    run.now_ns = run.at_clock("15:50")
    for level in (50, 60, 70, 60, 50, 40, 30):
        bar = run.shape(None, None, None, level)
        seen.append(bar)
        run.now_ns = bar.ts_close_ns
    run.strategy.pick = 1

    drive(run.engine.catch_up(seen))

    records = [record_of(line) for line in run.journal.lines[-len(seen) :]]
    assert (run.book.stop_ticks, run.book.target_ticks, run.book.trailing) == (stop, target, True)
    assert [record.orders for record in records] == [()] * len(seen)
    assert {record.fusion.action for record in records} == {"HOLD"}
    assert run.engine.controls.state == "enabled"

    record = run.bar()
    assert [order.kind for order in record.orders] == ["flatten"], "it is past the time to be flat"


def test_stop_that_was_reached_while_nobody_was_there_has_filled() -> None:
    """The account is what it would have been at a broker that went on."""
    run = Drive().warm("10:00")
    run.enter()
    seen = [run.shape(None, None, -200, -150)]

    drive(run.engine.catch_up(seen))

    assert (run.book.position_qty, run.book.trades_closed) == (0, 1)
    assert record_of(run.journal.lines[-1]).fills[0].reason == "stop"
