"""Which of the bars that were told are believed, and what has become of the others."""

from trader.adapters.ib.bar_stream import StreamCounts
from trader.adapters.ib.heard import Heard, flaw_of
from trader.adapters.ib.slots import Slots
from trader.domain.alerts import AlertKind
from trader.domain.instruments import Instrument
from trader.ports import Alerts


class FeedCounts(StreamCounts, kw_only=True):
    """More of it: `closed_hours` and `refused` (a flaw) were dropped, `filled` came by a request for a gap, `missing`
    are bars of the calendar that the broker has not, `repeated` are older than what was handed out.
    """

    closed_hours: int = 0
    refused: int = 0
    filled: int = 0
    missing: int = 0
    repeated: int = 0


class BarSieve:
    """Counts what it holds back; a person is told of a flaw."""

    def __init__(self, slots: Slots, market: Instrument, counts: FeedCounts, alerts: Alerts) -> None:
        self._slots = slots
        self._market = market
        self._counts = counts
        self._alerts = alerts

    def passes(self, bar: Heard, last_close_ns: int) -> bool:
        """Whether a closed bar is one to hand out after the last one."""
        counts = self._counts
        if bar.ts_open_ns < last_close_ns:
            counts.repeated += 1
            return False
        if not self._slots.is_open(bar.ts_open_ns):
            counts.closed_hours += 1
            return False
        flaw = flaw_of(bar, self._market, self._slots.bar_ns)
        if flaw is None:
            return True
        counts.refused += 1
        self._alerts.alert(
            AlertKind.STALE_BARS, why=f"a bar that is not believed: {flaw}", effect="the broker is asked for it again"
        )
        return False
