"""A policy's figures on bars that it has not seen: one account, session after session, the most probable action."""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from trader.kernels import book as book_kernels
from trader.kernels import training
from trader.policy.tensors import Floats
from trader.training.env import new_fleet
from trader.training.tape import TrainingTape

Choose = Callable[[Floats, int], int]


class Figures(Struct, frozen=True, kw_only=True):
    """Net of costs; R is `risk_cents`. `actions` counts choices by action, forced ones left out."""

    episodes: int
    trades: int
    wins: int
    net_r: float
    accounts: int
    actions: tuple[int, ...]

    @property
    def win_rate(self) -> float:
        """Share of trades that made money; 0 with none."""
        return self.wins / self.trades if self.trades else 0.0


def evaluate(tape: TrainingTape, terms: book_kernels.Terms, risk_cents: int, choose: Choose) -> Figures:
    """Trade every session of `tape` from its first possible bar to its end with `choose(obs, mask) -> action`."""
    fleet = new_fleet(1)
    row = fleet.books[0]
    starts = tape.first_starts
    training.begin(tape.bars, starts[:1], fleet, terms)
    counts = [0] * 6
    wins = accounts = episode = 0
    realized = 0
    while episode < len(starts):
        action = choose(fleet.obs[0], int(fleet.masks[0]))
        counts[action] += 1
        following = starts[min(episode + 1, len(starts) - 1)]
        training.step(tape.bars, np.array([action]), np.array([following]), fleet, terms)
        wins += int(row[book_kernels.REALIZED]) > realized
        realized = int(row[book_kernels.REALIZED])
        if fleet.outcomes[0] != training.RUNNING:
            episode += 1
            accounts += fleet.outcomes[0] == training.TERMINATED
    return Figures(
        episodes=len(starts),
        trades=int(row[book_kernels.TRADES]),
        wins=wins,
        net_r=realized / risk_cents,
        accounts=int(accounts) + 1,
        actions=tuple(counts),
    )
