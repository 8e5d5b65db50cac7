"""The account's half of the observation: position and validity (220..227) and risk (256..260).

Formulas, clips and neutral values: `trader.observation`. Imports numpy and numba only.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels.indicators import clip, ratio

DAY_BARS = 390.0


@njit(cache=True, error_model="numpy")
def write(
    obs: NDArray[np.float32],
    position_qty: int,
    entry_ticks: float,
    stop_ticks: float,
    target_ticks: float,
    bars_held: int,
    can_enter: bool,
    can_manage: bool,
    trailing: bool,
    close_ticks: float,
    atr_ticks: float,
    unrealized_cents: float,
    initial_risk_cents: float,
    drawdown_cents: float,
    trailing_limit_cents: float,
    streak: int,
    win_rate: float,
    mae_ticks: float,
    mfe_ticks: float,
) -> None:
    """Write the 13 account features of bar `t`, marked at its close.

    `position_qty` is signed; prices are absolute ticks, a stop or target of 0 is none (its distance is the clip bound);
    MAE and MFE are distances, not below 0; `streak` counts losses in a row; `win_rate` is 0.5 without a closed trade.
    """
    obs[225] = 1.0 if can_enter else 0.0
    obs[226] = 1.0 if can_manage else 0.0
    obs[257] = ratio(drawdown_cents, trailing_limit_cents, 0.0, 1.0)
    obs[258] = clip(streak / 5.0, 0.0, 1.0)
    obs[259] = clip(win_rate, 0.0, 1.0)
    if position_qty == 0:
        obs[220] = obs[221] = obs[222] = obs[223] = obs[224] = obs[227] = obs[256] = 0.0
        obs[260] = 0.5
        return
    side = 1.0 if position_qty > 0 else -1.0
    obs[220] = side
    obs[221] = clip(side * (close_ticks - entry_ticks) / atr_ticks, -10.0, 10.0)
    obs[222] = clip(side * (close_ticks - stop_ticks) / atr_ticks, 0.0, 10.0) if stop_ticks != 0.0 else 10.0
    obs[223] = clip(side * (target_ticks - close_ticks) / atr_ticks, 0.0, 20.0) if target_ticks != 0.0 else 20.0
    obs[224] = clip(bars_held / DAY_BARS, 0.0, 1.0)
    obs[227] = 1.0 if trailing else 0.0
    obs[256] = ratio(unrealized_cents, initial_risk_cents, -5.0, 5.0)
    excursion = mae_ticks + mfe_ticks
    obs[260] = clip(mae_ticks / excursion, 0.0, 1.0) if excursion > 0.0 else 0.5
