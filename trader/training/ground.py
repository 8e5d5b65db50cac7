"""What an environment or a rollout runs on: bars, terms of trade, limits of the review. Imports no torch."""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader import assembly
from trader.adapters.columns import BarColumns
from trader.domain.actions import ACTION_COUNT
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.kernels import book, layout, rules, training
from trader.kernels.training import Scaling
from trader.observation import FULL_SIZE
from trader.settings import Settings
from trader.training.tape import TrainingTape, make_tape

ALL_ACTIONS = (1 << ACTION_COUNT) - 1
CLIP_NONE = 1e9


class Ground(Struct, frozen=True, eq=False):
    """One market's history under one configuration."""

    tape: TrainingTape
    terms: book.Terms
    limits: rules.Limits

    def world(self, scaling: Scaling, *, full: bool, actions: int = ALL_ACTIONS) -> training.World:
        """As the kernels take it, for a policy that sees by `scaling` and knows the actions of the bits `actions`.

        It may enter where the full vector is ready, or with `full` False where the base vector is.
        """
        return training.World(
            tape=self.tape.for_inputs(full=full).bars,
            terms=self.terms,
            limits=self.limits,
            scaling=scaling,
            actions=actions,
        )


def prepare_ground(settings: Settings, columns: BarColumns, calendar: Calendar, market: Instrument) -> Ground:
    """Features once, and the terms and limits of `settings`; InputError where the bars cannot be traded."""
    return Ground(
        make_tape(columns, calendar, assembly.window(settings), market),
        assembly.terms_of_trade(settings, market).as_row(market),
        assembly.reviewer(settings, market).limits,
    )


def unscaled(inputs: int = FULL_SIZE) -> Scaling:
    """Observations as they are, their first `inputs` values."""
    return Scaling(np.zeros(inputs, dtype=np.float32), np.ones(inputs, dtype=np.float32), CLIP_NONE)


def scaling_of(
    mean: NDArray[np.floating[Any]], variance: NDArray[np.floating[Any]], clip: float, epsilon: float
) -> Scaling:
    """The frozen normaliser of a policy: clip((obs - mean) / sqrt(variance + epsilon), +-clip), in float32."""
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + epsilon)
    return Scaling(mean.astype(np.float32), scale.astype(np.float32), clip)


def new_fleet(ground: Ground, count: int, inputs: int = FULL_SIZE, *, trades: int = 0) -> training.Fleet:
    """Room for `count` accounts that see `inputs` values, and for `trades` round trips of each."""
    memory = rules.WINDOW + int(ground.limits[rules.WIN_RATE_WINDOW])
    return training.Fleet(
        books=np.zeros((count, book.SIZE), dtype=np.int64),
        memories=np.zeros((count, memory), dtype=np.int64),
        plans=np.zeros((count, layout.PLAN_SIZE), dtype=np.int64),
        own=np.zeros((count, FULL_SIZE), dtype=np.float32),
        seen=np.zeros((count, inputs), dtype=np.float32),
        end_seen=np.zeros((count, inputs), dtype=np.float32),
        rewards=np.zeros((count, training.REWARD_TERMS)),
        outcomes=np.zeros(count, dtype=np.int64),
        episode_rewards=np.zeros((count, training.REWARD_TERMS)),
        episode_steps=np.zeros(count, dtype=np.int64),
        trades=np.zeros((count, trades, layout.TRADE_SIZE), dtype=np.int64),
    )
