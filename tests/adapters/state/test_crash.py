"""However the process ends or the disk fails: what was acknowledged is there, and nothing else half."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from state_builders import ME, STEPS, breaking, content_of, refuse, reopened, states_after

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import State
from trader.errors import StateFailedError

SCRIPT = Path(__file__).with_name("crash_script.py")


def die_everywhere(kind: str, root: Path) -> list[tuple[int, Path]]:
    """The folders of all points, each with the number of steps that had come back there."""
    root.mkdir()
    paths = os.pathsep.join(str(path) for path in (SCRIPT.parent, SCRIPT.parents[3]))
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), kind, str(root)],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [((folder / "acknowledged").stat().st_size, folder / "state") for folder in sorted(root.iterdir())]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[State]:
    """The state after each number of steps."""
    return states_after(tmp_path_factory.mktemp("whole") / "state")


@pytest.mark.parametrize(("kind", "points"), [("kill", 80), ("full-disk", 20)])
def test_state_after_any_end_holds_the_acknowledged_steps_and_no_half_one(
    kind: str, points: int, tmp_path: Path, states: list[State]
) -> None:
    """The step at work when the end came is there whole or not at all; a second start agrees."""
    ends = die_everywhere(kind, tmp_path / "ends")
    assert len(ends) > points
    assert {acknowledged for acknowledged, _ in ends} == set(range(len(STEPS) + 1))
    for acknowledged, folder in ends:
        found = content_of(reopened(folder))
        assert found in states[acknowledged : acknowledged + 2]
        assert content_of(reopened(folder)) == found


def test_state_after_a_kill_of_the_writer_holds_all_up_to_the_last_step_that_was_waited_for(
    tmp_path: Path, states: list[State]
) -> None:
    """What nobody waited for may be missing, from some step on and no earlier one."""
    ends = die_everywhere("kill-writer", tmp_path / "ends")
    assert len(ends) > 15
    for acknowledged, folder in ends:
        assert content_of(reopened(folder)) in states[acknowledged:]


@pytest.mark.parametrize("after", [False, True])
def test_error_of_any_statement_fails_the_state_for_good_and_leaves_nothing_half(
    after: bool, tmp_path: Path, states: list[State]
) -> None:
    """Before the statement or, as a commit can, after it was done; the next start finds a whole state."""
    for number in count(1):
        folder = tmp_path / str(number)
        done = 0
        state = None
        try:
            state = StateDb(folder, ME, connect=breaking(number, refuse, after=after))
            for step in STEPS:
                step(state)
                done += 1
        except StateFailedError:
            if state is not None:
                with pytest.raises(StateFailedError):
                    state.snapshot()
                with pytest.raises(StateFailedError):
                    state.keep()
        else:
            break
        finally:
            if state is not None:
                state.close()
        assert content_of(reopened(folder)) in states[done : done + 2]
    assert number > 75
