"""The six actions, their mask, and the two sides of an order."""

from enum import IntEnum

ACTION_COUNT = 6


class Action(IntEnum):
    """What a strategy, the advisor or the fusion may choose; the index is the policy's output."""

    HOLD = 0
    BUY = 1
    SELL = 2
    MOVE_TO_BE = 3
    ENABLE_TRAIL = 4
    DISABLE_TRAIL = 5


ACTIONS: tuple[Action, ...] = tuple(Action)

# A mask is an int of six bits, bit i for Action(i). Plain ints: enum arithmetic costs ten times as much.
HOLD_ONLY = 1 << Action.HOLD
ENTRY_BITS = 1 << Action.BUY | 1 << Action.SELL


def actions_in(mask: int) -> tuple[Action, ...]:
    """The actions that `mask` allows, by index."""
    return tuple(action for action in ACTIONS if mask >> action & 1)


class Side(IntEnum):
    """The sign of a fill's effect on the position."""

    BUY = 1
    SELL = -1
