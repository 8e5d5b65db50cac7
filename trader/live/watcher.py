"""Listens to a real broker for the engine: fills to the router, doubt to the switches, trouble to a person."""

from collections.abc import Callable

from trader.controls import Controls
from trader.domain.alerts import AlertKind
from trader.domain.orders import ExitReason, Fill, Unfilled
from trader.ports import Alerts
from trader.router import Router

_PAUSED = "no entries until `trader resume`"
_NO_ENTRIES = "no entries; stops and targets stay as they are"


class Watcher:
    """One broker's listener. `on_change` is called after everything that changes what has to survive a crash.

    `doubt` may add to a fill what the broker does not say of it, before it is booked. `foreign_pauses`: after a trade
    of somebody else nothing is entered before `trader resume`.
    """

    def __init__(self, router: Router, alerts: Alerts, *, foreign_pauses: bool) -> None:
        self._router = router
        self._controls = Controls()
        self._alerts = alerts
        self._foreign_pauses = foreign_pauses
        self._doubt: str | None = ""
        self.on_change: Callable[[], None] = _nothing
        self.doubt: Callable[[Fill], Fill] = _as_told

    def connect(self, controls: Controls) -> None:
        """Name the switches of the engine; before the first connection."""
        self._controls = controls

    def on_fill(self, fill: Fill) -> None:
        """An execution of ours."""
        self._router.on_fill(self.doubt(fill))
        self.on_change()

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """An order of ours has ended without (more of) a fill."""
        self._router.on_unfilled(order_ref, outcome)
        self.on_change()

    def on_fee(self, order_ref: str, cents: int) -> None:
        """An execution cost so much more than was booked."""
        self._router.on_fee(order_ref, cents)
        self.on_change()

    def on_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> None:
        """Somebody else has traded on this account: what is open now is ours to protect. 0: and nothing is left."""
        self._router.on_foreign(signed_qty, price_ticks, ts_ns)
        self._alerts.alert(
            AlertKind.FOREIGN_TRADE,
            why=f"{_traded(signed_qty)} on this account by somebody else",
            effect="the position that is there now is protected; "
            + (_PAUSED if self._foreign_pauses else "trading goes on"),
        )
        if self._foreign_pauses:
            self._controls.pause()
        self.on_change()

    def on_naked(self, why: str) -> None:
        """A position without a stop: close it, whoever has opened it."""
        self._router.flatten(ExitReason.UNPROTECTED, is_naked=True)
        effect = "the position is closed at the market" if self._router.closing else "it is looked at again at once"
        self._alerts.alert(AlertKind.UNPROTECTED, why=why, effect=effect)
        self._router.release()
        self.on_change()

    def on_doubt(self, why: str | None) -> None:
        """What the broker has is not certain; None: it is again, and book and broker agree."""
        if why is None:
            self._controls.reconciled()
        else:
            self._controls.unreconciled()
        if why and why != self._doubt:
            self._alerts.alert(AlertKind.IN_DOUBT, why=why, effect=_NO_ENTRIES)
        self._doubt = why

    def on_out_of_step(self) -> None:
        """The broker is away, or asked for everything: nobody is called for that, the link has its own alerts."""
        self._controls.unreconciled()

    def on_broken(self, why: str) -> None:
        """An order has been in doubt for too long."""
        self._controls.protect_only(why)
        self._alerts.alert(AlertKind.PROTECT_ONLY, why=why, effect=f"{_NO_ENTRIES}, until somebody starts again")


def _traded(signed_qty: int) -> str:
    return f"{signed_qty:+d} contracts were traded" if signed_qty else "contracts were traded to and fro"


def _as_told(fill: Fill) -> Fill:
    return fill


def _nothing() -> None:
    """Nobody keeps anything."""
