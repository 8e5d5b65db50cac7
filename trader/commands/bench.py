"""`trader bench engine`: what the line costs on this machine. Synthetic bars, process CPU time, medians."""

import asyncio
import csv
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numba
import numpy as np

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.memory_feed import MemoryFeed
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.app import BarsFacts, LogChoice, assemble
from trader.clock_text import et_clock
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.observation import schema_hash
from trader.options import BarOptions, FileOptions
from trader.policy.untrained import random_bundle
from trader.ports import Feed
from trader.settings import Settings

SEED = 20_190_102
FIRST_SESSION = "2016-01-04"
MEMORY_BARS = 1_000_000
LIVE_BARS = 20_000
KIB_PER_MIB = 1024
FACTS = BarsFacts(source="synthetic", sha256="", synthetic=True, bar_minutes=1, has_volume=True)


def run_engine(bars_wanted: int, repeats: int, *, as_json: bool) -> None:
    """Measure every figure and print them with what they were measured on."""
    bars = _bars(bars_wanted)
    with tempfile.TemporaryDirectory() as folder:
        net_512 = random_bundle(
            Path(folder) / "net-512",
            hidden=(512, 256, 128),
            schema_hash=schema_hash(),
            calendar_sha256=Calendar.load().sha256,
        )
        rule = _settings("strategy.name=sma_cross")
        figures = {
            "bars_per_s_no_net": _speed(rule, bars, repeats),
            "bars_per_s_no_net_log": _speed(rule, bars, repeats, Path(folder) / "logs"),
            "bars_per_s_net_512": _speed(_settings(f"policy.bundle={json.dumps(str(net_512))}"), bars, repeats),
            "bars_per_s_default": _speed(_settings(), bars, repeats),
            "live_p99_us": _live_p99_us(_settings(), bars[:LIVE_BARS]),
            "peak_rss_mb_1m": _peak_rss_mb(Path(folder) / "bars.csv"),
        }
    document = {**figures, "bars": len(bars), "repeats": repeats, "machine": machine()}
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    for name, value in document.items():
        sys.stdout.write(f"{name:<22} {value}\n")


def run_memory(path: Path) -> None:
    """Backtest a file without a log, report this process's peak resident memory in MiB."""
    settings = _settings("strategy.name=sma_cross")
    options = BarOptions(bars=str(path), rolls="none")
    source = open_source(options, instrument(settings.market), Calendar.load())
    made = assemble(settings, facts_for_log(source, options), log=None)
    made.engine.controls.reconciled()
    from trader.adapters.replay import ReplayFeed  # noqa: PLC0415 -- asyncio's share belongs to the figure

    asyncio.run(made.engine.run(ReplayFeed(source.columns())))
    sys.stdout.write(json.dumps({"bars": made.engine.bars, "peak_rss_mb": round(_peak_mb(), 1)}) + "\n")


def _peak_mb() -> float:
    """This process's own peak: ru_maxrss would count that of the process which started it, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / KIB_PER_MIB


def _settings(*overrides: str) -> Settings:
    return settings_from(FileOptions(overrides=list(overrides)))


def _columns(bars_wanted: int) -> BarColumns:
    market = SyntheticMarket(instrument=instrument("NQ"), rolls=False)
    sessions = -(-bars_wanted // 1300)
    made = concatenate(list(generate(SEED, FIRST_SESSION, sessions, calendar=Calendar.load(), market=market)))
    return made.rows(0, bars_wanted)


def _bars(bars_wanted: int) -> list[Bar]:
    return list(_columns(bars_wanted).to_bars())


def _once(settings: Settings, feed: Feed, log: LogChoice | None) -> float:
    made = assemble(settings, FACTS, log=log)
    made.engine.controls.reconciled()
    began = time.process_time()
    asyncio.run(made.engine.run(feed))
    return time.process_time() - began


def _speed(settings: Settings, bars: list[Bar], repeats: int, log_root: Path | None = None) -> int:
    log = None if log_root is None else LogChoice(root=log_root)
    _once(settings, MemoryFeed(bars[:LIVE_BARS]), log)
    return round(len(bars) / median(_once(settings, MemoryFeed(bars), log) for _ in range(repeats)))


def _live_p99_us(settings: Settings, bars: list[Bar]) -> float:
    """From a bar's arrival to its decision, one bar a turn of the loop, in microseconds of wall time."""
    made = assemble(settings, FACTS, log=None)
    made.engine.controls.reconciled()
    taken_ns: list[int] = []

    async def one_by_one() -> None:
        for bar in bars:
            began = time.perf_counter_ns()
            await made.engine.on_bar(bar)
            taken_ns.append(time.perf_counter_ns() - began)
            await asyncio.sleep(0)

    asyncio.run(one_by_one())
    return round(float(np.percentile(taken_ns, 99)) / 1_000, 1)


def _peak_rss_mb(path: Path) -> float:
    """Peak memory of a process that replays a file of a million bars, in MiB."""
    _write_csv(path, _columns(MEMORY_BARS))
    done = subprocess.run(  # noqa: S603 -- this program, on a file that it has just written
        [sys.executable, "-m", "trader", "bench", "memory", str(path)], check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout)["peak_rss_mb"])


def _write_csv(path: Path, columns: BarColumns) -> None:
    calendar = Calendar.load()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "open", "high", "low", "close", "volume"))
        session = None
        for bar in columns.to_bars():
            if session is None or bar.ts_open_ns >= session.close_ns:
                session = calendar.at(bar.ts_open_ns)
            offset_s = 0 if session is None else session.et_offset_s
            stamp = et_clock(bar.ts_open_ns, offset_s) + ":00"
            writer.writerow((stamp, bar.open, bar.high, bar.low, bar.close, bar.volume))


def machine() -> dict[str, str]:
    """What figures were measured on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    names = [
        line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
