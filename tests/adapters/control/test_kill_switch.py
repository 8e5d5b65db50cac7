"""The kill switch's file: that it is there is what counts."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trader.adapters.control.kill_switch import KillSwitch
from trader.errors import TraderError


def test_kept_switch_is_there_for_the_next_run_until_it_is_lifted(tmp_path: Path) -> None:
    """For its owner's eyes; set and lifted twice it is no other."""
    folder = tmp_path / "state"
    for _ in range(2):
        KillSwitch(folder).keep("run one")
    kept = KillSwitch(folder)
    seen = (kept.is_kept, stat.S_IMODE(kept.path.stat().st_mode), "run one" in kept.path.read_text())
    for _ in range(2):
        kept.lift()

    assert (seen, KillSwitch(folder).is_kept) == ((True, 0o600, True), False)


@pytest.mark.parametrize(
    "left",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x00\xff"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
    ],
)
def test_damaged_switch_is_a_switch_that_is_set(tmp_path: Path, left: Callable[[Path], object]) -> None:
    """In doubt nothing is entered."""
    switch = KillSwitch(tmp_path)
    left(switch.path)

    assert switch.is_kept


def test_switch_that_cannot_be_lifted_is_named(tmp_path: Path) -> None:
    """A folder in its place is not removed."""
    switch = KillSwitch(tmp_path)
    switch.path.mkdir()

    with pytest.raises(TraderError, match="cannot be removed"):
        switch.lift()
    assert switch.is_kept
