"""What time does to positions and orders: flat_at, half days, sessions that end first, halts, rolls."""

import numpy as np
import pytest
from line_builders import Drive, kinds
from line_fakes import FakeAdvisor
from numpy.typing import NDArray

from trader.domain.actions import Action
from trader.domain.units import SECOND_NS
from trader.errors import InvariantError
from trader.observation import FEATURES

HALF_DAY = "2023-11-24"  # closes 13:15
HALTED_DAY = "2019-06-12"  # trading halts 16:15 to 16:30
ALL_HOURS = "execution.entry_window=all"


def test_engine_flat_at_closes_at_the_first_open_from_then_on() -> None:
    """The order leaves when the bar before has closed, and fills at the open of 15:55."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:54")

    deciding = drive.bar()
    filling = drive.bar(open=7)

    assert (deciding.bar.close_et[11:16], kinds(deciding.orders)) == ("15:55", [("flatten", "flat_at")])
    (fill,) = filling.fills
    assert (fill.reason, drive.ticks(fill.price), fill.ts_utc) == ("flat_at", 6, filling.bar.open_utc)
    assert (filling.orders, filling.account.position) == ((), 0)


def test_engine_flat_at_with_missing_minutes_takes_the_next_open() -> None:
    """Nobody traded from 15:40 to 15:58: the position ends at the open of 15:58, not at a stale price."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:40").skip_to("15:58")

    record = drive.bar(open=-8)

    assert kinds(record.orders) == [("flatten", "flat_at")]
    (fill,) = record.fills
    assert (fill.reason, drive.ticks(fill.price), fill.ts_utc) == ("flat_at", -9, record.bar.open_utc)


def test_engine_flat_at_inside_a_longer_bar_waits_for_the_next_open() -> None:
    """A bar from 15:50 to 16:00 is one price path: the first open from 15:55 on is that of 16:00."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:50")

    spanning = drive.bar(minutes=10)
    (fill,) = drive.bar(open=3).fills

    assert (spanning.fills, kinds(spanning.orders)) == ((), [("flatten", "flat_at")])
    assert (fill.reason, drive.ticks(fill.price)) == ("flat_at", 2)


def test_engine_stop_before_flat_at_wins() -> None:
    """Until its open the resting stop protects; the market order then finds nothing to close."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:54")

    last = drive.bar(low=-29)
    after = drive.bar()

    assert [fill.reason for fill in (*last.fills, *after.fills)] == ["stop"]
    assert (last.orders, after.orders) == ((), ())


def test_engine_flat_at_open_comes_before_the_stop_of_its_bar() -> None:
    """The market order fills at the open; the rest of that bar is nobody's risk."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:55")

    record = drive.bar(low=-60)

    assert [(fill.reason, drive.ticks(fill.price)) for fill in record.fills] == [("flat_at", -1)]


def test_engine_flat_at_all_hours_is_ten_minutes_before_the_close() -> None:
    """The other window's own time."""
    drive = Drive(ALL_HOURS).warm("16:00")
    drive.enter()
    drive.until("16:50")

    (fill,) = drive.bar().fills

    assert (fill.reason, fill.ts_utc) == ("flat_at", "2023-03-15T20:50:00Z")


def test_engine_half_day_is_flat_ten_minutes_before_its_close() -> None:
    """Closes 13:15: no entry from 12:45 on, flat at the open of 13:05."""
    drive = Drive(day=HALF_DAY).warm("12:40")
    drive.enter()
    drive.until("12:44")
    inside = drive.bar().risk.active
    drive.until("13:05")

    (fill,) = drive.bar().fills

    assert (inside, drive.records()[-1].risk.active) == (("session_window",), ("session_window",))
    assert (fill.reason, fill.ts_utc) == ("flat_at", "2023-11-24T18:05:00Z")


@pytest.mark.parametrize(("clock", "offered"), [("12:43", 1), ("12:44", 0)])
def test_engine_half_day_entries_end_twenty_minutes_before_flat(clock: str, offered: int) -> None:
    """A decision at 12:44 may enter, one at 12:45 may not."""
    assert Drive(day=HALF_DAY).warm(clock).bar().rl.mask[Action.BUY] == offered


@pytest.mark.parametrize(
    ("window", "clock", "offered"),
    [
        ("rth", "09:33", 0),
        ("rth", "09:34", 1),
        ("rth", "15:28", 1),
        ("rth", "15:29", 0),
        ("all", "16:28", 1),
        ("all", "16:29", 0),
    ],
)
def test_engine_entries_are_offered_at_closes_inside_the_window(window: str, clock: str, offered: int) -> None:
    """From 09:35 on and until just before 15:30, by the decision's time, the close of its bar."""
    drive = Drive(f"execution.entry_window={window}").warm(clock)

    assert drive.bar().rl.mask == (1, offered, offered, 0, 0, 0)


