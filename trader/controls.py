"""What can be switched while the engine runs: by the operator, by the feed's watch, by reconciliation."""

from trader.domain.decisions import Rule
from trader.risk.rules import RULE_BITS


class Controls:
    """Trading starts disabled: `is_reconciled` is False until somebody has compared book and broker.

    `entries_allowed` and `standing` (bits of the rules in force) follow from the switches.
    """

    def __init__(self) -> None:
        self.is_stopping = False
        self._is_paused = False
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

    def mark_stale(self, *, on: bool) -> None:
        """The feed has gone silent, or speaks again."""
        self._set(Rule.STALE_DATA, on=on)

    def pause(self) -> None:
        """No entries until `resume`."""
        self._is_paused = True
        self._derive()

    def resume(self) -> None:
        """Lift a pause."""
        self._is_paused = False
        self._derive()

    def _set(self, rule: Rule, *, on: bool) -> None:
        if on:
            self._raised.add(rule)
        else:
            self._raised.discard(rule)
        self._derive()

    def _derive(self) -> None:
        self.standing = sum(RULE_BITS[rule] for rule in self._raised)
        self.entries_allowed = not (self._raised or self._is_paused)
