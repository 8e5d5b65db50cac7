"""What entries that did not happen would have made: each with its plain bracket, on its own, no rule in force."""

from collections.abc import Sequence

import numpy as np

from trader.evaluation.attribution import WouldBe
from trader.evaluation.witness import Blocked
from trader.training.ground import Ground
from trader.training.rollout import shadow_trades


def would_be(ground: Ground, blocked: Sequence[Blocked]) -> WouldBe:
    """Dollars and R of each blocked entry, one contract, by deciding bar and side; those never filled are left out."""
    bars = np.array([one.cause.seq for one in blocked], dtype=np.int64)
    sides = np.array([int(one.side) for one in blocked], dtype=np.int64)
    made = shadow_trades(ground, bars, sides)
    return {
        (one.cause.seq, one.side): (pnl_cents / 100, pnl_cents / risk_cents)
        for one, pnl_cents, risk_cents in zip(blocked, made.pnl_cents.tolist(), made.risk_cents.tolist(), strict=True)
        if risk_cents > 0
    }
