"""A session of the daemon whose disk refuses at one write, and what a judge makes of it; then a start on a mended disk.

The bed is fault_scenario's. What is refused is a statement of `state.db` (an error that SQLite raises), a line of the
log, or from then on every write of the whole process: that is the system's own refusal, no file may grow.
"""

import asyncio
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from fault_draws import Plan
from fault_scenario import BAR_S, MINUTE_S, PATIENCE_S, REST_S, SPEED, Scenario, a_folder, run_plan
from fault_story import now_s
from msgspec import Struct
from refusing_disk import Disk, Kind, Trouble

from trader.adapters.control.messages import CommandName, Reply, Request
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import State
from trader.commands.run import serve
from trader.commands.run_gear import Assembled
from trader.commands.run_ib import Outside
from trader.commands.run_plan import RunPlan
from trader.domain.units import SECOND_NS
from trader.errors import InputError, StateFailedError
from trader.gateway.faults import Fault, Verb
from trader.gateway.gateway import Gateway
from trader.gateway.ledger import Entry, Event
from trader.gateway.orders import Leg
from trader.gateway.virtual_time import VirtualLoop
from trader.live.daemon import Daemon

STRATEGY = Path(__file__).with_name("disk_strategy.py")
START, BARS = 1_336, 28
"""Minutes of the session: from 16:31 in New York to one before its end."""
CHANGES = (
    f"strategy.name={STRATEGY}",
    "strategy.options={}",
    "execution.windows.all.end=16:54",
    "execution.windows.all.flat_at=16:56",
    "execution.entry_end_before_flat_minutes=0",
    "execution.min_stop_ticks=60",
    "ib.outages.reset_start=12:00",
    "ib.outages.reset_end=12:10",
    "risk.cooldown_after_stop_minutes=0",
)
FAULTS = (Fault(do=Verb.PARTIAL, nth=1, leg=Leg.ENTRY, portions=(1,)),)


TICK_CENTS, COMMISSION_CENTS = 500, 225


Line = tuple[float, str, str, str, int, int, int, int, int]
TROUBLES = ("ALERT state_trouble", "ALERT journal_trouble")
LATE_S = 0.5
NO_BAR = "no decision log in it"
"""A second life that began after the last bar."""
WHOLE = {"intact", "not_closed"}
NO_TROUBLE = Trouble(kind=Kind.FULL, at=0, lasts=False)
PLAN = Plan(
    seed=1,
    bars=BARS,
    start=START,
    qty=2,
    rate=1.0,
    policy=ForeignPolicy.REFUSE,
    faults=FAULTS,
    changes=CHANGES,
)
WORDS = {
    12: Request(command=CommandName.KILL),
    14: Request(command=CommandName.RESUME, clear_kill=True),
    17: Request(command=CommandName.FLATTEN),
    18: Request(command=CommandName.RESUME),
}
"""By the bar in the middle of which the operator says so."""
BOOKS_S = 545.0
"""The books of a session are compared ten minutes after the last look at them."""


class End(Struct, frozen=True, kw_only=True):
    """What came of a session. `wrong` is empty where all is well; `failed_s` is when the disk refused, None: never.

    `marks` are how many statements and lines of the log there had been when each bar opened, `statements` and
    `log_lines` those of all of the first life; `lines` is what happened.
    """

    wrong: list[str]
    failed_s: float | None
    statements: int
    log_lines: int
    marks: list[tuple[int, int]]
    lines: list[str]


