"""Walk-forward among models that are given: choose on a window, test on the next, and show all of them, never the best.

Every model trades all dates once, through the engine; a window's result is cut from its sessions. Account and drawdown
so run on from window to window, as they would for somebody who trades on.
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
KEYS = ("train", "test", "folds")


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


def parse_plan(text: str, bar_minutes: int) -> FoldPlan:
    """A plan such as `train=120,test=40`, `...,folds=3`, `...,anchored`; UsageError says what it may be."""
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
    return FoldPlan(
        train_sessions=numbers["train"],
        test_sessions=numbers["test"],
        folds=numbers.get("folds"),
        is_anchored=is_anchored,
        gap=gap_for(bar_minutes),
    )


def walk(candidates: Sequence[Candidate], plan: FoldPlan) -> WalkForward:
    """The folds of `plan` over the candidates' sessions; UsageError where they do not fit."""
    folds = tuple(
        fold_of(number, dates, candidates) for number, dates in enumerate(walk_forward(candidates[0].sessions, plan), 1)
    )
    return summed(folds, plan, mode="pick")


def fold_of(number: int, dates: Dates, candidates: Sequence[Candidate]) -> Fold:
    """One fold: the candidate with the best mean daily R in training is picked, the first of equals."""
    trained = [float(one.cut(dates.train)[0].mean()) for one in candidates]
    picked = int(np.argmax(trained))
    seeds = []
    for place, one in enumerate(candidates):
        r, usd = one.cut(dates.test)
        seeds.append(
            FoldSeed(
                candidate=one.name,
                bundle=one.subject,
                seed=one.seed,
                train_mean_r=trained[place],
                test_mean_r=float(r.mean()),
                test_total_usd=round(float(usd.sum()), 2),
                is_picked=place == picked,
            )
        )
    tested = [seed.test_mean_r for seed in seeds if seed.test_mean_r is not None]
    return Fold(
        number=number,
        train_first=dates.train[0],
        train_last=dates.train[-1],
        test_first=dates.test[0],
        test_last=dates.test[-1],
        seeds=tuple(seeds),
        median_r=median(tested),
        low_r=min(tested),
        high_r=max(tested),
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
        f"--walk-forward {text!r} cannot be read; give sessions such as train=120,test=40, and folds=N or anchored "
        "if wanted"
    )
