"""What can be switched while the engine runs: by the operator, by the feed's watch, by reconciliation."""

from trader.domain.decisions import Rule
from trader.risk.rules import RULE_BITS

_PAUSED = "paused"


class Controls:
    """Trading starts disabled, until somebody has compared book and broker.

    `is_catching_up`: bars that nobody saw are booked as they were, and nothing is sent. `is_flattening`: the operator
    wants the position closed, and it is not yet. `entries_allowed`, `standing` (bits of the rules in force) and `state`
    (what a log says of it) follow from the switches.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_flattening = False
        self.is_catching_up = False
        self._withheld: list[str] = []
        self._protects_because = ""
        self.state = ""
        self._raised = {Rule.NOT_RECONCILED}
        self.standing = 0
        self.entries_allowed = False
        self._derive()

    def reconciled(self) -> None:
        """Book and broker agree: entries may begin."""
        self._set(Rule.NOT_RECONCILED, on=False)

    def unreconciled(self) -> None:
        """The broker was away: no entries until book and broker have been compared again."""
        self._set(Rule.NOT_RECONCILED, on=True)

    def kill(self) -> None:
        """No entries until somebody lifts it on purpose."""
        self._set(Rule.KILL_SWITCH, on=True)

    def lift_kill(self) -> None:
        """On purpose."""
        self._set(Rule.KILL_SWITCH, on=False)

    @property
    def is_killed(self) -> bool:
        """The kill switch is in force."""
        return Rule.KILL_SWITCH in self._raised

    def mark_stale(self, *, on: bool) -> None:
        """The feed has gone silent, or speaks again."""
        self._set(Rule.STALE_DATA, on=on)

    def catch_up(self, *, on: bool) -> None:
        """Bars from while nobody was there come now; or they are all booked."""
        self.is_catching_up = on
        self.withhold("catching_up", on=on)

    def pause(self) -> None:
        """No entries until `resume`."""
        self.withhold(_PAUSED, on=True)

    def resume(self) -> None:
        """Lift a pause."""
        self.withhold(_PAUSED, on=False)

    @property
    def is_paused(self) -> bool:
        """The operator has paused, and not resumed."""
        return _PAUSED in self._withheld

    def withhold(self, why: str, *, on: bool) -> None:
        """No entries for this reason, or no longer; `why` is a word for the log."""
        if on and why not in self._withheld:
            self._withheld.append(why)
        elif not on and why in self._withheld:
            self._withheld.remove(why)
        self._derive()

    def protect_only(self, why: str) -> bool:
        """Something is broken: stops are managed, nothing is entered before another start. Whether that is new."""
        is_new = why != self._protects_because
        self._protects_because = why
        self._derive()
        return is_new

    def _set(self, rule: Rule, *, on: bool) -> None:
        if on:
            self._raised.add(rule)
        else:
            self._raised.discard(rule)
        self._derive()

    def _derive(self) -> None:
        self.standing = sum(RULE_BITS[rule] for rule in self._raised)
        reasons = [rule.value for rule in Rule if rule in self._raised]
        reasons += self._withheld
        if self._protects_because:
            reasons.append(f"protect_only: {self._protects_because}")
        self.entries_allowed = not reasons
        self.state = "; ".join(reasons) or "enabled"
