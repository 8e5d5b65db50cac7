"""When silence of the feed means trouble, by the calendar. Pure: time is an argument."""

from trader.adapters.ib.slots import Slots


class Staleness:
    """Stale: the market trades, the link is up, and for a bar and `margin_ns` no update came or no bar began that was
    due. It ends with the next bar that begins. All times in nanoseconds since 1970.

    The clock begins anew at each open, after each halt and with each connection.
    """

    def __init__(self, slots: Slots, margin_ns: int) -> None:
        self.is_stale = False
        self._slots = slots
        self._patience_ns = slots.bar_ns + margin_ns
        self._heard_ns = 0
        self._due_ns = 0
        self._linked_ns: int | None = None

    def linked(self, now_ns: int | None) -> None:
        """The link is up since `now_ns`, or (None) it is not: silence is then the link's trouble."""
        self._linked_ns = now_ns

    def heard(self, now_ns: int) -> None:
        """An update came."""
        self._heard_ns = now_ns

    def began(self, ts_open_ns: int, now_ns: int) -> None:
        """A bar has begun, so the next one is due when it closes."""
        self._heard_ns = now_ns
        self._due_ns = self._slots.next_open_ns(ts_open_ns + self._slots.bar_ns)
        if not self._is_overdue(now_ns):
            self.is_stale = False

    def look(self, now_ns: int) -> bool:
        """Whether decisions must not be made on what has been heard."""
        self.is_stale = self.is_stale or self._is_overdue(now_ns)
        return self.is_stale

    def silence_ns(self, now_ns: int) -> int:
        """For how long something could have been heard, and was not; 0 in closed hours and while the link is down."""
        since_ns = self._since(now_ns)
        return 0 if since_ns is None else max(0, now_ns - max(since_ns, self._heard_ns))

    def _is_overdue(self, now_ns: int) -> bool:
        since_ns = self._since(now_ns)
        if since_ns is None:
            return False
        oldest_ns = min(max(since_ns, self._heard_ns), max(since_ns, self._due_ns))
        return now_ns - oldest_ns > self._patience_ns

    def _since(self, now_ns: int) -> int | None:
        """Since when there could have been bars; None where there cannot be any."""
        start_ns, _ = self._slots.trade(now_ns)
        if self._linked_ns is None or start_ns > now_ns:
            return None
        return max(start_ns, self._linked_ns)
