"""What is switched, and what breaks, while the engine runs: changes are in the log, a position keeps its stop."""

import pytest
from line_builders import BASE, Drive

from trader.adapters.paper_broker import Faults
from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.errors import StrategyError
from trader.outlook import Outlook


class Failing:
    """Fails at every bar, in its own way."""

    def __init__(self, fault: object) -> None:
        self.fault = fault

    def propose(self, outlook: Outlook) -> Proposal:
        """Raises what is an exception, returns what is not."""
        if isinstance(self.fault, Exception):
            raise self.fault
        return self.fault  # type: ignore[return-value] # that is the fault


def test_engine_switches_are_events_from_the_bar_at_which_they_count() -> None:
    """Enabled at first, then each change; a bar without one adds nothing."""
    drive = Drive().warm()
    first = drive.bar().seq
    drive.engine.controls.pause()
    paused = drive.bar().seq
    drive.bar()
    drive.engine.controls.kill()
    killed = drive.bar().seq
    drive.engine.controls.resume()
    resumed = drive.bar().seq

    assert first > 0
    assert drive.switched() == [
        (0, "enabled"),
        (paused, "paused"),
        (killed, "kill_switch; paused"),
        (resumed, "kill_switch"),
    ]


@pytest.mark.parametrize("fault", [RuntimeError("no model"), 1, Proposal(Action.BUY, 0.9), Proposal(Action.HOLD, 7.0)])
def test_engine_live_strategy_that_fails_in_a_position_leaves_it_protected(fault: object) -> None:
    """PROTECT-ONLY: told once, HOLD from then on, the stop rests and works, nothing is entered afterwards."""
    told: list[str] = []
    drive = Drive().warm()
    drive.engine.on_trouble = told.append
    drive.parts.pipeline.on_strategy_error = drive.engine.protect_only
    drive.enter()
    stop = drive.book.stop_ticks
    drive.parts.pipeline._propose = Failing(fault).propose

    failed = drive.bar()
    (fill,) = drive.stop_out().fills
    after = [drive.bar() for _ in range(3)]

    assert (failed.rl.action, drive.book.stop_ticks, failed.account.stop) == ("HOLD", 0, stop / 4)
    assert fill.reason == "stop"
    assert all(record.rl.mask == (1, 0, 0, 0, 0, 0) and not record.orders for record in after)
    assert len(told) == 1
    assert drive.switched()[-1] == (failed.seq, f"protect_only: {told[0]}")


def test_engine_replayed_strategy_that_fails_ends_the_run_by_name() -> None:
    """A backtest of a broken strategy has no result; the error names strategy, bar and cause."""
    drive = Drive().warm()
    drive.parts.pipeline._propose = Failing(KeyError("rsi_9")).propose

    with pytest.raises(StrategyError, match=r"strategy '.*' at bar \d+ failed: KeyError\('rsi_9'\)"):
        drive.bar()


def test_engine_entry_that_meets_no_bar_before_the_window_ends_is_cancelled() -> None:
    """Decided at 15:20, and nobody trades until 15:35: the time for entries is over."""
    drive = Drive().warm("15:20")
    drive.bar(Action.BUY)
    drive.skip_to("15:35")

    record = drive.bar()

    assert ([order.kind for order in record.orders], record.fills) == (["cancel"], ())


@pytest.mark.parametrize(("opened", "at_open"), [(-100, True), (0, False)])
def test_engine_stop_at_the_open_is_stamped_with_the_open(opened: int, at_open: bool) -> None:
    """A gap through the stop is filled when the bar opens, a stop inside the bar is known at its close."""
    drive = Drive().warm()
    drive.enter()
    low = drive.book.stop_ticks - BASE

    record = drive.bar(open=opened, low=min(low, opened))

    assert record.fills[0].ts_utc == (record.bar.open_utc if at_open else record.bar.close_utc)


def test_engine_entry_that_ends_unfilled_is_an_event() -> None:
    """A rejected order and one that was taken back leave a line each: a bracket without a fill is explained."""
    drive = Drive(faults=Faults(rejected_entries=frozenset({1}))).warm("15:10")
    drive.bar(Action.BUY)
    rejected = drive.bar(Action.BUY).seq
    drive.skip_to("15:35")
    cancelled = drive.bar().seq

    assert drive.unfilled() == [(rejected, "rejected"), (cancelled, "cancelled")]


def test_engine_stop_of_the_run_tells_what_it_took_back() -> None:
    """An entry that waits when the run is stopped is cancelled, and the log ends with that."""
    drive = Drive().warm()
    drive.bar(Action.BUY)
    drive.engine.finish(at_end_of_feed=False)

    assert drive.unfilled() == [(drive.engine.bars, "cancelled")]
