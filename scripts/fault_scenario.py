"""One session of the daemon with faults, from the first connection to the end, and what a judge makes of it.

All is as in `trader run --feed ib --broker ib`, by the same code: the real client library over sockets, the state on a
disk, the decision log. The gateway is in the same process, and time jumps while everybody waits.
"""

import asyncio
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import structlog
from fault_draws import SETTLING_BARS, Plan
from fault_judge import Evidence, Pause, judge, ours_only, sent_unasked
from fault_story import FiredCounter, Told, now_s, told_of
from msgspec import Struct

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.state.database import StateDb
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.analysis.verify import verify
from trader.commands.run import serve
from trader.commands.run_gear import Assembled, put_together
from trader.commands.run_ib import Outside
from trader.commands.run_plan import RunPlan, Wiring, plan_run
from trader.domain.instruments import instrument
from trader.domain.orders import Bracket, Order
from trader.domain.sessions import Calendar
from trader.domain.units import SECOND_NS
from trader.errors import TraderError
from trader.gateway.account import AccountTerms
from trader.gateway.checker import check
from trader.gateway.faults import Verb
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.layouts import Request
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.session import Session
from trader.gateway.virtual_time import VirtualLoop
from trader.live.daemon import Daemon
from trader.options import BarOptions
from trader.settings import load_settings

