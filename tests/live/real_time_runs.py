"""The daemon as a process of its own, in real time: a gateway here tells it bars of the sample at a speed.

When each bar opened is written down here, when it was decided the daemon's log says: both clocks are this machine's.
"""

import asyncio
import datetime
import signal
import sys
import time
from pathlib import Path

import msgspec
from lockstep_runs import ACCOUNT, ALWAYS_TRADING, Runs, environment, log_in
from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.replay import LoopPace
from trader.analysis.log import Kind, LogReader
from trader.commands.common import open_source
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import SECOND_NS
from trader.gateway.account import AccountTerms
from trader.gateway.checker import Findings, check
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.playing import Timed, play
from trader.options import BarOptions
from trader.records import Canonical

FIRST, LAST = "2019-12-03", "2019-12-03"
BEGIN_UTC = "2019-12-03T14:45:00+00:00"
"""A quarter of an hour after the cash market has opened: what is played begins here."""
STRATEGY = (
    f"strategy.name={ALWAYS_TRADING}",
    "advisor.backend=off",
    "execution.windows.rth.start=09:46",
    "risk.max_cost_share=1",
)
"""No entry before what is played, so that the account of a backtest is as new there as the daemon's."""
TERMS = GatewayTerms(
    market=instrument("NQ"),
    account=AccountTerms(
        name=ACCOUNT,
        start_cents=5_000_000,
        initial_margin_cents=2_000_000,
        maintenance_margin_cents=1_800_000,
        commission_cents=225,
    ),
    costs=Costs(slippage_ticks=1, through_ticks=1),
    history_bars=1,
)


class Stamped(Struct, frozen=True):
    """What is read of a line's `x`."""

    wall_utc: str


class Decided(Struct, frozen=True, kw_only=True):
    """One bar's record, and when (nanoseconds since 1970) the next two bars opened and it was decided."""

    record: Canonical
    closed_ns: int
    next_closed_ns: int
    decided_ns: int


class Played(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    decided: list[Decided]
    found: Findings
    log: Path
    said: str


def sample() -> BarColumns:
    """The bars of one session."""
    options = BarOptions(bars="sample", date_from=FIRST, date_to=LAST)
    return concatenate(list(open_source(options, instrument("NQ"), Calendar.load()).columns()))


async def played(folder: Path, bars: int, speed: float, grace_s: float) -> Played:
    """Let the daemon decide `bars` bars at `speed` seconds of bar time a second, and then ask it to end."""
    columns = sample()
    begin_ns = round(datetime.datetime.fromisoformat(BEGIN_UTC).timestamp()) * SECOND_NS
    history = int((columns.ts_close_ns <= begin_ns).sum())
    gateway = Gateway(columns, Calendar.load(), replace(TERMS, history_bars=history))
    opened: list[int] = []
    is_over = asyncio.Event()

    def opens() -> None:
        opened.append(time.time_ns())
        if len(opened) > bars + 1:
            is_over.set()

    gateway.before_bar = opens
    await gateway.start()
    (folder / "live" / "xdg").mkdir(parents=True, exist_ok=True, mode=0o700)
    playing = asyncio.ensure_future(play(gateway, Timed(speed, LoopPace())))
    try:
        said = await _daemon(folder, gateway.port, grace_s, is_over)
    finally:
        playing.cancel()
        await gateway.close()
    log = log_in(folder / "live")
    entries = [each for each in LogReader(log, is_run=True).entries() if each.kind is Kind.BAR]
    decided = [
        Decided(
            record=entry.bar(),
            closed_ns=opened[place + 1],
            next_closed_ns=opened[place + 2],
            decided_ns=wall_ns(entry.x),
        )
        for place, entry in enumerate(entries[:bars])
    ]
    found = check(gateway.ledger.entries, until_s=gateway.ledger.now_s)
    return Played(decided=decided, found=found, log=log, said=said)


async def _daemon(folder: Path, port: int, grace_s: float, is_over: asyncio.Event) -> str:
    """Run it until then; what it said. AssertionError where it fails."""
    changes = (*STRATEGY, f"ib.account={ACCOUNT}", f"ib.port={port}", f"ib.grace_s={grace_s}", "ib.warmup_sessions=1")
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trader", "run", "--feed", "ib", "--broker", "ib"),
        *(part for each in changes for part in ("--set", each)),
        cwd=folder / "live",
        env=environment(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    talking, waiting = asyncio.ensure_future(daemon.communicate()), asyncio.ensure_future(is_over.wait())
    await asyncio.wait({talking, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not talking.done():
        daemon.send_signal(signal.SIGTERM)
    said, _ = await talking
    assert daemon.returncode == 0, said.decode()[-4_000:]
    return said.decode()


def wall_ns(x: bytes) -> int:
    """When a line was written, as its `x` says."""
    said = datetime.datetime.fromisoformat(msgspec.json.decode(x, type=Stamped).wall_utc)
    return round(said.timestamp() * 1_000_000) * 1_000


def backtest(folder: Path) -> dict[str, Canonical]:
    """The same session of the file, by when each bar opened."""
    bars = ("--bars", "sample", "--from", FIRST, "--to", LAST)
    Runs(folder, bars, STRATEGY).backtest()
    entries = LogReader(log_in(folder / "backtest"), is_run=True).entries()
    records = (entry.bar() for entry in entries if entry.kind is Kind.BAR)
    return {record.bar.open_utc: record for record in records}


def faults(seen: Played, expected: dict[str, Canonical], grace_s: float) -> list[str]:
    """What is wrong with a run, bar by bar; empty where nothing is."""
    wrong = []
    opens = [each.record.bar.open_utc for each in seen.decided]
    if opens != [each for each in expected if each >= BEGIN_UTC.replace("+00:00", "Z")][: len(opens)]:
        wrong.append(f"not every bar once and in order: {opens}")
    for each in seen.decided:
        after_s, before_s = ((t - each.decided_ns) / SECOND_NS for t in (each.closed_ns, each.next_closed_ns))
        if -after_s < grace_s or before_s < 0:
            wrong.append(f"{each.record.bar.open_utc}: decided {-after_s:.3f} s after its close")
        if market_of(each.record) != market_of(expected[each.record.bar.open_utc]):
            wrong.append(f"{each.record.bar.open_utc}: other features than in a backtest")
    return wrong


def market_of(record: Canonical) -> tuple[object, ...]:
    """The bar and what is made of bars alone: the sum over all features holds the account's too."""
    features = replace(record.features, sha256="")
    return record.bar, features
