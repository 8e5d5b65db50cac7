"""Somebody else's trades, as the line and a person hear of them."""

import pytest
from router_floor import NOW_NS, Floor

from trader.controls import Controls
from trader.domain.alerts import AlertKind
from trader.live.watcher import Watcher


class Told:
    """Alerts, as they came."""

    def __init__(self) -> None:
        self.alerts: list[tuple[AlertKind, str]] = []

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        self.alerts.append((kind, f"{why}: {effect}"))


@pytest.mark.parametrize("pauses", [True, False])
@pytest.mark.parametrize("qty", [1, 0])
def test_a_trade_of_somebody_else_is_told_and_pauses_only_where_it_is_to(pauses: bool, qty: int) -> None:
    """A round trip of which nothing is left counts too."""
    floor, told, controls = Floor(), Told(), Controls()
    watcher = Watcher(floor.router, told, foreign_pauses=pauses)
    watcher.connect(controls)
    watcher.on_foreign(qty, 1_005, NOW_NS)
    assert controls.is_paused is pauses
    ((kind, said),) = told.alerts
    assert kind is AlertKind.FOREIGN_TRADE
    assert ("`trader resume`" in said, "to and fro" in said) == (pauses, qty == 0)
    assert floor.book.position_qty == qty
