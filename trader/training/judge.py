"""What a policy is worth on dates that it has not learned from: one account, the most probable action, no advisor."""

import numpy as np

from trader.observation import FULL_SIZE
from trader.policy.network import Network
from trader.training.ground import Ground
from trader.training.phases import Validation
from trader.training.rollout import follow


def validate(network: Network, ground: Ground, *, actions: int, steps: int) -> Validation:
    """Trade every session of `ground` once; `steps` is how long the policy had learned.

    A session counts from the first at which an entry was possible: before that the features are not ready.
    """
    full = network.inputs == FULL_SIZE
    found = follow(ground, lambda obs, mask: network.choose(obs, mask)[0], full=full, actions=(1 << actions) - 1)
    tape = ground.tape.for_inputs(full=full)
    sessions = len(tape.session_dates) - int(tape.session_of[tape.first_starts[0]])
    trades = len(found.trades)
    return Validation(
        steps=steps,
        daily_net_r=float(found.daily_r.sum()) / sessions,
        net_r=float(found.daily_r.sum()),
        trades=trades,
        win_rate=float(np.mean(found.trades.pnl_cents > 0)) if trades else 0.0,
        sessions=sessions,
    )
