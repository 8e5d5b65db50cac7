"""Nights with the gateway's resets, over real sockets and the real client, in a time that jumps.

Usage: python scripts/campaign_nights.py [--nights 200] [--seed 1] [--first 2019-09-02] [--json]

Each night is played from 20 minutes before its first window to 20 minutes after the last: the daily restart, the server
reset and, at weekends, the longer ones, at random inside their windows (the gateway's fault `nightly_reset`). On one
night in five something is really wrong as well: an outage that outlasts its window, or one outside. Exit 1 where there
was a false alarm, a missed or repeated one, or a night after which the link was not up.
"""

import argparse
import asyncio
import datetime
import random
import sys
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog
from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.adapters.ib.dialing import DialTerms
from trader.adapters.ib.library import load_library
from trader.adapters.ib.link import Link, LinkState, LinkTerms
from trader.adapters.ib.nights import EVERY_DAY, Nights, NightTerms, OutageWindow, Span
from trader.adapters.ib.wire import WireTerms
from trader.domain.alerts import AlertKind
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway.account import AccountTerms
from trader.gateway.faults import Fault, Verb
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.virtual_time import VirtualLoop

ACCOUNT = "DU1234567"
NEW_YORK = "America/New_York"
MARGIN_MIN = 20
HISTORY = 10
WINDOWS = (
    OutageWindow(name="daily restart", zone="America/Chicago", start="23:45", end="00:00", days=EVERY_DAY),
    OutageWindow(name="server reset", zone=NEW_YORK, start="00:15", end="01:45", days=EVERY_DAY),
    OutageWindow(name="weekend reset", zone=NEW_YORK, start="23:00", end="03:00", days=(4,)),
    OutageWindow(name="weekly login", zone=NEW_YORK, start="01:00", end="17:30", days=(6,)),
)
NIGHTS = NightTerms(
    windows=WINDOWS,
    no_entries_before_s=900.0,
    outlast_s=300.0,
    down_alert_s=60.0,
    down_alert_open_s=60.0,
    settled_s=60.0,
)


class Night(Struct, frozen=True, kw_only=True):
    """What happens: resets as (minute, minutes) from the first one played, and whether a person has to hear of it."""

    begin_ns: int
    minutes: int
    resets: tuple[tuple[int, int], ...]
    is_wrong: bool


class Found(Struct, kw_only=True):
    """What the campaign has seen."""

    nights: int = 0
    half_days: int = 0
    clock_changes: int = 0
    resets: int = 0
    connections: int = 0
    wrong_nights: int = 0
    false_alarms: int = 0
    missed: int = 0
    not_up_after: int = 0
    entries_allowed_in_window: int = 0


class Told:
    """Counts the alerts of an outage."""

    def __init__(self) -> None:
        self.count = 0

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        """Alerts'."""
        del why, effect
        self.count += kind is AlertKind.LINK_DOWN


class Wall:
    """A wall clock that goes with the loop's, from where a night begins."""

    def __init__(self) -> None:
        self._offset_ns = 0

    def set(self, now_ns: int) -> None:
        """It is so late now."""
        self._offset_ns = now_ns - self._loop_ns()

    def __call__(self) -> int:
        """Nanoseconds since 1970."""
        return self._loop_ns() + self._offset_ns

    @staticmethod
    def _loop_ns() -> int:
        return round(asyncio.get_running_loop().time() * SECOND_NS)


