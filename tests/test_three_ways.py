"""The shipped model three ways: in the training environment, in a backtest, in the daemon on recorded bars."""

import subprocess
import sys
from pathlib import Path

from line_builders import settings_with

from trader.adapters.columns import concatenate
from trader.analysis.log import Kind, open_log
from trader.app import open_bundle
from trader.clock_text import utc_text
from trader.commands.common import open_source
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.options import BarOptions
from trader.training.ground import prepare_ground
from trader.training.rollout import REASONS, follow

LAST = "2019-12-03"
COMMON = ("--bars", "sample", "--to", LAST, "--advisor", "off", "--on-exhausted", "renew")

Trade = tuple[str, str, float, float, float, float, str]
"""Side of the entry, time of the exit, entry and exit price, net dollars, initial risk, reason."""


def trades_in(folder: Path) -> list[Trade]:
    """The round trips of a decision log, out of its fills."""
    trades, entry = [], None
    for line in open_log(folder).entries():
        fills = line.bar().fills if line.kind is Kind.BAR else ()
        for fill in fills:
            if fill.reason is None:
                entry = fill
            else:
                assert entry is not None
                trades.append((entry.side, fill.ts_utc, entry.price, fill.price, fill.pnl, fill.risk, fill.reason))
    return trades


def logged(command: str, folder: Path, *options: str) -> list[Trade]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "trader",
            command,
            *COMMON,
            *options,
            "--log-dir",
            str(folder),
            "--set",
            f"state.dir={folder}-state",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return trades_in(folder)


def rolled_out() -> list[Trade]:
    """One continuous episode of the environment's kernels."""
    settings, market, calendar = settings_with("advisor.backend=off"), instrument("NQ"), Calendar.load()
    columns = concatenate(list(open_source(BarOptions(bars="sample", date_to=LAST), market, calendar).columns()))
    choose = open_bundle(settings, calendar, None).network.choose
    trades = follow(prepare_ground(settings, columns, calendar, market), lambda obs, mask: choose(obs, mask)[0]).trades
    return [
        (
            "BUY" if side > 0 else "SELL",
            utc_text(closed_ns),
            market.to_points(entry),
            market.to_points(end),
            pnl / 100,
            risk / 100,
            REASONS[reason].value,
        )
        for side, closed_ns, entry, end, pnl, risk, reason in zip(
            trades.side.tolist(),
            trades.closed_ns.tolist(),
            trades.entry_ticks.tolist(),
            trades.exit_ticks.tolist(),
            trades.pnl_cents.tolist(),
            trades.risk_cents.tolist(),
            trades.reason.tolist(),
            strict=True,
        )
    ]


def test_shipped_model_makes_the_same_trades_in_environment_backtest_and_paper_replay(tmp_path):
    """One set of rules: what was trained is what is tested and what trades, advisor off."""
    replayed = logged("backtest", tmp_path / "backtest")
    paper = logged("run", tmp_path / "run", "--speed", "max")
    assert len(replayed) > 10
    assert paper == replayed
    assert rolled_out() == replayed
