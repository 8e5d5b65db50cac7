"""Whether the account carries an entry: the broker's own figures, for now and for the night. Pure."""

from enum import StrEnum

from msgspec import Struct


class MarginRule(StrEnum):
    """What must carry an entry: nothing (a simulated account has no margin), the day's margin, or the night's too."""

    NOT_ASKED = "not_asked"
    DAY = "day"
    OVERNIGHT = "overnight"


class MarginPeriod(Struct, frozen=True, kw_only=True):
    """Of one period: funds free for new positions, equity above the maintenance margin, and what one contract needs.

    Whole cents; None where the broker has not said.
    """

    available_cents: int | None
    excess_cents: int | None
    initial_cents: int | None
    maintenance_cents: int | None


UNTOLD = MarginPeriod(available_cents=None, excess_cents=None, initial_cents=None, maintenance_cents=None)


class MarginFigures(Struct, frozen=True, kw_only=True):
    """What is in force now (`day`), and what will be from the broker's next change on (`overnight`)."""

    day: MarginPeriod
    overnight: MarginPeriod


UNKNOWN = MarginFigures(day=UNTOLD, overnight=UNTOLD)


def is_carried(rule: MarginRule, figures: MarginFigures, qty: int, initial_share: float) -> bool:
    """Whether an entry of `qty` takes no more than `initial_share` of the available funds and leaves maintenance paid.

    A figure that is not known carries nothing.
    """
    match rule:
        case MarginRule.NOT_ASKED:
            return True
        case MarginRule.DAY:
            return _carries(figures.day, qty, initial_share)
        case MarginRule.OVERNIGHT:
            return all(_carries(period, qty, initial_share) for period in (figures.day, figures.overnight))


def _carries(period: MarginPeriod, qty: int, initial_share: float) -> bool:
    available_cents, initial_cents = period.available_cents, period.initial_cents
    excess_cents, maintenance_cents = period.excess_cents, period.maintenance_cents
    if available_cents is None or initial_cents is None or excess_cents is None or maintenance_cents is None:
        return False
    if initial_cents <= 0 or maintenance_cents <= 0:
        return False  # no contract is held for nothing: the figure has not come
    return qty * initial_cents <= initial_share * available_cents and qty * maintenance_cents <= excess_cents
