"""What is known when a bar has closed: the one argument of a strategy, the first half of a record."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.account import AccountView
from trader.domain.bars import Bar
from trader.domain.sessions import Session


class Reading(Struct, frozen=True, gc=False):
    """The indicators in the units that a person reads, rounded to 1e-6: points, percent scale, fractions."""

    adx: float
    rsi: float
    atr: float
    vwap: float
    vwap_distance: float
    momentum: float
    sma_20: float
    sma_50: float
    regime: int


class Outlook(Struct, frozen=True, gc=False):
    """Everything that a strategy may use at the close of bar `t`.

    `obs` is the float32 vector of 261 (see `trader.observation`), read-only, overwritten by the next bar: copy what you
    keep.
    `mask` has bit i set where Action(i) is valid. `ready` says that every feature in use has its full window.
    """

    bar: Bar
    session: Session
    obs: NDArray[np.float32]
    reading: Reading
    mask: int
    ready: bool
    account: AccountView
