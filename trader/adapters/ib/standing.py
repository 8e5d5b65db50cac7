"""How the link stands: its state, whether an outage is expected, and when a person has to be called."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

import structlog

from trader.adapters.ib.clocks import PauseClock
from trader.adapters.ib.nights import Nights, NightTerms, OutageWatch
from trader.domain.alerts import AlertKind
from trader.ports import Alerts

log = structlog.get_logger("trader.link")
CLOSED = "closed"
TRYING = "it keeps trying"
REMEDY = (
    "See that TWS or IB Gateway runs, is logged in, and lets programs connect at that port (ib.port: IB Gateway 4002 "
    "paper, 4001 live; TWS 7497 paper, 7496 live)"
)
_TICK_S = 0.25
_TICKS_A_PAUSE = 4


class LinkState(StrEnum):
    """What the link can do. LOST: connected to a gateway that has lost the broker (1100)."""

    DOWN = "down"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    UP = "up"
    LOST = "lost"
    EXPECTED_OUTAGE = "expected_outage"


_AWAY = frozenset({LinkState.DOWN, LinkState.CONNECTING, LinkState.LOST})


class Standing:
    """The state of the link at `place` (host:port). `why` says why it stands as it does."""

    def __init__(
        self, place: str, nights: NightTerms, loop_pause_s: float, alerts: Alerts, wall_ns: Callable[[], int]
    ) -> None:
        self.why = "not connected yet"
        self._place = place
        self._alerts = alerts
        self._wall_ns = wall_ns
        self._state = LinkState.DOWN
        self._logged = (LinkState.DOWN, self.why)
        self._was_up = False
        self.is_open: Callable[[], bool] = _nothing_is
        """Whether a position is open, or an order works: then somebody is told sooner that the link is away."""
        self._up = asyncio.Event()
        self._watch = OutageWatch(Nights(nights), nights)
        tick_s = min(_TICK_S, loop_pause_s / _TICKS_A_PAUSE) if loop_pause_s else _TICK_S
        self._clock = PauseClock(loop_pause_s, tick_s, wall_ns)

    @property
    def state(self) -> LinkState:
        """As it is; an outage that is expected is told apart."""
        if self._state in _AWAY and self._watch.is_expected(self._wall_ns()):
            return LinkState.EXPECTED_OUTAGE
        return self._state

    @property
    def is_up(self) -> bool:
        """Whether everybody is in step, and the loop has not stood still since."""
        return self._state is LinkState.UP and not self._clock.is_late

    async def wait_up(self) -> None:
        """Until it is up; at once where it is."""
        while not self.is_up:
            self._up.clear()
            await self._up.wait()

    def start(self, on_pause: Callable[[float], None]) -> None:
        """Begin to watch; `on_pause` gets the seconds for which the loop stood still."""
        self._watch.down(self._wall_ns())
        self._clock.start(on_pause, self._tick)

    def stop(self) -> None:
        """Watch no more."""
        self._clock.stop()

    def move(self, state: LinkState, why: str | None = None) -> None:
        """It stands differently now."""
        self.why = self.why if why is None else why
        self._state = state
        if state is not LinkState.CONNECTING and self._logged != (state, self.why):
            self._logged = (state, self.why)  # a night of vain tries is one line
            if state is LinkState.DOWN and not self._was_up and self.why != CLOSED:
                log.warning("link_state", state=state.value, why=self.why, effect=TRYING, remedy=REMEDY)
            else:
                log.info("link_state", state=state.value, why=self.why)
        if state is LinkState.UP:
            self._was_up = True
            self._watch.up(self._wall_ns())
            self._up.set()
        else:
            self._watch.down(self._wall_ns())

    def _tick(self) -> None:
        why = self._watch.alarm(self._wall_ns(), is_open=self.is_open())
        if why is not None:
            self._alerts.alert(
                AlertKind.LINK_DOWN,
                why=f"the broker at {self._place} is {why}: {self.why}",
                effect=f"no entries; stops stay at the broker; {TRYING}. {REMEDY}",
            )


def _nothing_is() -> bool:
    return False
