"""Whether a language model that misbehaves in every way can hold up a bar: the whole line on synthetic bars, an advisor
asked at every bar, and a worker process that does the same wrong thing at every question.

Usage: python scripts/campaign_advisor_faults.py [--bars 10000] [--kinds hang,exit] [--deadline-ms 20] [--rushed]
[--seconds S] [--out FILE]

Between bars it waits until a worker is ready, as in the minute between real ones, so that every bar meets the fault;
`--rushed` lets bars follow each other at once, most of them while a worker starts. `--seconds` ends a kind early.
Prints one line of JSON a kind, and appends it to FILE: how many bars were decided, and how many of them within the
deadline and 20 ms; their latencies in milliseconds; what the questions ended in; threads, processes and file
descriptors before and after. Exit 1 where a bar was not decided, had advice, fewer than 99.9 % were in time, or
something was left behind. Linux only.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.adapters.columns import concatenate
from trader.adapters.phi3.keeper import WorkerRules
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.worker_backend import Prompts, WorkerBackend
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.advisor.asker import Asker, AskRules
from trader.advisor.cache import AdviceCache, CacheRules
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.prompt import Message, Prompt
from trader.advisor.question import Answer
from trader.app import BarsFacts, assemble
from trader.domain.bars import Bar
from trader.domain.decisions import Decision, FusionMethod
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.engine import Engine
from trader.logbook import SilentLogbook
from trader.pipeline import Look
from trader.recorder import Outcome
from trader.router import Router
from trader.settings import load_settings

FAULTY = Path(__file__).resolve().parents[1] / "tests" / "adapters" / "phi3" / "faulty_worker.py"
KINDS = ("hang", "exit", "kill", "crash", "close", "lock", "garbage", "half", "gigabyte", "endless", "flood", "hoard")
WARM_BARS = 1_500  # until features are ready and bars are asked; not counted
BARS_A_SESSION = 1_350
SLACK_MS = 20.0
GOAL = 0.999
REPLY_TIMEOUT_S = 0.05
START_TIMEOUT_S = 60.0
HOARD_GIB = 0.5
SETTINGS = (
    "strategy.name=random_entries",
    "strategy.options={seed: 1, rate: 0.05}",
    "fusion.use_selective_querying=false",
    "advisor.query_cooldown_bars=0",
    "execution.entry_window=all",
    "account.on_exhausted=renew",
)
FACTS = BarsFacts(source="synthetic", sha256="0" * 64, synthetic=True, bar_minutes=1, has_volume=True)


class Held(Struct, frozen=True):
    """What this process holds."""

    threads: int
    processes: int
    descriptors: int


class Result(Struct, frozen=True, kw_only=True):
    """One kind of fault. `asked` bars put a question; `faults` is how many workers it cost."""

    kind: str
    rushed: bool
    deadline_ms: int
    bars: int
    decided: int
    asked: int
    advised: int
    in_time_share: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    answers: dict[str, int]
    faults: int
    before: Held
    after: Held
    closed: Held
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether it keeps what the issue demands."""
        is_flat = self.before == self.after
        return self.decided == self.bars and self.advised == 0 and self.in_time_share >= GOAL and is_flat


class Watch(SilentLogbook):
    """Counts decisions, and what questions ended in."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from here."""
        self.decided = 0
        self.advised = 0
        self.answers: Counter[str] = Counter()

    def bar(self, look: Look, answer: Answer | None, decision: Decision, outcome: Outcome, router: Router) -> None:
        """One bar has been decided."""
        super().bar(look, answer, decision, outcome, router)
        self.decided += 1
        self.advised += decision.method is not FusionMethod.RL_ONLY
        if answer is not None:
            self.answers[answer.status.value] += 1


def held() -> Held:
    """Counted by the kernel."""
    processes = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            processes += len((task / "children").read_text(encoding="ascii").split())
    return Held(threading.active_count(), processes, len(os.listdir("/proc/self/fd")))


def backend_of(kind: str) -> WorkerBackend:
    """A worker that does this at every question."""
    prompt = Prompt(messages=(Message("user", kind),), sha256="0" * 64)
    rules = WorkerRules(
        start_timeout_s=START_TIMEOUT_S,
        reply_timeout_s=START_TIMEOUT_S if kind == "hoard" else REPLY_TIMEOUT_S,
        restart_pause_s=0.0,
        memory_limit_gib=HOARD_GIB if kind == "hoard" else None,
    )
    options = ModelOptions(name="faulty", mode="generate")
    prompts = Prompts(render=lambda _: prompt, identity="a fault")
    return WorkerBackend(options, prompts, rules, command=(sys.executable, str(FAULTY)))


