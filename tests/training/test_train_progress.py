"""What a training shows while it runs."""

import io
import json
import sys

import msgspec
import pytest
from lesson_builders import a_learner, learn

from trader.commands.train_progress import Display, Line, Speedometer

LINE = Line(
    training="phase-2 seed 7", steps=400, of=1000, steps_per_s=4_321, left_s=95, episode_r=-0.25, hold_share=0.5
)


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_display_off_a_terminal_writes_a_json_line_an_update(monkeypatch):
    """For programs: every figure, one object a line."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Display() as display:
        display.show(LINE)
        display.show(msgspec.structs.replace(LINE, steps=500))
    lines = [json.loads(line) for line in sys.stderr.getvalue().splitlines()]
    assert lines[0] == msgspec.to_builtins(LINE)
    assert lines[1]["steps"] == 500


def test_display_on_a_terminal_shows_a_bar_with_speed_and_result_for_each_training(monkeypatch):
    """For people: where it stands, how fast it goes, what an episode brings."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    with Display() as display:
        display.show(LINE)
        display.show(msgspec.structs.replace(LINE, training="phase-2 seed 8", episode_r=None))
    shown = terminal.getvalue()
    assert "{" not in shown
    for part in ("phase-2 seed 7", "phase-2 seed 8", "400/1000", "4,321 steps/s", "-0.25 R an episode"):
        assert part in shown


def test_speedometer_tells_speed_and_time_left_from_the_second_update_on():
    """The first one loads and compiles: no speed is told of it."""
    shown: list[Line] = []
    speed = Speedometer("phase-1 seed 1", 1024, shown.append)
    updates = learn(a_learner(), 3)
    for update in updates:
        speed.report(update)
    assert (shown[0].steps_per_s, shown[0].left_s) == (None, None)
    for line, update in zip(shown[1:], updates[1:], strict=True):
        assert line.steps_per_s is not None
        assert line.steps_per_s > 0
        assert line.left_s is not None
        assert (line.training, line.steps, line.of) == ("phase-1 seed 1", update.steps, 1024)
        assert line.episode_r == pytest.approx(update.episode_r, abs=1e-3)
        assert line.hold_share == pytest.approx(update.action_shares[0], abs=1e-4)
