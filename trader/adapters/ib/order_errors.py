"""What an error about an order means: one table. The client library is not asked: it calls live orders cancelled."""

from enum import StrEnum


class Reaction(StrEnum):
    """What to believe after an error that names an order.

    REFUSED: a new order is not there; where it was known to work, the broker is asked. ASK: the broker is asked before
    anything is believed. NOTE: the order goes on as it was; if it is not heard of in time, the broker is asked.
    """

    REFUSED = "refused"
    ASK = "ask"
    NOTE = "note"


REACTIONS: dict[int, Reaction] = {
    100: Reaction.ASK,  # too many messages: this one was not taken, or was
    103: Reaction.ASK,  # the number is another order's, which goes on
    104: Reaction.ASK,  # it has filled and cannot be changed
    105: Reaction.ASK,  # the change is not of this order
    107: Reaction.REFUSED,  # incomplete
    109: Reaction.REFUSED,  # price out of range
    110: Reaction.REFUSED,  # price off the tick
    113: Reaction.REFUSED,  # time in force
    116: Reaction.REFUSED,  # the exchange does not answer
    133: Reaction.REFUSED,  # a new order could not be submitted
    134: Reaction.ASK,  # a change could not be submitted
    135: Reaction.ASK,  # no such order, or no such parent
    136: Reaction.ASK,  # cannot be cancelled
    161: Reaction.ASK,  # cannot be cancelled any more: it may have filled
    163: Reaction.REFUSED,  # price too far from the market
    200: Reaction.REFUSED,  # no such contract
    201: Reaction.REFUSED,  # rejected: margin, limits, permissions
    202: Reaction.ASK,  # cancelled: the order's own status says so first
    203: Reaction.REFUSED,  # not allowed for this account
    321: Reaction.REFUSED,  # a field is not valid
    329: Reaction.REFUSED,  # the type of an order cannot be changed
    382: Reaction.REFUSED,  # too many ticks away from the market
    383: Reaction.REFUSED,  # above the precautionary size limit
    387: Reaction.REFUSED,  # order type unknown for this contract
    399: Reaction.NOTE,  # a remark, such as: held until the market opens
    404: Reaction.NOTE,  # held
    434: Reaction.REFUSED,  # size
    10006: Reaction.REFUSED,  # the parent is missing
    10147: Reaction.ASK,  # to be cancelled, and not found
    10148: Reaction.ASK,  # to be cancelled, and in no state for it
    10268: Reaction.REFUSED,  # an attribute that is not supported any more
    10349: Reaction.ASK,  # time in force changed by a preset of the application
}
"""By code. A code that is not here is asked about."""

WARNINGS = range(2100, 2200)


def reaction_to(code: int) -> Reaction:
    """What an error about an order means."""
    if code in WARNINGS:
        return Reaction.NOTE
    return REACTIONS.get(code, Reaction.ASK)
