"""Unexpected errors in a bar's decision: with a position open the run goes on and only protects it, else it ends."""

from collections.abc import Callable

import pytest
from line_builders import Drive, drive
from line_fakes import FakeAdvisor

from trader.domain.actions import Action
from trader.errors import InvariantError


class Watched:
    """A live run with a position, and what is told of its faults."""

    def __init__(self) -> None:
        self.drive = Drive(advisor=FakeAdvisor()).warm("15:20")
        self.faults: list[Exception] = []
        self.troubles: list[str] = []
        self.drive.engine.endurance.on_fault = self.faults.append
        self.drive.engine.on_trouble = self.troubles.append

    def feed(self) -> None:
        """A bar that may leave no record."""
        bar = self.drive.shape(None, None, None, None)
        drive(self.drive.engine.on_bar(bar))
        self.drive.now_ns = bar.ts_close_ns

    def go_on(self) -> None:
        """Bars until the run ends, ten at most."""
        for _ in range(10):
            self.feed()


def fail(error: Exception) -> Callable[..., None]:
    """Something that fails."""

    def failing(*_: object, **__: object) -> None:
        raise error

    return failing


def break_features(run: Drive, error: Exception) -> None:
    """From now on."""
    run.parts.pipeline.look = fail(error)  # type: ignore[method-assign,assignment]


def break_advisor(run: Drive, error: Exception) -> None:
    """From now on."""
    run.parts.advisor.answer = run.parts.advisor.late_answer = fail(error)  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("breaks", [break_features, break_advisor])
def test_with_a_position_open_the_run_goes_on_protects_and_tells_once(breaks: Callable[..., None]) -> None:
    """No entry, every error handed on, one alert; at the time to be flat it is flat, and then it ends."""
    live = Watched()
    live.drive.enter(Action.BUY)
    live.drive.until("15:50")
    breaks(live.drive, ZeroDivisionError())
    for _ in range(3):
        live.feed()
    controls = live.drive.engine.controls
    assert live.drive.book.position_qty == 1
    assert (controls.entries_allowed, len(live.troubles), len(live.faults)) == (False, 1, 3)
    assert "unexpected error in a bar's decision: ZeroDivisionError()" in controls.state
    with pytest.raises(ZeroDivisionError):
        live.go_on()
    assert live.drive.book.position_qty == 0


def test_without_a_decision_a_bar_is_recorded_and_its_limits_are_judged() -> None:
    """The advisor's error costs the bar its decision alone."""
    live = Watched()
    live.drive.enter(Action.BUY)
    break_advisor(live.drive, ZeroDivisionError())
    record = live.drive.bar()
    assert (record.seq, record.fusion.action) == (live.drive.engine.bars - 1, "HOLD")
    live.drive.engine.controls.kill()
    assert "kill_switch" in live.drive.bar().risk.active


@pytest.mark.parametrize("breaks", [break_features, break_advisor])
def test_with_nothing_open_it_ends_the_run(breaks: Callable[..., None]) -> None:
    """Nothing is left alone by that."""
    live = Watched()
    breaks(live.drive, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        live.feed()


@pytest.mark.parametrize("breaks", [break_features, break_advisor])
def test_a_program_that_contradicts_itself_does_not_go_on(breaks: Callable[..., None]) -> None:
    """What it would do next is not known."""
    live = Watched()
    live.drive.enter(Action.BUY)
    breaks(live.drive, InvariantError("two books"))
    with pytest.raises(InvariantError):
        live.feed()


def test_a_replay_ends_at_any_error() -> None:
    """It would hide what is wrong."""
    live = Watched()
    live.drive.enter(Action.BUY)
    live.drive.engine.endurance.on_fault = None
    break_features(live.drive, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        live.feed()
