"""Entries at random bars, as many in each class of bars and on each side as are wanted: the luck that skill must beat.

One pass over all bars by the training's kernels: selection sampling (Knuth, vol. 2, algorithm S) of bars of which not
all turn out to be free. At a bar at which an entry may be made, one is made with probability h w / (n s): w entries of
its class are still wanted, n of its bars are left, s is the share of its bars so far at which an entry could have been
made, and h is a little haste. So entries are spread over the bars, and come to the wanted number and never above it,
whatever positions and vetoes stand in the way, where there is room. Nothing looks ahead but the number of bars left.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels import account_bar, book, layout, rules, training

_SURE_BARS = 10.0
"""Bars that are taken to have been free for an entry before the first is seen."""
_HASTE = 1.3
"""So much sooner than evenly, as bars that are free now may not be later: there are fewer entries towards the end."""
_LATE_SHARE = 0.02
"""The last bars of a class are kept for what is unmade when they come."""


@njit(cache=True, error_model="numpy")
def run_matched(
    world: training.World,
    fleet: training.Fleet,
    classes: NDArray[np.int64],
    left: NDArray[np.int64],
    remaining: NDArray[np.int64],
    luck: NDArray[np.float32],
    manage_rates: NDArray[np.float64],
    wanted: NDArray[np.int8],
) -> None:
    """Send account 0 through all bars and write the side of each entry into `wanted` [T] (1, -1, 0 none).

    `classes` [T] are places in `remaining` [C, 2], the long and short entries still to be made (counted down), -1 where
    entries are closed; `left` [T] counts the bars of its class from a bar on. `luck` [T, 3] are uniform numbers: enter,
    which side, manage. `manage_rates` as in `run_planned`. Only `wanted` is the result: at the end of the bars an open
    position stays open.
    """
    training.open_accounts(world, fleet)
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[0], fleet.memories[0], fleet.plans[0], fleet.trades[0]
    total = np.zeros(len(remaining))
    for t in range(len(classes)):
        if classes[t] >= 0:
            total[classes[t]] = max(total[classes[t]], left[t])
    free = np.full(len(remaining), _SURE_BARS)
    while True:
        t = account_bar.next_bar(bars, limits, row, memory, plan, layout.FIRST)
        if t >= len(bars):
            return
        account_bar.take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        mask = plan[layout.MASK]
        place = classes[t]
        if mask & book.BUY_BIT and place >= 0:
            longs, shorts = remaining[place, 0], remaining[place, 1]
            is_long = luck[t, 1] * (longs + shorts) < longs
            action = layout.BUY if is_long else layout.SELL
            if row[book.WORKING] == 0 and not rules.vetoes(limits, plan[layout.ACTIVE], action):
                free[place] += 1
                passed = total[place] - left[t] + 1 + _SURE_BARS
                ahead = max(left[t] - _LATE_SHARE * total[place], 1.0)
                if luck[t, 0] * ahead * free[place] < _HASTE * (longs + shorts) * passed:
                    account_bar.act(bars, atrs[t], terms, limits, row, plan, action)
                    wanted[t] = 1 if is_long else -1
                    remaining[place, 0 if is_long else 1] -= 1
        elif mask != book.HOLD_BIT:
            account_bar.manage(bars, atrs[t], terms, limits, row, plan, luck[t, 2], manage_rates)
