"""Which lines of a decision log a reader wants to see."""

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from trader.domain.actions import Action
from trader.domain.decisions import FusionMethod, Rule
from trader.errors import UsageError
from trader.records import Canonical

NEW_YORK = ZoneInfo("America/New_York")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_UTC_CHARS = len("2023-10-23T13:35:00")


class Bound(Struct, frozen=True):
    """An end of a period: a session date, or a moment in UTC (`2023-10-23T13:35:00`); exactly one is set."""

    session: str | None
    utc: str | None

    def compare(self, record: Canonical) -> int:
        """-1, 0 or 1 as the record's session, or its closing time, is before, at or after this bound."""
        if self.session is not None:
            mine, other = record.bar.session, self.session
        else:
            mine, other = record.bar.close_utc[:_UTC_CHARS], self.utc or ""
        return (mine > other) - (mine < other)


class Selection(Struct, frozen=True, kw_only=True):
    """What a record must have to be shown; what is not set is not asked for. Both ends of the period belong to it."""

    since: Bound | None = None
    until: Bound | None = None
    action: Action | None = None
    method: FusionMethod | None = None
    veto: Rule | None = None
    vetoed: bool = False
    with_orders: bool = False
    with_fills: bool = False

    @property
    def is_everything(self) -> bool:
        """Nothing is asked for: lines that are no bars are shown too."""
        return self == _EVERYTHING

    def takes(self, record: Canonical) -> bool:
        """Whether the record has all of it. `action` is the final one, after fusion; `veto` is among those that
        blocked the decision."""
        return (
            (self.since is None or self.since.compare(record) >= 0)
            and (self.until is None or self.until.compare(record) <= 0)
            and (self.action is None or record.fusion.action == self.action.name)
            and (self.method is None or record.fusion.method == self.method.value)
            and (self.veto is None or self.veto.value in record.risk.vetoes)
            and not (self.vetoed and not record.risk.vetoes)
            and not (self.with_orders and not record.orders)
            and not (self.with_fills and not record.fills)
        )


_EVERYTHING = Selection()


def bound(text: str) -> Bound:
    """A date is a session's; a date with a time is New York's clock, unless it states an offset. UsageError else."""
    try:
        if _DATE.fullmatch(text):
            return Bound(date.fromisoformat(text).isoformat(), None)
        moment = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is neither a date nor a time; expected 2023-10-23 or 2023-10-23T09:35 (New York)"
        raise UsageError(msg) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=NEW_YORK)
    return Bound(None, moment.astimezone(UTC).isoformat()[:_UTC_CHARS])


def action_named(text: str) -> Action:
    """The action of this name, in any case; UsageError that suggests the right one."""
    return Action[_known("action", text.upper(), Action.__members__)]


def method_named(text: str) -> FusionMethod:
    """The fusion method of this name, in any case; UsageError that suggests the right one."""
    return FusionMethod(_known("fusion method", text.lower(), [method.value for method in FusionMethod]))


def rule_named(text: str) -> Rule:
    """The risk rule of this name, in any case; UsageError that suggests the right one."""
    return Rule(_known("rule", text.lower(), [rule.value for rule in Rule]))


def _known(what: str, name: str, names: Iterable[str]) -> str:
    known = list(names)
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}"
    msg = f"there is no {what} {name!r}; {hint}"
    raise UsageError(msg)
