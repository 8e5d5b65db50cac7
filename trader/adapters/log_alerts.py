"""Alerts as lines of the operational log: what watches the log does the rest."""

import structlog

from trader.domain.alerts import AlertKind

log = structlog.get_logger("trader.alerts")


class LogAlerts:
    """One line an alert, at level error, named by its kind."""

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        """Write the line."""
        log.error(kind.value, why=why, effect=effect)
