"""The kinds of value that a key may take, each read strictly and written back as it was. May import domain."""

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator

from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.domain.instruments import INSTRUMENTS

_BLOCKABLE = {action.name: action for action in (Action.BUY, Action.SELL, Action.ENABLE_TRAIL)}


def _usd(value: object) -> Decimal:
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    amount = Decimal(str(value)) if is_number else Decimal("nan")
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2:
        msg = "must be an amount in USD with at most two decimals, such as 2500 or 2.25"
        raise ValueError(msg)
    return amount


def _time_of_day(value: object) -> time:
    if isinstance(value, time):
        return value
    digits = value.split(":") if isinstance(value, str) else []
    if len(digits) == 2 and all(len(part) == 2 and part.isdecimal() and part.isascii() for part in digits):
        hour, minute = map(int, digits)
        if hour < 24 and minute < 60:
            return time(hour, minute)
    msg = "must be a time of day in New York such as 09:35"
    raise ValueError(msg)


def day(value: object) -> date | None:
    """A calendar day out of YYYY-MM-DD; None stays None."""
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        msg = "must be a day such as 2023-10-01, in quotes, or null"
        raise ValueError(msg) from None


def _known_market(value: str) -> str:
    if value not in INSTRUMENTS:
        msg = f"must be one of {', '.join(INSTRUMENTS)}"
        raise ValueError(msg)
    return value


def _known_device(value: str) -> str:
    if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]{1,2})?", value):
        msg = "must be auto, cpu, mps, cuda or cuda:N"
        raise ValueError(msg)
    return value


def _option(value: object) -> object:
    if isinstance(value, list | dict):
        msg = "must be a single value, not a list or a section"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports a ValueError and lets a TypeError through
    return value


def _veto_actions(value: object) -> object:
    if value in ("shipped", "documented"):
        return value
    if not isinstance(value, dict):
        msg = "must be shipped, documented, or actions by rule such as {cooldown: [BUY, SELL]}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports a ValueError and lets a TypeError through
    return {_rule(name): _blocked(name, actions) for name, actions in value.items()}


def _rule(name: object) -> Rule:
    # invalid_now blocks whatever the mask forbids: it has no list of actions to choose.
    choices = {str(rule): rule for rule in Rule if rule is not Rule.INVALID_NOW}
    if str(name) not in choices:
        msg = f"{name!r} is no rule that blocks chosen actions; one of: {', '.join(choices)}"
        raise ValueError(msg)
    return choices[str(name)]


def _blocked(name: object, actions: object) -> tuple[Action, ...]:
    names = [_action_name(action) for action in actions] if isinstance(actions, list | tuple) else [""]
    if not set(names) <= _BLOCKABLE.keys() or len(set(names)) < len(names):
        msg = f"{name}: a rule blocks a list out of {', '.join(_BLOCKABLE)}; what lowers risk is never blocked"
        raise ValueError(msg)
    return tuple(_BLOCKABLE[action] for action in names)


def _action_name(action: object) -> str:
    return action.name if isinstance(action, Action) else str(action)


def _veto_names(value: str | Mapping[Rule, tuple[Action, ...]]) -> object:
    if isinstance(value, str):
        return value
    return {str(rule): [action.name for action in actions] for rule, actions in value.items()}


def cents(amount: Decimal) -> int:
    """An amount in USD, of at most two decimals, as whole cents."""
    return int(amount * 100)


Market = Annotated[str, AfterValidator(_known_market)]
Device = Annotated[str, AfterValidator(_known_device)]
Usd = Annotated[
    Decimal, BeforeValidator(_usd), Field(ge=0, le=1_000_000_000), PlainSerializer(float, float, when_used="json")
]
UsdAboveZero = Annotated[Usd, Field(gt=0)]
TimeOfDay = Annotated[
    time, BeforeValidator(_time_of_day), PlainSerializer(lambda at: f"{at:%H:%M}", str, when_used="json")
]
Share = Annotated[float, Field(ge=0, le=1)]
Option = Annotated[str | int | float | bool | None, PlainValidator(_option)]
VetoActions = Annotated[
    str | Mapping[Rule, tuple[Action, ...]],
    PlainValidator(_veto_actions),
    PlainSerializer(_veto_names, when_used="json"),
]