ACCOUNT = "DU1234567"
DAY = "2019-12-03"
MINUTE_S = 60.0
SPEED = 6.0
"""The market's seconds in one of the loop's: the daemon's waits are as in live trading, its bars come sooner."""
BAR_S = MINUTE_S / SPEED
REST_S = 8.0
PAUSE_AFTER_S = 0.5
AGAIN_AFTER_S = 1.5
PATIENCE_S = 1_200.0
"""Virtual seconds for the first connection, and for what is due after the last bar."""
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made in it


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a scenario. `wrong` is empty where all is well, `fired` counts verbs, `lines` is what happened."""

    seed: int
    wrong: list[str]
    fired: dict[str, int]
    orders: int
    executions: int
    unprotected_s: float
    lines: list[str]


@cache
def market_bars() -> BarColumns:
    """One lively session of the synthetic market."""
    market = SyntheticMarket(instrument=instrument("NQ"), volatility=2.5, rolls=True)
    return concatenate(list(generate(7, DAY, 1, calendar=Calendar.load(), market=market)))


def run_plan(plan: Plan, port: int, folder: Path) -> RunPlan:
    """As `trader run` would read it from files and options."""
    settings = load_settings(
        environ={},
        overrides=[
            "advisor.backend=off",
            "strategy.name=random_entries",
            f"strategy.options={{seed: {plan.seed}, rate: {plan.rate}}}",
            "execution.entry_window=all",
            f"execution.qty={plan.qty}",
            f"execution.max_position_qty={plan.qty}",
            "account.start_balance_usd=500000",
            "account.trailing_limit_usd=250000",
            "account.daily_limit_usd=100000",
            "risk.max_trades_per_session=1000",
            "risk.max_cost_share=0.9",
            "risk.max_consecutive_losses=1000",
            f"ib.port={port}",
            f"ib.account={ACCOUNT}",
            f"ib.foreign={plan.policy.value}",
            "ib.warmup_sessions=1",
            "ib.connect_timeout_s=5",
            "ib.request_timeout_s=8",
            "ib.backoff_max_s=8",
            "ib.position_poll_s=10",
            "ib.orders_poll_s=10",
            "ib.unresolved_s=20",
            "ib.outages.restart_at=null",
            f"state.dir={folder / 'state'}",
            f"journal.dir={folder / 'logs'}",
            *plan.changes,
        ],
    )
    return plan_run(settings, BarOptions(bars=""), Wiring(feed="ib", broker="ib", speed="max"))


def a_gateway(plan: Plan, mischief: OrderMischief) -> Gateway:
    """One with the bars and the script of the plan; its ledger's clock is the loop's."""
    columns = market_bars().rows(0, plan.start + plan.bars + 1)
    account = AccountTerms(
        name=ACCOUNT,
        start_cents=100_000_000,
        initial_margin_cents=2_000_000,
        maintenance_margin_cents=1_800_000,
        commission_cents=225,
    )
    terms = GatewayTerms(
        market=instrument("NQ"),
        account=account,
        costs=Costs(slippage_ticks=1, through_ticks=1),
        history_bars=plan.start,
    )
    gateway = Gateway(columns, Calendar.load(), terms, mischief, now_s)
    play_faults(gateway, mischief)
    return gateway


class Scenario:
    """One seed's."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._told = Told()
        self._mischief = OrderMischief(plan.faults, plan.seed)
        self._mischief.fired = self._fired = FiredCounter()
        self._pauses: list[Pause] = []
        self._assembled: Assembled | None = None
        self._daemon: Daemon | None = None
        self._wrong: list[str] = []

    async def play(self) -> Outcome:
        """From the first connection to the end."""
        told, seed = self._told, self._plan.seed
        gateway = a_gateway(self._plan, self._mischief)
        structlog.configure(processors=[told.logged], cache_logger_on_first_use=False)
        self._hear_questions(gateway)
        await gateway.start()
        begin_ns = gateway.market.now_ns
        outside = Outside(
            wall_ns=lambda: begin_ns + round(now_s() * SPEED * SECOND_NS),
            chance=random.Random(seed),  # noqa: S311 -- jitter
        )
        plan = run_plan(self._plan, gateway.port, self._folder)
        daemon = asyncio.ensure_future(self._serve(plan, outside))
        try:
            await self._bars(gateway, daemon)
            is_up = self._assembled is not None and self._link_is_up()
            if self._daemon is not None:
                self._daemon.drain("the scenario's end")
            await asyncio.wait({daemon}, timeout=PATIENCE_S)
            if not daemon.done():
                self._wrong.append(f"the daemon has not ended {PATIENCE_S:g} s after it was told to")
        finally:
            daemon.cancel()
            await asyncio.gather(daemon, return_exceptions=True)
            await gateway.close()
        told.end()
        return self._judged(gateway, outside, is_up=is_up)

    async def _serve(self, plan: RunPlan, outside: Outside) -> None:
        try:
            await serve(plan, StateDb(plan.folder, plan.identity), None, self._told, outside, self._begins)
        except Exception as error:  # noqa: BLE001 -- whatever ends the daemon is what the judge wants to know
            self._wrong.append(f"the daemon ended by {type(error).__name__}: {error}")
            self._told.note("".join(traceback.format_exception(error)))

    def _begins(self, assembled: Assembled, daemon: Daemon) -> None:
        self._assembled, self._daemon = assembled, daemon
        loop, writer, venue = asyncio.get_running_loop(), assembled.writer, assembled.venue
        assert isinstance(loop, VirtualLoop)  # noqa: S101
        assert writer is not None  # noqa: S101
        loop.wait_for(lambda: writer.is_busy)
        self._venue = venue
        watcher = venue._broker._room.watcher
        before = watcher.on_doubt

        def doubt(why: str | None) -> None:
            self._told.doubt(why)
            before(why)

        watcher.on_doubt = doubt
        if self._plan.repeats:
            self._repeat_entries(loop)

    def _repeat_entries(self, loop: VirtualLoop) -> None:
        """Let the broker be handed each entry at once again, and later: only its reference says that it is the same."""
        broker = self._venue._broker
        submit = broker.submit

        def again(order: Order) -> None:
            submit(order)
            if isinstance(order, Bracket):
                submit(order)
                loop.call_later(AGAIN_AFTER_S, submit, order)

        broker.submit = again  # type: ignore[method-assign]

    def _link_is_up(self) -> bool:
        return self._venue._link.is_up

    async def _bars(self, gateway: Gateway, daemon: asyncio.Task[None]) -> None:
        """Minute by minute; the last ones without new faults."""
        market, counts = gateway.market, Counter(self._mischief.fired)
        for bar in range(self._plan.bars):
            if daemon.done():
                return
            if bar == self._plan.bars - SETTLING_BARS:
                self._told.note("no new faults from here on")
                self._mend(gateway)
            opened_s = now_s()
            market.into_bar_ns = lambda since_s=opened_s: min(
                round((now_s() - since_s) * SPEED * SECOND_NS), round((MINUTE_S - 1) * SECOND_NS)
            )
            gateway.open_bar()
            self._note_fired(bar, counts)
            if any(session.is_silent for session in gateway.server.sessions):
                self._told.unheard()
            await self._through_the_bar(gateway, bar)
            market.into_bar_ns = lambda: 0
            gateway.finish_bar()
            self._note_fired(bar, counts)
        await asyncio.sleep(REST_S)

    async def _through_the_bar(self, gateway: Gateway, bar: int) -> None:
        """Its ten seconds; a pause begins before the bar that has closed is decided on."""
        pause_s = dict(self._plan.pauses).get(bar, 0.0)
        loop = asyncio.get_running_loop()
        if not pause_s or not isinstance(loop, VirtualLoop):
            await asyncio.sleep(BAR_S)
            return
        await asyncio.sleep(PAUSE_AFTER_S)
        begun_s = now_s()
        loop.skip(pause_s)
        self._told.paused(begun_s)
        self._pauses.append(Pause(entries=len(gateway.ledger.entries)))
        await asyncio.sleep(BAR_S - PAUSE_AFTER_S - pause_s)

    def _hear_questions(self, gateway: Gateway) -> None:
        """Note when the open orders of everybody are asked for."""
        server, take = gateway.server, gateway.server.take

        def heard(session: Session, fields: list[str]) -> None:
            if fields[0] == str(Request.ALL_OPEN_ORDERS):
                for pause in self._pauses:
                    if pause.asked_at is None:
                        pause.asked_at = len(gateway.ledger.entries)
            take(session, fields)

        server.take = heard  # type: ignore[method-assign]

    def _mend(self, gateway: Gateway) -> None:
        """Nothing goes wrong any more, and the broker finds out who has long gone."""
        for chance in self._mischief.chances:
            chance.is_over = True
        for session in gateway.server.sessions:
            if session.is_silent:
                session.reset()

    def _note_fired(self, bar: int, counts: Counter[Verb]) -> None:
        new = self._mischief.fired - counts
        counts.update(new)
        for verb, count in new.items():
            self._told.note(f"FAULT {verb.value} x{count} (bar {bar})")

    def _judged(self, gateway: Gateway, outside: Outside, *, is_up: bool) -> Outcome:
        whole = gateway.ledger.entries
        entries = ours_only(whole) if self._plan.policy is ForeignPolicy.IGNORE else whole
        findings = check(entries, now_s())
        book_qty, is_closing = 0, False
        log_status, kept_qty = "missing", None
        if self._assembled is not None:
            parts = self._assembled.run.engine.parts
            book_qty, is_closing = parts.book.position_qty, parts.router.closing
            if self._assembled.run.log_path is not None:
                log_status = self._verified(self._assembled.run.log_path)
            kept_qty = self._restored(run_plan(self._plan, gateway.port, self._folder), outside)
        evidence = Evidence(
            entries=entries,
            findings=findings,
            end_s=now_s(),
            up=self._told.up,
            doubts=self._told.doubts,
            book_qty=book_qty,
            is_closing=is_closing,
            is_up_at_end=is_up,
            log_status=log_status,
            kept_qty=kept_qty,
            faults=self._fired.log,
        )
        lines = [*self._told.lines, *((entry.at_s, told_of(entry)) for entry in whole)]
        return Outcome(
            seed=self._plan.seed,
            wrong=[*self._wrong, *judge(evidence), *sent_unasked(whole, self._pauses)],
            fired={verb.value: count for verb, count in self._mischief.fired.items() if count},
            orders=findings.orders,
            executions=findings.executions,
            unprotected_s=round(findings.unprotected_s, 3),
            lines=[f"{at_s:9.3f} {text}" for at_s, text in sorted(lines, key=lambda line: line[0])],
        )

    def _verified(self, folder: Path) -> str:
        try:
            return verify(folder).status.value
        except TraderError as error:
            return str(error)

    def _restored(self, plan: RunPlan, outside: Outside) -> int | None:
        """What a next life begins with; None where it cannot."""
        try:
            again = put_together(plan, StateDb(plan.folder, plan.identity), self._told, outside)
        except Exception as error:  # noqa: BLE001 -- whatever keeps a state from being restored is a finding
            self._wrong.append(f"state.db does not restore: {type(error).__name__}: {error}")
            return None
        again.run.engine.discard()
        again.close()
        return again.run.engine.parts.book.position_qty


@contextmanager
def a_folder() -> Iterator[Path]:
    """One that is gone afterwards, in memory where there is such a place."""
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(plan: Plan) -> Outcome:
    """One scenario, in a loop of its own."""
    with a_folder() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(Scenario(plan, folder).play())
