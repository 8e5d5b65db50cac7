"""The `x` of a live line: what a clock and a process know, outside everything that is compared."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from trader.chain import extra

NS_PER_US = 1_000


class LiveStamp:
    """Stamps each line with wall time and with the microseconds from the bar's arrival to its decision."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.run_id = f"{_utc(time.time_ns()):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self._received_ns = 0
        self.is_caught_up: Callable[[], bool] = _never
        """Whether the bar is one of those that came while nobody was there."""

    def received(self) -> None:
        """A bar has arrived."""
        self._received_ns = time.perf_counter_ns()

    def __call__(self) -> bytes:
        """The encoded `x` of a line written now."""
        fields: dict[str, object] = {
            "mode": self.mode,
            "run_id": self.run_id,
            "wall_utc": _utc(time.time_ns()).isoformat(),
        }
        if self.is_caught_up():
            fields["caught_up"] = True
        elif self._received_ns:
            fields["decided_us"] = (time.perf_counter_ns() - self._received_ns) // NS_PER_US
        return extra(fields)


def _never() -> bool:
    return False


def _utc(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)
