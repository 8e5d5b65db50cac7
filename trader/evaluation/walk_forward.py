"""Walk-forward: choose on a window, test on the next, and show all candidates, never the best alone.

Candidates are models that are given: each trades all dates once, through the engine, and a window's result is cut from
its sessions, so that account and drawdown run on from window to window, as they would for somebody who trades on. Or
they are trained in each fold (`trader.commands.evaluate_folds`), on the window before.
"""

from collections.abc import Sequence
from statistics import median

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.analysis.evaluation_parts import Fold, FoldSeed, WalkForward
from trader.analysis.splits import Fold as Dates
from trader.analysis.splits import FoldPlan, gap_for, walk_forward
from trader.errors import UsageError

Floats = NDArray[np.float64]
KEYS = ("train", "test", "folds", "steps")


class WalkPlan(Struct, frozen=True, kw_only=True):
    """How the dates are cut, and how many steps of each phase are trained in a fold; None where models are given."""

    dates: FoldPlan
    steps: int | None


class Tested(Struct, frozen=True, kw_only=True, eq=False):
    """A candidate in one fold: mean daily R where it was chosen, R and dollars of each session of the test.

    `subject` is a model's SHA-256, or a strategy's name with the beginning of its source's.
    """

    name: str
    subject: str
    seed: int | None
    train_mean_r: float
    test_r: Floats
    test_usd: Floats


class Walked(Struct, frozen=True, kw_only=True, eq=False):
    """A walk-forward, and what was tested in each of its folds."""

    record: WalkForward
    tested: tuple[tuple[Tested, ...], ...]


class Candidate(Struct, frozen=True, kw_only=True, eq=False):
    """A model and what it made of each session, shape (sessions,). `subject` is its SHA-256 or its strategy's name."""

    name: str
    subject: str
    seed: int | None
    sessions: tuple[str, ...]
    daily_r: Floats
    daily_usd: Floats

    def cut(self, dates: Sequence[str]) -> tuple[Floats, Floats]:
        """R and dollars of the sessions of `dates`, which follow each other."""
        first = self.sessions.index(dates[0])
        part = slice(first, first + len(dates))
        return self.daily_r[part], self.daily_usd[part]


def parse_plan(text: str, bar_minutes: int) -> WalkPlan:
    """A plan such as `train=120,test=40`, with `folds=3`, `anchored` or `steps=50000`; UsageError says what it may
    be."""
    numbers: dict[str, int] = {}
    is_anchored = False
    for word in text.split(","):
        key, _, value = word.strip().partition("=")
        if key == "anchored" and not value:
            is_anchored = True
        elif key in KEYS and value.isdecimal() and int(value) > 0 and key not in numbers:
            numbers[key] = int(value)
        else:
            raise _unreadable(text)
    if not {"train", "test"} <= numbers.keys():
        raise _unreadable(text)
    dates = FoldPlan(
        train_sessions=numbers["train"],
        test_sessions=numbers["test"],
        folds=numbers.get("folds"),
        is_anchored=is_anchored,
        gap=gap_for(bar_minutes),
    )
    return WalkPlan(dates=dates, steps=numbers.get("steps"))


def walk(candidates: Sequence[Candidate], plan: FoldPlan) -> Walked:
    """The folds of `plan` over the candidates' sessions; UsageError where they do not fit."""
    folds = walk_forward(candidates[0].sessions, plan)
    return walked(folds, tuple(tuple(_tested(one, dates) for one in candidates) for dates in folds), plan, mode="pick")


def walked(folds: Sequence[Dates], tested: tuple[tuple[Tested, ...], ...], plan: FoldPlan, *, mode: str) -> Walked:
    """What was tested in each of `folds`, and what it comes to."""
    made = tuple(
        fold_of(number, dates, candidates)
        for number, (dates, candidates) in enumerate(zip(folds, tested, strict=True), 1)
    )
    return Walked(record=summed(made, plan, mode=mode), tested=tested)


def _tested(one: Candidate, dates: Dates) -> Tested:
    r, usd = one.cut(dates.test)
    train_r = float(one.cut(dates.train)[0].mean())
    return Tested(name=one.name, subject=one.subject, seed=one.seed, train_mean_r=train_r, test_r=r, test_usd=usd)


def fold_of(number: int, dates: Dates, candidates: Sequence[Tested]) -> Fold:
    """One fold: the candidate with the best mean daily R in training is picked, the first of equals."""
    picked = int(np.argmax([one.train_mean_r for one in candidates]))
    means = [float(one.test_r.mean()) for one in candidates]
    return Fold(
        number=number,
        train_first=dates.train[0],
        train_last=dates.train[-1],
        test_first=dates.test[0],
        test_last=dates.test[-1],
        seeds=tuple(
            FoldSeed(
                candidate=one.name,
                bundle=one.subject,
                seed=one.seed,
                train_mean_r=one.train_mean_r,
                test_mean_r=means[place],
                test_total_usd=round(float(one.test_usd.sum()), 2),
                is_picked=place == picked,
            )
            for place, one in enumerate(candidates)
        ),
        median_r=median(means),
        low_r=min(means),
        high_r=max(means),
    )


def summed(folds: tuple[Fold, ...], plan: FoldPlan, *, mode: str) -> WalkForward:
    """The folds and what they come to: the median of their medians, with the whole spread."""
    medians = [fold.median_r for fold in folds if fold.median_r is not None]
    lows = [fold.low_r for fold in folds if fold.low_r is not None]
    highs = [fold.high_r for fold in folds if fold.high_r is not None]
    picked = [
        seed.test_mean_r for fold in folds for seed in fold.seeds if seed.is_picked and seed.test_mean_r is not None
    ]
    middle = median(medians)
    many = len(folds[0].seeds)
    sentence = (
        f"median {middle:+.3f} R a session over {len(folds)} test windows and {many} model{'' if many == 1 else 's'} "
        f"(from {min(lows):+.3f} to {max(highs):+.3f})"
    )
    if many > 1:
        sentence += f"; the one picked on the window before: {median(picked):+.3f} R in the median"
    return WalkForward(
        mode=mode,
        train_sessions=plan.train_sessions,
        test_sessions=plan.test_sessions,
        purge_sessions=plan.gap.sessions,
        folds=folds,
        median_r=middle,
        low_r=min(lows),
        high_r=max(highs),
        sentence=f"{sentence}.",
    )


def _unreadable(text: str) -> UsageError:
    return UsageError(
        f"--walk-forward {text!r} cannot be read; give sessions such as train=120,test=40, with folds=N, "
        "anchored, or steps=N to train in each fold"
    )