class DiskScenario(Scenario):
    """Two lives: one whose disk refuses, and from the bar `restarted_at` on one whose disk is whole."""

    def __init__(self, trouble: Trouble, folder: Path, restarted_at: int = BARS) -> None:
        super().__init__(PLAN, folder)
        self._trouble = trouble
        self._restarted_at = restarted_at
        self._replies: list[asyncio.Task[Reply]] = []
        self._restarted_s = 0.0
        self._is_refused = False
        self._marks: list[tuple[int, int]] = []

    async def played(self) -> End:
        """From the first connection to the end of the second life."""
        self._disk = Disk(self._trouble, asyncio.get_running_loop())
        outcome = await self.play()
        first = [*self._unwritten(), *self._late(), *self._untold(), *self._unlike(), *self._half(), *self._money()]
        wrong = [each for each in (*outcome.wrong, *first) if NO_BAR not in each]
        return End(
            wrong=wrong,
            failed_s=self._disk.failed_s,
            statements=self._disk.statements,
            log_lines=self._disk.lines,
            marks=self._marks,
            lines=outcome.lines,
        )

    async def _serve(self, plan: RunPlan, outside: Outside) -> None:
        self._plan_of_first = plan
        try:
            state = StateDb(plan.folder, plan.identity, connect=self._disk.connect)
            await serve(plan, state, None, self._told, outside, self._begins)
        except (InputError, StateFailedError) as error:
            self._told.note(f"the first life ended by {type(error).__name__}: {error}")
            self._is_refused = "see to the disk" in str(error) and not self._gateway.account.qty(
                self._gateway.market.front
            )
            if self._disk.failed_s is None or not self._is_refused:
                self._wrong.append(f"the first life ended by {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 -- whatever ends the daemon is what the judge wants to know
            self._wrong.append(f"the first life ended by {type(error).__name__}: {error}")
            self._told.note("".join(traceback.format_exception(error)))
        self._first, self._assembled, self._daemon = self._assembled, None, None
        self._disk.mend()
        self._restarted_s = now_s()
        self._told.note("the disk is mended")
        self._kept = snapshot_of(plan)
        await super()._serve(run_plan(self._plan, self._gateway.port, self._folder), outside)

    def _begins(self, assembled: Assembled, daemon: Daemon) -> None:
        super()._begins(assembled, daemon)
        if not self._disk.is_mended:
            writer, journal = assembled.writer, assembled.run.logbook._journal
            self._disk.watch(journal, lambda: writer.is_busy)
            asyncio.get_running_loop().wait_for(lambda: writer.is_busy or journal.backlog > 0)

    async def _bars(self, gateway: Gateway, daemon: asyncio.Task[None]) -> None:
        del daemon
        self._gateway = gateway
        for bar in range(BARS):
            if bar == self._restarted_at:
                await self._restart()
            self._marks.append((self._disk.statements, self._disk.lines))
            self._pass(gateway, now_s(), MINUTE_S - 1)
            gateway.open_bar()
            await asyncio.sleep(BAR_S / 2)
            self._say(bar)
            await asyncio.sleep(BAR_S / 2)
            gateway.market.into_bar_ns = lambda: 0
            gateway.finish_bar()
        self._pass(gateway, now_s(), 1e9)
        await asyncio.sleep(BOOKS_S)
        if self._restarted_at == BARS:
            await self._restart()
            await asyncio.sleep(REST_S)

    def _pass(self, gateway: Gateway, since_s: float, most_s: float) -> None:
        gateway.market.into_bar_ns = lambda: round(min((now_s() - since_s) * SPEED, most_s) * SECOND_NS)

    async def _restart(self) -> None:
        if not self._disk.is_mended and self._daemon is not None:
            self._daemon.drain("the disk is to be mended")
        until_s = now_s() + PATIENCE_S
        while now_s() < until_s and not (  # noqa: ASYNC110 -- a life has no event for this
            self._disk.is_mended and self._daemon is not None and self._link_is_up()
        ):
            await asyncio.sleep(0.5)

    def _say(self, bar: int) -> None:
        if bar in WORDS and self._daemon is not None:
            self._replies.append(asyncio.ensure_future(self._daemon._gear.desk.answer(WORDS[bar])))

    def _unwritten(self) -> Iterator[str]:
        """Entries of the first life that left without their intent, or their line, being on the disk."""
        intended = {each.order_ref for each in self._kept.intents}
        logged = self._logged()
        for entry in self._entries(before_s=self._restarted_s):
            if entry.order_ref not in intended:
                yield f"{entry.order_ref} was entered, and state.db knows no intent of it"
            if entry.order_ref not in logged:
                yield f"{entry.order_ref} was entered, and no line of the log says so"

    def _late(self) -> Iterator[str]:
        failed_s = self._disk.failed_s
        if failed_s is not None:
            for entry in self._entries(before_s=self._restarted_s):
                if entry.at_s > failed_s + LATE_S:
                    yield f"{entry.order_ref} was entered at {entry.at_s:.1f} s, the disk failed at {failed_s:.1f} s"

    def _untold(self) -> Iterator[str]:
        """What a person has to be told: which file, and what to do."""
        if self._disk.failed_s is None or self._is_refused:
            return
        told = [text for _, text in self._told.lines if text.startswith(TROUBLES)]
        if not told:
            yield "nobody was told of the disk"
        for text in told:
            if str(self._folder) not in text or "see to the disk" not in text:
                yield f"it says neither file nor remedy: {text}"

    def _unlike(self) -> Iterator[str]:
        """Trades that were open when the disk failed end as they do on a whole one."""
        failed_s = self._disk.failed_s
        if failed_s is None or self._trouble.at == 0:
            return
        ours, whole = self._trades(), whole_ledger()
        for decision in {entry.order_ref for entry in self._entries(before_s=self._restarted_s)}:
            wanted = [line for line in whole.get(decision, []) if line[0] < self._restarted_s]
            got = [line for line in ours[decision] if line[0] < self._restarted_s]
            if wanted != got:
                at = next(
                    (i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got))
                )
                yield f"{decision} goes otherwise than on a whole disk: {got[at : at + 1]} for {wanted[at : at + 1]}"

    def _half(self) -> Iterator[str]:
        """What the next start, or a person, would read."""
        path = None if self._first is None else self._first.run.log_path
        if path is not None and (status := self._verified(path)) not in WHOLE and NO_BAR not in status:
            yield f"the first life's log is {status}"
        for file in self._folder.rglob("*.json"):
            try:
                msgspec.json.decode(file.read_bytes())
            except msgspec.DecodeError as error:
                yield f"{file.name} is half written: {error}"

    def _money(self) -> Iterator[str]:
        if self._assembled is None:
            return
        fills = [each for each in self._gateway.ledger.entries if each.event is Event.EXECUTED]
        view = self._assembled.run.engine.parts.book.view()
        if view.position_qty == 0:
            ticks = -sum(each.side * each.qty * each.price_ticks for each in fills)
            cents = 50_000_000 + ticks * TICK_CENTS - sum(each.qty for each in fills) * COMMISSION_CENTS
            if view.balance_cents != cents:
                yield f"the book has {view.balance_cents} cents, the executions come to {cents}"

    def _entries(self, before_s: float) -> list[Entry]:
        return [
            each
            for each in self._gateway.ledger.entries
            if each.event is Event.PLACED and each.kind == "MKT" and "." not in each.order_ref and each.at_s < before_s
        ]

    def _trades(self) -> dict[str, list[Line]]:
        trades: dict[str, list[Line]] = {}
        for each in self._gateway.ledger.entries:
            if each.order_ref:
                decision = each.order_ref.split(".")[0]
                line = (
                    round(each.at_s, 2),
                    each.event.value,
                    each.order_ref,
                    each.kind,
                    each.side,
                    each.remaining,
                    each.qty,
                    each.stop_ticks or each.price_ticks,
                    each.position,
                )
                trades.setdefault(decision, []).append(line)
        return trades

    def _logged(self) -> set[str]:
        """References of brackets in the first life's log."""
        path = None if self._first is None else self._first.run.log_path
        files = [] if path is None else sorted(path.glob("decisions-*.jsonl"))
        found: set[str] = set()
        for line in b"".join(file.read_bytes() for file in files).splitlines():
            try:
                record = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue  # the line that the disk has cut
            for order in record.get("c", {}).get("orders", ()):
                if order["kind"] == "bracket":
                    found.add(order["ref"])
        return found


@cache
def whole_ledger() -> dict[str, list[Line]]:
    """What each trade does at the exchange where the disk takes everything."""
    with a_folder() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        scenario = DiskScenario(NO_TROUBLE, folder)
        runner.run(scenario.played())
        return scenario._trades()


def snapshot_of(plan: RunPlan) -> State:
    """What a life has left."""
    state = StateDb(plan.folder, plan.identity)
    try:
        return state.snapshot()
    finally:
        state.close()


def play_disk(trouble: Trouble, restarted_at: int = BARS) -> End:
    """One session, in a loop of its own."""
    if trouble.at:
        whole_ledger()
    with a_folder() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(DiskScenario(trouble, folder, restarted_at).played())