def test_engine_forced_close_books_the_last_price_with_twice_the_slippage() -> None:
    """No bar from 15:55 on: the next session's first bar shows that the market has closed on the position."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:40")
    drive.bar(close=12)
    drive.next_session()

    first = drive.bar(open=500)

    (fill,) = first.fills
    assert (fill.reason, drive.ticks(fill.price), fill.ts_utc) == ("forced_close", 10, "2023-03-15T19:41:00Z")
    assert (fill.pnl, first.bar.session, first.account.position) == (40.5, "2023-03-16", 0)
    assert drive.next_line_after_last_bar_of("2023-03-15") == "continue"


def test_engine_forced_close_belongs_to_the_session_that_ended() -> None:
    """Booked after the night, it is yesterday's loss: today's daily limit starts from what it left."""
    drive = Drive("account.daily_limit_usd=100").warm("15:00")
    drive.enter()
    drive.until("15:40")
    drive.bar(close=-19, low=-19)
    drive.next_session().skip_to("09:35")

    record = drive.bar(Action.BUY)

    assert record.fills[0].pnl == -114.5
    assert (record.risk.verdict, record.risk.limits.to_daily_limit) == ("approved", 100.0)
    assert record.risk.limits.trades_in_session == 0


def test_engine_end_of_the_file_books_the_open_position() -> None:
    """The last record holds the fill that no bar came to show."""
    drive = Drive().warm("10:00")
    drive.enter()
    drive.bar(close=12)

    end = drive.finish()

    (fill,) = end.fills
    assert (fill.reason, drive.ticks(fill.price), fill.pnl) == ("forced_close", 10, 40.5)
    assert (end.account.position, end.account.balance) == (0, 50_040.5)
    assert drive.report().trades.exits["forced_close"] == 1


def test_engine_stopped_run_keeps_its_position_and_takes_back_its_entry() -> None:
    """A stop of the program is no end of the market: what is open stays open, what is not filled is cancelled."""
    holding = Drive().warm("10:00")
    holding.enter()
    waiting = Drive().warm("10:00")
    waiting.bar(Action.BUY)

    held, nothing = holding.finish(at_end_of_feed=False), waiting.finish(at_end_of_feed=False)

    assert (held.fills, held.account.position) == ((), 1)
    assert (nothing.fills, nothing.account.position, waiting.book.working) == ((), 0, False)


def test_engine_entry_over_a_session_end_is_cancelled() -> None:
    """Decided on what turned out to be the session's last bar: no fill at tomorrow's open."""
    drive = Drive().warm("15:20")
    drive.bar(Action.BUY)
    drive.next_session()

    record = drive.bar()

    assert (record.fills, record.account.position, drive.book.working) == ((), 0, False)
    drive.skip_to("09:35")
    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_entry_over_a_halt_is_cancelled() -> None:
    """Decided at 16:15, as trading halts: the reopening at 16:30 is another market."""
    drive = Drive(ALL_HOURS, day=HALTED_DAY).warm("16:14")
    decided = drive.bar(Action.BUY)
    drive.skip_to("16:30")

    reopened = drive.bar()

    assert kinds(decided.orders) == [("bracket", None)]
    assert (kinds(reopened.orders), reopened.fills, drive.book.working) == ([("cancel", None)], (), False)


def test_clock_takes_an_entry_back_before_trading_halts() -> None:
    """Five seconds before, not six; and says so until the halt is over."""
    drive = Drive(ALL_HOURS, day=HALTED_DAY).warm("16:14")
    drive.bar(Action.BUY)
    router, passage, halt_ns = drive.parts.router, drive.engine.passage, drive.at_clock("16:15")
    assert (router.entry_working, drive.now_ns) == (True, halt_ns)
    lead_ns = 5 * SECOND_NS
    assert not passage.near_halt(halt_ns - 6 * SECOND_NS, lead_ns)
    assert router.entry_working
    assert passage.near_halt(halt_ns - 5 * SECOND_NS, lead_ns)
    assert not router.entry_working
    ends = (drive.at_clock("16:30"), drive.session.close_ns)
    assert [passage.near_halt(end_ns - SECOND_NS, lead_ns) for end_ns in ends] == [True, True]
    assert not passage.near_halt(ends[0], lead_ns)


def test_engine_position_survives_a_halt_with_its_stop() -> None:
    """Only an entry is taken back; the stop rests, and a gap at the reopening goes through it."""
    drive = Drive(ALL_HOURS, day=HALTED_DAY).warm("16:00")
    drive.enter()
    drive.until("16:15").skip_to("16:30")

    (fill,) = drive.bar(open=-70).fills

    assert (fill.reason, drive.ticks(fill.price)) == ("stop", -71)


def test_engine_entry_over_flat_at_is_cancelled() -> None:
    """Nobody traded from the decision to 15:58: what was to be entered would have to be closed at once."""
    late = ('execution.windows.rth.end="15:55"', "execution.entry_end_before_flat_minutes=0")
    drive = Drive(*late).warm("15:53")
    drive.bar(Action.BUY)
    drive.skip_to("15:58")

    record = drive.bar()

    assert (kinds(record.orders), record.fills, drive.book.working) == ([("cancel", None)], (), False)


def test_engine_entry_after_a_gap_without_a_halt_fills() -> None:
    """Minutes in which nobody traded are no halt: the order rests until somebody does."""
    drive = Drive().warm("10:00")
    drive.bar(Action.BUY)
    drive.skip_to("10:05")

    (fill,) = drive.bar().fills

    assert (fill.reason, fill.ts_utc) == (None, "2023-03-15T14:05:00Z")


def test_engine_roll_closes_at_the_old_contracts_last_price() -> None:
    """The jump of 400 ticks between the contracts is nobody's profit."""
    advisor = FakeAdvisor()
    drive = Drive("advisor.backend=rules", advisor=advisor).warm("10:00")
    drive.enter()
    drive.bar(close=12)
    drive.roll("NQM23", 400)

    record = drive.bar()

    (fill,) = record.fills
    assert (fill.reason, drive.ticks(fill.price), fill.pnl) == ("roll", 11, 45.5)
    assert (record.bar.symbol, record.bar.roll_offset, record.account.equity) == ("NQM23", 100.0, 50_045.5)
    assert advisor.forgotten == 1


