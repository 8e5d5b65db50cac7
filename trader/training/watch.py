"""Stops a training that has gone wrong: a number that is not finite, or a policy that does one thing only."""

import math

import torch

from trader.domain.actions import Action
from trader.errors import TrainingStoppedError
from trader.training.learner import Update
from trader.training.plan import WatchPlan
from trader.training.ppo import BatchedPPO


class Watch:
    """Looks at every update. `one_sided_since` is the update from which one action has had nearly everything.

    Only choices that allow an entry are judged: leaving a position alone is no collapse.
    """

    def __init__(self, plan: WatchPlan) -> None:
        self._plan = plan
        self.action: int | None = None
        self.one_sided_since = 0

    def look(self, update: Update, model: BatchedPPO) -> None:
        """TrainingStoppedError, with what, since when, why and what to change, if `update` is one too many."""
        broken = [name for name, value in update.losses.items() if not math.isfinite(value)]
        broken += [name for name, tensor in model.policy.state_dict().items() if not torch.isfinite(tensor).all()]
        if broken:
            raise TrainingStoppedError(_not_finite(update, broken))
        self._look_at_choices(update)

    def _look_at_choices(self, update: Update) -> None:
        share = max(update.entry_shares)
        action = update.entry_shares.index(share)
        if share <= self._plan.collapse_share:
            self.action = None
        elif self.action != action:
            self.action, self.one_sided_since = action, update.number
        elif update.number - self.one_sided_since + 1 >= self._plan.collapse_updates:
            raise TrainingStoppedError(_collapsed(update, Action(action), share, self.one_sided_since))


def _not_finite(update: Update, broken: list[str]) -> str:
    return (
        f"update {update.number} ({update.steps:,} steps): not finite: {', '.join(broken[:4])}. "
        "Likely a learning rate that is too high, or a gradient that is not cut: lower ppo.learning_rate or "
        "ppo.max_grad_norm and train again. The last good snapshot and bundle are kept"
    )


def _collapsed(update: Update, action: Action, share: float, since: int) -> str:
    why = (
        "the costs of every trade outweigh what the policy has found in these bars"
        if action is Action.HOLD
        else "it found one side of the market and stopped looking"
    )
    return (
        f"update {update.number} ({update.steps:,} steps): {action.name} has {share:.1%} of the choices that allow an "
        f"entry, and has had nearly all of them since update {since}: the policy has collapsed. Likely {why}, or "
        "exploration ended too early: raise ppo.entropy_start or ppo.entropy_end, lower ppo.learning_rate, or allow it "
        "with watch.collapse_share: 1. The last good snapshot and bundle are kept"
    )