def drawn(span: Span, chance: random.Random) -> Night:
    """A night around that window."""
    length = (span.end_ns - span.start_ns) // MINUTE_NS
    resets, at = [], MARGIN_MIN
    for _ in range(chance.randint(1, 3)):
        start = at + chance.randint(0, max(1, length // 6))
        minutes = chance.randint(1, max(1, length // 5))
        if start + minutes + 2 >= MARGIN_MIN + length:  # the way back takes up to a minute of waits
            break
        resets.append((start, minutes))
        at = start + minutes + 3
    is_wrong = chance.random() < 0.2
    if is_wrong and chance.random() < 0.5:
        resets = [(MARGIN_MIN // 4, 5)]  # outside
    elif is_wrong:
        resets.append((MARGIN_MIN + length - 1, 12))  # outlasts
    return Night(
        begin_ns=span.start_ns - MARGIN_MIN * MINUTE_NS,
        minutes=length + 2 * MARGIN_MIN,
        resets=tuple(resets),
        is_wrong=is_wrong,
    )


def the_nights(count: int, first: datetime.date, seed: int) -> list[Night]:
    """Windows from that day on, one night each."""
    nights = Nights(NIGHTS)
    chance = random.Random(seed)  # noqa: S311 -- a night repeats itself, it keeps no secret
    noon = datetime.datetime.combine(first, datetime.time(18), tzinfo=ZoneInfo(NEW_YORK))
    now_ns = round(noon.timestamp()) * SECOND_NS
    drawn_nights = []
    for _ in range(count):
        span = nights.next_window(now_ns)
        if span is None:
            break
        drawn_nights.append(drawn(span, chance))
        now_ns = span.end_ns
    return drawn_nights


def flat_bars(minutes: int) -> BarColumns:
    """Bars that nobody looks at: each moves the script of faults by a minute."""
    opens = 1_575_327_600 * SECOND_NS + np.arange(minutes, dtype=np.int64) * MINUTE_NS
    price = np.full(minutes, 8_000.0)
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + MINUTE_NS,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=np.full(minutes, 1),
        symbols=("NQH20",),
        symbol_index=np.zeros(minutes, dtype=np.int64),
        roll_offset=np.zeros(minutes),
    )


def a_gateway(nights: list[Night]) -> Gateway:
    """One whose script has the resets of all nights."""
    faults, minute = [], 0
    for night in nights:
        faults += [Fault(do=Verb.NIGHTLY_RESET, bar=minute + at, bars=bars) for at, bars in night.resets]
        minute += night.minutes
    orders = OrderMischief(faults, 1)
    account = AccountTerms(
        name=ACCOUNT, start_cents=1, initial_margin_cents=1, maintenance_margin_cents=1, commission_cents=1
    )
    terms = GatewayTerms(
        market=instrument("NQ"), account=account, costs=Costs(slippage_ticks=1, through_ticks=1), history_bars=HISTORY
    )
    gateway = Gateway(flat_bars(minute + HISTORY + 1), Calendar.load(), terms, orders)
    play_faults(gateway, orders)
    return gateway


def link_terms(port: int) -> LinkTerms:
    """As in live trading."""
    return LinkTerms(
        wire=WireTerms(host="127.0.0.1", port=port, connect_timeout_s=10.0, request_timeout_s=10.0),
        dial=DialTerms(client_id=1, fallback_client_id=None, in_use_tries=5, account=ACCOUNT, is_live=False),
        nights=NIGHTS,
        probe_every_s=5.0,
        probe_misses=2,
        backoff_first_s=1.0,
        backoff_max_s=30.0,
        loop_pause_s=0.0,
        sync_tries=3,
        sync_timeout_s=60.0,
        lost_max_s=120.0,
        own_id_every_s=300.0,
        own_id_soon_s=10.0,
    )


async def play(night: Night, gateway: Gateway, link: Link, wall: Wall, found: Found) -> None:
    """Minute by minute."""
    wall.set(night.begin_ns)
    nights = Nights(NIGHTS)
    for _ in range(night.minutes):
        gateway.step()
        await asyncio.sleep(60.0)
        inside = nights.window(wall()) is not None
        found.entries_allowed_in_window += inside and nights.no_entries(wall()) is None
    found.not_up_after += link.state is not LinkState.UP
    found.nights += 1
    found.resets += len(night.resets)


async def campaign(nights: list[Night], seed: int) -> Found:
    """All of them with one link and one gateway."""
    found, told, wall = Found(), Told(), Wall()
    gateway = a_gateway(nights)
    await gateway.start()
    jitter = random.Random(seed)  # noqa: S311 -- of waits
    link = Link(link_terms(gateway.port), load_library(), told, jitter, wall)
    link.on_sync(lambda: counted(found))
    wall.set(nights[0].begin_ns - MINUTE_NS)
    async with asyncio.TaskGroup() as group:
        group.create_task(link.run())
        await link.wait_up()
        for night in nights:
            before = told.count
            await play(night, gateway, link, wall, found)
            alarms = told.count - before
            found.wrong_nights += night.is_wrong
            found.false_alarms += max(0, alarms - night.is_wrong)
            found.missed += night.is_wrong and not alarms
        link.close()
    await gateway.close()
    return found


async def counted(found: Found) -> None:
    """A sync hook."""
    found.connections += 1


def dates(nights: list[Night], found: Found) -> None:
    """Count the special ones among them."""
    calendar, zone = Calendar.load(), ZoneInfo(NEW_YORK)
    days = [datetime.datetime.fromtimestamp(night.begin_ns / SECOND_NS, zone) for night in nights]
    sessions = (calendar.on(f"{day:%Y-%m-%d}") for day in days)
    found.half_days = sum(session is not None and session.is_half_day for session in sessions)
    found.clock_changes = sum(one.utcoffset() != other.utcoffset() for one, other in pairwise(days))


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=datetime.date.fromisoformat, default=datetime.date(2019, 9, 2))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    nights = the_nights(chosen.nights, chosen.first, chosen.seed)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found = runner.run(campaign(nights, chosen.seed))
    dates(nights, found)
    figures = msgspec.to_builtins(found)
    if chosen.json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in figures.items())
    bad = found.false_alarms + found.missed + found.not_up_after + found.entries_allowed_in_window
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
