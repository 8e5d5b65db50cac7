"""Training inside the folds of a walk-forward: on the window before, and on nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from evaluation_builders import columns, market, no_progress, settings
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.analysis.evaluation_parts import SplitFacts
from trader.analysis.splits import FoldPlan, Gap
from trader.commands.evaluate_folds import between, session_dates, train_and_test
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError, UsageError
from trader.evaluation.asked import Asked
from trader.evaluation.runs import Market
from trader.evaluation.walk_forward import Walked, WalkPlan

SESSIONS = 15
PLAN = WalkPlan(
    dates=FoldPlan(
        train_sessions=8,
        test_sessions=2,
        folds=1,
        is_anchored=False,
        gap=Gap(purge_sessions=3, embargo_sessions=2),
    ),
    steps=128,
)
TINY = (
    "ppo.envs=8",
    "ppo.rollout_steps=16",
    "ppo.batch_size=64",
    "ppo.epochs=1",
    "network.hidden=[8,8]",
    "normaliser.steps=8",
    "curriculum.new_action_observations=200",
    "curriculum.critic_updates=0",
)


@contextmanager
def quiet(label: str, steps: int) -> Iterator:
    yield no_progress


def trained(bars: BarColumns, *overrides: str, plan: WalkPlan = PLAN) -> Walked:
    """One fold of one seed on `bars`, in a second."""
    asked = Asked(
        market=Market(columns=bars, facts=market().facts),
        settings=settings("advisor.backend=off"),
        split=SplitFacts(relation="unrelated", sentence=""),
        seeds=0,
        skipped_bars=0,
        command="",
        made_utc="",
    )
    return train_and_test(asked, plan, [*TINY, "run.seeds=[1]", *overrides], quiet)


def test_a_fold_trains_on_its_window_and_cannot_see_what_comes_after():
    """With every price after the window another the trained weights are the same to the byte, and the test is not."""
    bars = columns(SESSIONS)
    after = int(np.searchsorted(Calendar.load().session_index(bars.ts_open_ns), _index(bars, 8)))
    shift = np.where(np.arange(len(bars)) < after, 0.0, 250.0 + 50 * np.sin(np.arange(len(bars)) // 7).round())
    altered = replace(
        bars, open=bars.open + shift, high=bars.high + shift, low=bars.low + shift, close=bars.close + shift
    )

    (first,), (other,) = trained(bars).tested[0], trained(altered).tested[0]

    assert first.subject == other.subject
    assert first.train_mean_r == other.train_mean_r
    assert first.test_usd.tolist() != other.test_usd.tolist()
    assert len(first.test_usd) == len(first.test_r) == 2


def test_seeds_are_trained_apart_and_the_record_says_so():
    """Two seeds: two models, their dates, the mode; nothing is left behind."""
    before = set(Path(gettempdir()).glob("walk-forward-*"))
    found = trained(columns(SESSIONS), "run.seeds=[3,4]")

    (fold,) = found.record.folds
    dates = session_dates(columns(SESSIONS), Calendar.load())
    assert (found.record.mode, [seed.candidate for seed in fold.seeds]) == ("train", ["seed 3", "seed 4"])
    assert len({seed.bundle for seed in fold.seeds}) == 2
    assert (fold.train_first, fold.train_last, fold.test_first, fold.test_last) == (
        dates[0],
        dates[7],
        dates[13],
        dates[14],
    )
    assert set(Path(gettempdir()).glob("walk-forward-*")) == before


def test_sessions_are_cut_whole():
    """From the first bar of one to the last of another; nothing of their neighbours."""
    bars, calendar = columns(SESSIONS), Calendar.load()
    dates = session_dates(bars, calendar)

    assert len(dates) == SESSIONS
    assert session_dates(between(bars, calendar, dates[2], dates[4]), calendar) == dates[2:5]
    whole = [between(bars, calendar, date, date) for date in dates]
    assert sum(len(part) for part in whole) == len(bars)


def test_folds_and_keys_that_do_not_fit_are_refused_before_anything_is_trained():
    """The plan's own errors."""
    with pytest.raises(UsageError, match="here are 15"):
        trained(columns(SESSIONS), plan=replace(PLAN, dates=replace(PLAN.dates, folds=2)))
    with pytest.raises(ConfigurationError, match=r"ppo\.gamma"):
        trained(columns(SESSIONS), "ppo.gamma=2")


def _index(bars: BarColumns, place: int) -> int:
    return int(np.unique(Calendar.load().session_index(bars.ts_open_ns))[place])
