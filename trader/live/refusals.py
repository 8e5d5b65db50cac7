"""Tells of orders that the last gate has not let through: a line each, and a person where it is for the margin."""

import structlog

from trader.domain.alerts import AlertKind
from trader.news import RefusedOrder
from trader.ports import Alerts
from trader.risk.gate import Refusal
from trader.risk.limits import OrderLimits
from trader.risk.margin import UNKNOWN, MarginFigures, MarginPeriod, MarginRule, is_carried

log = structlog.get_logger("trader.orders")


class Refusals:
    """One run's. An alert for the margin comes once, and again only after the figures have carried an entry."""

    def __init__(self, alerts: Alerts, limits: OrderLimits) -> None:
        self._alerts = alerts
        self._limits = limits
        self._figures = UNKNOWN
        self._is_told = False

    def on_figures(self, figures: MarginFigures) -> None:
        """What the order gate goes by from now on."""
        limits = self._limits
        self._figures = figures
        if is_carried(limits.margin, figures, limits.max_order_qty, limits.initial_margin_share):
            self._is_told = False

    def on_refused(self, refused: RefusedOrder) -> None:
        """An order has not left."""
        log.warning("order_refused", order=refused.order.order_ref, why=refused.why.value)
        if refused.why is Refusal.MARGIN and not self._is_told:
            self._is_told = True
            effect = "entries are refused until the broker's figures carry one; stops and targets stay as they are"
            self._alerts.alert(AlertKind.MARGIN, why=self._why(), effect=effect)

    def _why(self) -> str:
        share = f"{self._limits.initial_margin_share:.0%} of what is available may be taken"
        if self._figures == UNKNOWN:
            return "the broker has not said, or not lately, what margin an entry needs"
        parts = [f"by day {_words(self._figures.day)}"]
        if self._limits.margin is MarginRule.OVERNIGHT:
            parts.append(f"overnight {_words(self._figures.overnight)}")
        return f"{'; '.join(parts)}; {share}"


def _words(period: MarginPeriod) -> str:
    return (
        f"a contract needs {_dollars(period.initial_cents)} initial and {_dollars(period.maintenance_cents)}"
        f" maintenance margin, {_dollars(period.available_cents)} are available,"
        f" {_dollars(period.excess_cents)} above the maintenance margin"
    )


def _dollars(cents: int | None) -> str:
    return "an unknown sum" if cents is None else f"{cents / 100:,.2f} $"
