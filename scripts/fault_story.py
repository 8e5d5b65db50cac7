"""What happens in a scenario, written down as it happens: the daemon's words, the faults, the exchange's ledger."""

import asyncio
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import structlog
from fault_judge import Fired, Span

from trader.domain.alerts import AlertKind
from trader.gateway.faults import Verb
from trader.gateway.ledger import Entry, Event


def now_s() -> float:
    """The loop's virtual clock; 0 outside it."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


class FiredCounter(Counter[Verb]):
    """How often each verb has happened, and when."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Fired] = []

    def __setitem__(self, verb: Verb, count: int) -> None:
        self.log.append(Fired(now_s(), verb))
        super().__setitem__(verb, count)


class Told:
    """The daemon's words in their order, with virtual time: its log, its alerts, its doubts."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []
        self.up: list[Span] = []
        self.doubts: list[Span] = []
        self._up_s: float | None = None
        self._doubt_s: float | None = 0.0

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        """Alerts'."""
        self.note(f"ALERT {kind.value}: {why}; {effect}")

    def note(self, text: str) -> None:
        """Something happened now."""
        self.lines.append((now_s(), text))

    def logged(self, logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        """structlog's processor: keep the line, write nothing."""
        del logger
        if event.get("event") == "link_state":
            self._link(is_up=event.get("state") == "up")
        details = ", ".join(f"{name}={value}" for name, value in event.items() if name != "event")
        self.note(f"{method} {event.get('event')}: {details}")
        raise structlog.DropEvent

    def doubt(self, why: str | None) -> None:
        """The watcher was told so."""
        self.note(f"doubt: {why}")
        if why is None and self._doubt_s is not None:
            self.doubts.append(Span(start_s=self._doubt_s, end_s=now_s()))
            self._doubt_s = None
        elif why is not None and self._doubt_s is None:
            self._doubt_s = now_s()

    def unheard(self) -> None:
        """The gateway hears and says nothing any more, whatever the daemon believes."""
        self._link(is_up=False)

    def paused(self, begun_s: float) -> None:
        """It stood still from then to now: whatever it believed, it heard nothing."""
        self.note(f"PAUSE of {now_s() - begun_s:.1f} s")
        if self._up_s is not None:
            self.up.append(Span(start_s=self._up_s, end_s=begun_s))
            self._up_s = now_s()

    def end(self) -> None:
        """Nothing more."""
        self._link(is_up=False)
        if self._doubt_s is not None:
            self.doubts.append(Span(start_s=self._doubt_s, end_s=now_s()))

    def _link(self, *, is_up: bool) -> None:
        if is_up and self._up_s is None:
            self._up_s = now_s()
        elif not is_up and self._up_s is not None:
            self.up.append(Span(start_s=self._up_s, end_s=now_s()))
            self._up_s = None


def told_of(entry: Entry) -> str:
    """A line of the ledger for a person."""
    if entry.event is Event.LINK:
        return f"EXCHANGE link {'up' if entry.is_up else 'down'}"
    side = "BUY" if entry.side > 0 else "SELL"
    return (
        f"EXCHANGE {entry.event.value} {entry.order_ref or '(human)'} {entry.kind} {side} left {entry.remaining}"
        f" qty {entry.qty} at {entry.price_ticks or entry.stop_ticks} position {entry.position:+d}"
        f" id {entry.order_id} perm {entry.perm_id % 1000} {entry.status}"
    )
