"""The whole daemon in this process, at a gateway that the test plays bar by bar: real client, socket, state and log."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_builders import TERMS, running, some_bars
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.state.database import StateDb
from trader.commands.run import serve
from trader.commands.run_gear import Assembled
from trader.commands.run_ib import Outside
from trader.commands.run_plan import Wiring, kept, plan_run
from trader.domain.alerts import AlertKind
from trader.domain.units import SECOND_NS
from trader.engine import Engine
from trader.gateway.gateway import Gateway
from trader.live.daemon import Daemon
from trader.live.ib_venue import IbVenue
from trader.options import LiveBarOptions
from trader.risk.margin import UNKNOWN
from trader.settings import load_settings

ACCOUNT = "DU1234567"
STRATEGY = Path(__file__).with_name("always_trading.py")
WAIT_S = 10.0
HISTORY = 480
"""Minutes from the session's open to 01:00 in Chicago, after the nightly reset: all features are settled."""
OPEN_NS = 1_578_956_400_000_000_000  # 2020-01-13 17:00 in Chicago; NQH20 is the front month
QUIET = (8_000.0, 8_002.5, 7_997.5, 8_000.0)


def quiet_bars(*moves: tuple[float, float, float, float], after: int = 40) -> BarColumns:
    """Eight hours of ten ticks up and down, `moves`, and as quiet ones again."""
    return some_bars(*[QUIET] * HISTORY, *moves, *[QUIET] * after, before=0, after=0, start_ns=OPEN_NS)


class Alarms:
    """What a person would be told."""

    def __init__(self) -> None:
        self.told: list[tuple[AlertKind, str]] = []

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        del effect
        self.told.append((kind, why))

    def of(self, kind: AlertKind) -> list[str]:
        """Why, each time."""
        return [why for each, why in self.told if each is kind]


class Clock:
    """The machine's: the market's time, and what the test adds."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.ahead_s = 0.0

    def now_ns(self) -> int:
        return self._gateway.market.now_ns + round(self.ahead_s * SECOND_NS)


class IbRun:
    """A daemon at work."""

    def __init__(self, gateway: Gateway, parts: Assembled, daemon: Daemon, clock: Clock, alarms: Alarms) -> None:
        assert isinstance(parts.venue, IbVenue)
        self.gateway = gateway
        self.parts = parts
        self.daemon = daemon
        self.clock = clock
        self.alarms = alarms
        self.venue: IbVenue = parts.venue

    @property
    def engine(self) -> Engine:
        """The line."""
        return self.parts.run.engine

    @property
    def position_qty(self) -> int:
        """What the account has at the broker."""
        return self.gateway.account.qty(self.gateway.market.front)

    @property
    def margin_is_known(self) -> bool:
        """The gate has been handed the broker's figures."""
        return self.engine.parts.router._gate._figures != UNKNOWN

    @property
    def has_opened(self) -> bool:
        """The bar that the gateway is forming has been heard of."""
        forming = self.venue._feed.forming
        return forming is not None and forming.ts_ns == self.gateway.market.bar.ts_open_ns

    @property
    def resting_stops(self) -> int:
        """Contracts that stops at the broker cover."""
        resting = self.gateway.exchange.book.working()
        return sum(each.qty - each.filled for each in resting if each.kind.value == "STP")

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """The lines of the log that are on the disk."""
        assert self.parts.run.log_path is not None
        return lines_in(self.parts.run.log_path)

    async def until(self, is_true: Callable[[], Any]) -> None:
        """Until something is the case."""
        async with asyncio.timeout(WAIT_S):
            while not is_true():  # noqa: ASYNC110 -- what is waited for has no event of its own
                await asyncio.sleep(0.002)

    async def open_bar(self) -> None:
        """The next bar opens, which closes the one before; come back when that has been decided."""
        before = self.engine.bars
        self.gateway.open_bar()
        await self.until(lambda: self.engine.bars > before)

    async def bar(self) -> None:
        """One whole bar; the one before it is decided."""
        await self.open_bar()
        self.gateway.finish_bar()

    async def entered(self) -> None:
        """The strategy's first entry is filled, its exits rest, and the book knows."""
        await self.until(lambda: self.engine.parts.book.position_qty == self.position_qty != 0)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the log says of one kind of event so far."""
        return [each["e"]["detail"] for each in self.log_lines if each.get("e", {}).get("kind") == kind]


def lines_in(log: Path) -> list[dict[str, Any]]:
    """The lines of a run's files."""
    return [json.loads(line) for file in sorted(log.glob("*.jsonl")) for line in file.read_text().splitlines()]


@asynccontextmanager
async def ib_run(
    folder: Path,
    *changes: str,
    columns: BarColumns | None = None,
    prepare: Callable[[Gateway], object] | None = None,
    **gateway: Any,
) -> AsyncIterator[IbRun]:
    """A daemon over `folder`, up and warmed up; its first bar is the test's. It is drained at the end.

    `prepare` is handed the gateway before the daemon begins.
    """
    terms = {"history_bars": HISTORY, "account": replace(TERMS.account, start_cents=5_000_000), **gateway}
    async with running(quiet_bars() if columns is None else columns, **terms) as server:
        if prepare is not None:
            prepare(server)
        overrides = [
            f"strategy.name={STRATEGY}",
            "advisor.backend=off",
            "execution.entry_window=all",
            f"state.dir={folder / 'state'}",
            f"journal.dir={folder / 'logs'}",
            f"ib.account={ACCOUNT}",
            f"ib.port={server.port}",
            "ib.warmup_sessions=1",
            "ib.grace_s=0",
            "ib.loop_pause_s=3600",  # time jumps from bar to bar
            *changes,
        ]
        settings = load_settings(environ={}, overrides=overrides)
        plan = plan_run(settings, LiveBarOptions(), Wiring(feed="ib", broker="ib", speed="max"))
        clock, alarms = Clock(server), Alarms()
        outside = Outside(wall_ns=clock.now_ns, chance=random.Random(1))
        begun: asyncio.Future[tuple[Assembled, Daemon]] = asyncio.get_running_loop().create_future()

        def begins(parts: Assembled, daemon: Daemon) -> None:
            begun.set_result((parts, daemon))

        with kept(plan) as state:
            task = asyncio.ensure_future(serve(plan, state, None, alarms, outside, begins))
            try:
                await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    await task
                run = IbRun(server, *begun.result(), clock, alarms)
                await run.until(lambda: task.done() or run.venue._engine is not None)
                await run.until(lambda: task.done() or server.data.is_wanted.is_set())
                server.step()  # closes with the next bar's opening
                yield run
            finally:
                if begun.done():
                    begun.result()[1].drain("the test")
                else:
                    task.cancel()
                await asyncio.wait({task}, timeout=WAIT_S)
            await task


def state_of(folder: Path, plan: Any) -> StateDb:
    """What a run has left."""
    return StateDb(folder / "state", plan.identity)