def test_engine_entry_over_a_roll_is_cancelled() -> None:
    """The contract that was to be bought is no longer the one that is traded."""
    drive = Drive().warm("10:00")
    drive.bar(Action.BUY)
    drive.roll("NQM23", 400)

    record = drive.bar()
    again = drive.bar(Action.BUY)

    assert (record.fills, record.account.position) == ((), 0)
    assert again.orders[0].ref.startswith("NQM23-")
    assert drive.ticks(drive.bar().fills[0].price) == 401


def test_engine_roll_moves_no_feature() -> None:
    """The same market without the jump gives the same observations, to the last bit.

    But for `spread_ratio`, a share of the price by its definition: 0.8 % of its value for a roll of 0.8 %.
    """

    def moves(drive: Drive) -> NDArray[np.float32]:
        seen = []
        for step in range(60):
            drive.bar(close=drive.level + (7 * step) % 23 - 11)
            seen.append(drive.strategy.obs)
        return np.array(seen)

    rolled, straight = Drive().warm("10:00"), Drive().warm("10:00")
    moves(rolled)
    moves(straight)
    rolled.roll("NQM23", 400)
    with_jump, without = moves(rolled), moves(straight)

    spread = next(feature.index for feature in FEATURES if feature.name == "spread_ratio")
    np.testing.assert_array_equal(np.delete(with_jump, spread, axis=1), np.delete(without, spread, axis=1))
    np.testing.assert_allclose(with_jump[:, spread], without[:, spread], rtol=0.009)
    assert (np.ptp(with_jump, axis=0) > 0).sum() > 200


def test_engine_roll_at_the_session_open_ends_the_session_first() -> None:
    """Contracts change at 18:00: a position that a closed market held ends as any other, at the dearer price."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:40").next_session()
    drive.roll("NQM23", 400)

    (fill,) = drive.bar().fills

    assert (fill.reason, drive.ticks(fill.price)) == ("forced_close", -2)


def test_engine_bar_that_overlaps_the_one_before_is_an_error() -> None:
    """A feed that goes back in time is broken, and named by bar."""
    drive = Drive().warm("10:00")
    drive.skip_to("09:59")

    with pytest.raises(InvariantError, match=r"the bar of 20\S+ opens before"):
        drive.bar()


def test_engine_bar_outside_every_session_is_an_error() -> None:
    """17:30 in New York is nobody's session."""
    drive = Drive().skip_to("17:30")

    with pytest.raises(InvariantError, match="2023-03-15T21:30:00Z"):
        drive.bar()
