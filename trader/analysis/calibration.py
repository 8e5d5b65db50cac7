"""Whether a confidence means what it says: how often trades won, by the confidence at their entry."""

import numpy as np
from numpy.typing import NDArray

from trader.analysis.drawdowns import Floats
from trader.analysis.evaluation_parts import Bin, Calibration

BINS = 10
TRADES_MIN = 30
"""Fewer trades say nothing about a probability."""


def calibration(confidence: Floats, won: NDArray[np.bool_]) -> Calibration | None:
    """Reliability in ten bins of equal width, and the Brier score; both arrays of shape (trades,).

    `confidence` in 0..1, `won` where the trade came to more than zero. Bins without a trade are left out. The Brier
    score (1950) is the mean of (confidence - won)^2. None below 30 trades.
    """
    count = len(confidence)
    if count < TRADES_MIN:
        return None
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    trades = np.bincount(place, minlength=BINS)
    sure = np.bincount(place, weights=confidence, minlength=BINS)
    wins = np.bincount(place, weights=won, minlength=BINS)
    return Calibration(
        bins=tuple(
            Bin(
                low=at / BINS,
                high=(at + 1) / BINS,
                trades=int(trades[at]),
                mean_confidence=float(sure[at] / trades[at]),
                win_share=float(wins[at] / trades[at]),
            )
            for at in np.flatnonzero(trades).tolist()
        ),
        brier=float(((confidence - won) ** 2).mean()),
        trades=count,
    )
