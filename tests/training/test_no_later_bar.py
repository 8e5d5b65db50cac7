"""What training learns from knows no later bar: the tape, what an account is shown, when an episode ends."""

import hashlib

import msgspec
import numpy as np
import pytest
from training_builders import NQ, a_ground, some_bars

from trader.domain.actions import actions_in
from trader.kernels import layout, training
from trader.leaks.changes import Change, Future, changed
from trader.training.ground import Ground
from trader.training.rollout import Rollout, follow

CUTS = (3_100, 4_444)
SEES_ONE_AHEAD = layout.LAST
FIELDS = [name for name in training.Tape._fields if name != "bars"]


class Choices:
    """Chooses by what it is shown, as haphazardly as a hash, and keeps a digest of everything that it was shown."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    def __call__(self, obs: np.ndarray, mask: int) -> int:
        digest = hashlib.blake2b(obs.tobytes() + bytes([mask]), digest_size=8).digest()
        self.shown.append(digest)
        valid = actions_in(mask)
        return int(valid[digest[0] % len(valid)])


def followed(ground: Ground) -> tuple[list[bytes], Rollout]:
    """What one account was shown over the whole tape, and what it made of it."""
    choices = Choices()
    rollout = follow(ground, choices)
    return choices.shown, rollout


def altered(future: Future, cut: int) -> Ground:
    """The ground on which every bar after `cut` is another."""
    return a_ground(changed(some_bars(), NQ.tick, Change(cut=cut, future=future, seed=2)))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("future", Future)
def test_tape_of_another_future_is_the_same_up_to_the_cut(future: Future, cut: int) -> None:
    """Prices, times, features, ATR and flags, to the bit; only LAST waits for the next bar."""
    true, other = a_ground(some_bars()).tape, altered(future, cut).tape

    upto = cut + 1
    mine, its = true.bars.bars[:upto].copy(), other.bars.bars[:upto].copy()
    assert np.array_equal(mine[:-1], its[:-1])
    mine[-1, layout.FLAGS] &= ~SEES_ONE_AHEAD
    its[-1, layout.FLAGS] &= ~SEES_ONE_AHEAD
    assert np.array_equal(mine, its)
    for name in FIELDS:
        whole, part = getattr(true.bars, name), getattr(other.bars, name)
        rows = upto * (len(whole) // len(true))
        assert np.array_equal(whole[:rows], part[:rows]), name
    assert np.array_equal(true.fullness[:upto], other.fullness[:upto])
    assert np.array_equal(true.starts[true.starts < cut], other.starts[other.starts < cut])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("future", [future for future in Future if future is not Future.END])
def test_rollout_in_another_future_is_shown_the_same_up_to_the_cut(future: Future, cut: int) -> None:
    """Observations and masks byte for byte, and the trades that were over by then."""
    until, _ = followed(altered(Future.END, cut))
    shown, rollout = followed(a_ground(some_bars()))
    its_shown, its_rollout = followed(altered(future, cut))

    assert len(until) > 100
    assert shown[: len(until)] == its_shown[: len(until)] == until
    over = int((rollout.trades.closed_bar <= cut).sum())
    assert over > 3
    for name in ("opened_bar", "closed_bar", "side", "entry_ticks", "exit_ticks", "pnl_cents", "mae_ticks", "reason"):
        assert np.array_equal(getattr(rollout.trades, name)[:over], getattr(its_rollout.trades, name)[:over]), name


def test_rollout_of_another_past_is_shown_something_else() -> None:
    """The control: the digests do see what changes."""
    shown, _ = followed(a_ground(some_bars()))
    other, _ = followed(altered(Future.MIRROR, 2_000))

    assert shown != other


def test_last_bar_of_a_session_decides_nothing() -> None:
    """LAST is the one flag that looks a bar ahead. It ends episodes; no rollout changes without it."""
    ground = a_ground(some_bars())
    bars = ground.tape.bars.bars.copy()
    assert (bars[:, layout.FLAGS] & layout.LAST).any()
    bars[:, layout.FLAGS] &= ~layout.LAST
    blind = msgspec.structs.replace(
        ground, tape=msgspec.structs.replace(ground.tape, bars=ground.tape.bars._replace(bars=bars))
    )

    shown, rollout = followed(ground)
    its_shown, its_rollout = followed(blind)

    assert shown == its_shown
    assert np.array_equal(rollout.daily_cents, its_rollout.daily_cents)
