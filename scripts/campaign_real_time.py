"""The daemon in real time: `python scripts/campaign_real_time.py [--bars 20] [--speed 1] [--grace 0.8]`.

Bars of the sample at a gateway, each as long as `--speed` makes it: 20 minutes by default. Prints when each bar was
decided, in seconds after its close, with its fills, and what the gateway's checker found. Exit 1 where a bar was not
decided once, in order, after its grace and before the next, or on other features than a backtest's.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "live"))

from real_time_runs import backtest, faults, played  # noqa: E402 -- the tests play the same, only faster


def main() -> int:
    """The command line that the module's docstring describes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=20)
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of bar time a second")
    parser.add_argument("--grace", type=float, default=0.8, help="seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(played(Path(folder), given.bars, given.speed, given.grace))
        wrong = faults(seen, backtest(Path(folder)), given.grace)
    for each in seen.decided:
        bar, late_s = each.record.bar, (each.decided_ns - each.closed_ns) / 1e9
        fills = ", ".join(f"{fill.side} {fill.qty} at {fill.price:.2f}" for fill in each.record.fills)
        sys.stdout.write(f"{bar.close_utc}  decided {late_s:6.3f} s after its close  {fills}\n")
    sys.stdout.write(f"{seen.found}\n")
    if not seen.found.is_clean:
        wrong.append("the gateway's checker has found something")
    sys.stdout.writelines(f"wrong: {line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