def asker_of(backend: WorkerBackend, deadline_ms: int) -> Asker:
    """As live: a deadline; without breaker and cache, so that every bar is asked."""
    rules = AskRules(
        is_patient=False,
        is_required=True,
        deadline_ms=deadline_ms,
        assumed_latency_ms=0,
        breaker_errors=0,
        breaker_reset_s=60,
    )
    as_it_is = CalibrationRules(mode=CalibrationMode.OFF, legal_mass_min=0.0, learns=False)
    cache = AdviceCache(CacheRules(cache_minutes=0, reuse_decay=0.8), backend.identity)
    return Asker(backend, rules, cache, calibration=Calibration(as_it_is, 3.0))


def bars_of(count: int) -> list[Bar]:
    """Synthetic minutes."""
    market = SyntheticMarket(instrument=instrument("NQ"))
    sessions = count // BARS_A_SESSION + 2
    return list(
        concatenate(list(generate(1, "2019-01-07", sessions, calendar=Calendar.load(), market=market))).to_bars()
    )


async def campaign(kind: str, wanted: argparse.Namespace, bars: list[Bar]) -> Result:
    """All bars under one kind of fault."""
    first = held()
    backend, watch = backend_of(kind), Watch()
    asker = asker_of(backend, wanted.deadline_ms)
    run = assemble(load_settings(environ={}, overrides=[*SETTINGS]), FACTS, log=watch, advisor=asker)
    run.engine.controls.reconciled()
    for bar in bars[:WARM_BARS]:
        await run.engine.on_bar(bar)
    await asker.start()
    watch.restart()
    before, began_s = held(), time.monotonic()
    times = await paced(run.engine, bars[WARM_BARS : WARM_BARS + wanted.bars], backend, asker, wanted)
    await until_ready(backend, asker)
    after, seconds = held(), time.monotonic() - began_s
    await asker.close()
    times.sort()
    in_time = sum(each <= wanted.deadline_ms + SLACK_MS for each in times)
    closed = held()
    if closed != first:
        sys.stderr.write(f"{kind}: {first} at first, {closed} at the end\n")
    return Result(
        kind=kind,
        rushed=wanted.rushed,
        deadline_ms=wanted.deadline_ms,
        bars=len(times),
        decided=watch.decided,
        asked=watch.answers.total(),
        advised=watch.advised,
        in_time_share=in_time / len(times),
        p50_ms=at(times, 0.5),
        p99_ms=at(times, 0.99),
        p999_ms=at(times, 0.999),
        max_ms=round(times[-1], 3),
        answers=dict(watch.answers),
        faults=backend.starts - 1,
        before=before,
        after=after,
        closed=closed,
        seconds=round(seconds, 1),
    )


async def paced(
    engine: Engine, bars: list[Bar], backend: WorkerBackend, asker: Asker, wanted: argparse.Namespace
) -> list[float]:
    """Each bar's time to its decision, in milliseconds."""
    times = []
    end_s = time.monotonic() + wanted.seconds
    for bar in bars:
        if not wanted.rushed:
            await until_ready(backend, asker)
        began_ns = time.perf_counter_ns()
        await engine.on_bar(bar)
        times.append((time.perf_counter_ns() - began_ns) / 1e6)
        if time.monotonic() > end_s:
            break
    return times


async def until_ready(backend: WorkerBackend, asker: Asker) -> None:
    """The minute between two bars, as short as it can be."""
    while not (backend.is_ready and asker.is_idle):  # noqa: ASYNC110 -- other threads' states; nobody signals them
        await asyncio.sleep(0.002)


def at(times: list[float], share: float) -> float:
    """The quantile of sorted `times`."""
    return round(times[min(int(share * len(times)), len(times) - 1)], 3)


def main() -> int:
    """Every kind in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=10_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--deadline-ms", type=int, default=20)
    parser.add_argument("--rushed", action="store_true")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    bars = bars_of(WARM_BARS + wanted.bars)
    is_good = True
    for kind in wanted.kinds.split(","):
        result = asyncio.run(campaign(kind, wanted, bars))
        is_good &= result.is_good
        line = msgspec.json.encode(result).decode() + "\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        if wanted.out is not None:
            with wanted.out.open("a", encoding="utf-8") as file:
                file.write(line)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
