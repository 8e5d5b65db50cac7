"""From updates of forming bars to closed ones: which bar has closed, when it may be believed, what came afterwards.

Pure: time is an argument. The broker tells the bar that forms again and again; the first update of the next one says
that it has closed. Corrections still come for a moment, which is the grace; then the bar is frozen, and what is told
of it later is counted and nothing else.
"""

from bisect import insort
from collections.abc import Iterable

from msgspec import Struct

from trader.adapters.ib.heard import Heard

REMEMBERED_BARS = 64


class StreamCounts(Struct, kw_only=True):
    """What has happened to bars: `corrections` came within the grace, `revisions` after the freeze.

    `duplicates` said nothing new of a closed bar; `stragglers` came when a later bar had been frozen already.
    """

    corrections: int = 0
    revisions: int = 0
    duplicates: int = 0
    stragglers: int = 0


class _Waiting(Struct, frozen=True):
    """A bar that has closed, and the moment from which it may be believed."""

    bar: Heard
    due_s: float


class BarStream:
    """One contract's bars. `update` each one that is told, `take` those that are frozen, oldest first."""

    def __init__(self, counts: StreamCounts, grace_s: float) -> None:
        self.forming: Heard | None = None
        self._counts = counts
        self._grace_s = grace_s
        self._waiting: list[_Waiting] = []
        self._frozen: dict[int, Heard] = {}
        self._last_ns = 0

    @property
    def due_s(self) -> float | None:
        """When the oldest closed bar may be taken; None while none has closed."""
        return self._waiting[0].due_s if self._waiting else None

    def begin(self, bars: Iterable[Heard], now_s: float) -> None:
        """The list with which a subscription begins: all but its last have closed, and no grace is left to them."""
        for bar in sorted(bars, key=_opened):
            self._tell(bar, now_s, grace_s=0.0)

    def update(self, bar: Heard, now_s: float) -> None:
        """The broker tells of a bar, the forming one or (late) one that has closed."""
        self._tell(bar, now_s, self._grace_s)

    def take(self, now_s: float) -> Heard | None:
        """The oldest closed bar, frozen from now on; None where none may be believed yet."""
        if not self._waiting or self._waiting[0].due_s > now_s:
            return None
        bar = self._waiting.pop(0).bar
        self._last_ns = bar.ts_open_ns
        self._frozen[bar.ts_open_ns] = bar
        if len(self._frozen) > REMEMBERED_BARS:
            del self._frozen[next(iter(self._frozen))]
        return bar

    def close_forming(self, now_s: float) -> None:
        """The forming bar has closed by the clock: the market has, and no other bar will say so."""
        if self.forming is not None:
            self._wait_for(self.forming, now_s)
            self.forming = None

    def _tell(self, bar: Heard, now_s: float, grace_s: float) -> None:
        forming = self.forming
        if forming is not None and bar.ts_open_ns == forming.ts_open_ns:
            self.forming = bar
        elif bar.ts_open_ns <= self._last_ns or any(bar.ts_open_ns == each.bar.ts_open_ns for each in self._waiting):
            self._tell_again(bar)
        elif forming is None or bar.ts_open_ns > forming.ts_open_ns:
            if forming is not None:
                self._wait_for(forming, now_s + grace_s)
            self.forming = bar
        else:
            self._wait_for(bar, now_s + grace_s)

    def _tell_again(self, bar: Heard) -> None:
        """A bar that has closed is told once more."""
        counts = self._counts
        for place, each in enumerate(self._waiting):
            if each.bar.ts_open_ns == bar.ts_open_ns:
                if each.bar == bar:
                    counts.duplicates += 1
                else:
                    counts.corrections += 1
                    self._waiting[place] = _Waiting(bar, each.due_s)
                return
        known = self._frozen.get(bar.ts_open_ns)
        if known is None:
            counts.stragglers += 1
        elif known == bar:
            counts.duplicates += 1
        else:
            counts.revisions += 1

    def _wait_for(self, bar: Heard, due_s: float) -> None:
        insort(self._waiting, _Waiting(bar, due_s), key=lambda each: each.bar.ts_open_ns)


def _opened(bar: Heard) -> int:
    return bar.ts_open_ns
