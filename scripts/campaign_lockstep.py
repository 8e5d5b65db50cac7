"""Whole files in lockstep against a backtest of the same bars: `python scripts/campaign_lockstep.py [--only NAME]`.

Each line: the bars, who trades, trades, seconds of the backtest and of the run (the gateway and the real client, each a
process), and the first line of the decision logs that differs. Exit 1 where one does, or where the 14,714 bars of the
FirstRate file, traded by the model, take a minute or more; 0 where a file is missing, which is said.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "live"))

from lockstep_runs import ALWAYS_TRADING, Runs, occurrences  # noqa: E402 -- the tests play the same, only less of it

FIRSTRATE = ROOT.parent / "shared" / "data" / "firstrate_2023" / "NQ_1min_sample.csv"
LONGEST_S = 60.0
PATIENCE_S = 1_200.0
SHOWN = 2_000
RENEWED = "account.on_exhausted=renew"
ALWAYS = (
    f"strategy.name={ALWAYS_TRADING}",
    RENEWED,
    "account.start_balance_usd=10000000",
    "account.daily_limit_usd=1000000",
    "account.trailing_limit_usd=1000000",
    "risk.max_trades_per_session=10000",
    "risk.max_consecutive_losses=1000",
    "risk.min_win_rate_threshold=0",
    "risk.max_cost_share=1",
    "gate.orders_per_minute=600",
    "execution.entry_window=all",
    "execution.min_stop_ticks=8",
    "execution.stop_atr=0.7",
    "execution.target_multiple=1.5",
    "execution.trail_atr=0.5",
)
TRADERS = {
    "ppo": (RENEWED,),
    "sma_cross": (RENEWED, "strategy.name=sma_cross"),
    "random_entries": (RENEWED, "strategy.name=random_entries"),
    "always": (*ALWAYS, "advisor.backend=off"),
    "always, advised": (*ALWAYS, "advisor.backend=rules"),
}


class Played(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    is_equal: bool
    live_s: float


def played(name: str, bars: tuple[str, ...], trader: str) -> Played:
    """Play one file for one trader, and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        both = Runs(Path(folder), bars, TRADERS[trader], PATIENCE_S).both()
        seen, difference = occurrences(both.backtest), both.difference()
    is_clean = both.ledger.is_clean and both.ledger.executions >= seen["fills"]
    is_equal = difference is None and is_clean
    sys.stdout.write(
        f"{name:<12}{trader:<17}{seen['bars']:>7,} bars {seen['trades']:>6,} trades"
        f" {both.backtest_s:>6.1f} s {both.live_s:>6.1f} s  {'equal' if is_equal else 'DIFFERS'}\n"
    )
    if difference is not None:
        sys.stdout.write(f"{difference[:SHOWN]}\n")
    if not is_clean:
        sys.stdout.write(f"the gateway's checker: {both.ledger}; fills of the backtest: {seen['fills']}\n")
    sys.stdout.flush()
    return Played(is_equal=is_equal, live_s=both.live_s)


def main() -> int:
    """The command line that the module's docstring describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TRADERS, help="one trader alone")
    only = parser.parse_args().only
    files = {"sample": ("--bars", "sample")}
    if FIRSTRATE.exists():
        files["firstrate"] = ("--bars", str(FIRSTRATE), "--contract", "NQZ23")
    else:
        sys.stdout.write(f"firstrate is left out: {FIRSTRATE} is not there\n")
    is_good = True
    for name, bars in files.items():
        for trader in TRADERS if only is None else (only,):
            found = played(name, bars, trader)
            is_good &= found.is_equal
            if name == "firstrate" and trader == "ppo" and found.live_s >= LONGEST_S:
                sys.stdout.write(f"that took {LONGEST_S:g} s or more\n")
                is_good = False
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
