"""How often the verdict says yes on markets where nothing can be earned: random walks, at most one in twenty.

Usage: python scripts/null_markets.py [--strategies sma_cross,ppo] [--markets 200] [--bar-minutes 1] [--sessions 70]
[--model BUNDLE] [--processes N] [--out FILE]

Results are appended to FILE (`benchmarks/null-markets.jsonl`), a line a market; what stands there for the same model
and settings is not computed again.
Exit 1 where a strategy has more false yes than allowed.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from trader.app import open_bundle
from trader.commands.progress import Progress
from trader.domain.sessions import Calendar
from trader.errors import TraderError
from trader.evaluation.null_markets import ALLOWED_SHARE, NullMarket, NullResult, facts_of, false_yes, judge
from trader.observation import SESSION_MINUTES
from trader.settings import Settings, decision_hash, load_settings

FIRST_MARKET = 1_000
OUT = Path("benchmarks/null-markets.jsonl")


def settings_of(strategy: str, model: str | None) -> Settings:
    """The shipped paper settings with this strategy, no advisor, accounts renewed."""
    bundle = [] if model is None else [f"policy.bundle={model}"]
    overrides = [f"strategy.name={strategy}", "advisor.backend=off", "account.on_exhausted=renew", *bundle]
    return load_settings(environ={}, overrides=overrides)


def subject_of(settings: Settings, market: NullMarket) -> tuple[str, str | None, str]:
    """What tells results of one strategy, model and configuration from those of another."""
    name = settings.strategy.name
    bundle = open_bundle(settings, Calendar.load(), facts_of(market)) if name == "ppo" else None
    return name, None if bundle is None else bundle.id, decision_hash(settings)


def known(path: Path) -> list[NullResult]:
    """Results of earlier runs; a line that was cut off is computed again."""
    results = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            results.append(msgspec.json.decode(line, type=NullResult))
        except msgspec.DecodeError:
            continue
    return results


def campaign(wanted: argparse.Namespace, strategy: str, path: Path) -> list[NullResult]:
    """All markets for one strategy, in several processes."""
    markets = [
        NullMarket(seed=seed, bar_minutes=wanted.bar_minutes, sessions=wanted.sessions)
        for seed in range(FIRST_MARKET, FIRST_MARKET + wanted.markets)
    ]
    settings = settings_of(strategy, wanted.model)
    subject = subject_of(settings, markets[0])
    done = {one.market: one for one in known(path) if (one.strategy, one.bundle, one.config) == subject}
    missing = [market for market in markets if market not in done]
    bars = wanted.sessions * SESSION_MINUTES // wanted.bar_minutes
    with (
        ProcessPoolExecutor(wanted.processes) as pool,
        path.open("ab") as file,
        Progress(f"{strategy} on random walks", len(markets) * bars) as progress,
    ):
        progress.advance((len(markets) - len(missing)) * bars)
        for market, result in zip(missing, pool.map(partial(judge, settings), missing), strict=True):
            file.write(msgspec.json.encode(result) + b"\n")
            file.flush()
            done[market] = result
            progress.advance(bars)
    return [done[market] for market in markets]


def told(results: list[NullResult]) -> str:
    """One line on a strategy: findings, and where it stood among its random ones."""
    kinds = sorted({one.kind.value for one in results})
    counts = ", ".join(f"{kind} {sum(one.kind == kind for one in results)}" for kind in kinds)
    trades = sorted(one.trades for one in results)
    return f"{results[0].strategy}: {len(results)} markets of {trades[len(trades) // 2]} trades (median): {counts}"


def main(arguments: Iterable[str]) -> int:
    """Run the campaign; 1 where a strategy has more false yes than allowed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--strategies", default="sma_cross,ppo")
    parser.add_argument("--markets", type=int, default=200)
    parser.add_argument("--bar-minutes", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=70)
    parser.add_argument("--model")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=OUT)
    wanted = parser.parse_args(list(arguments))
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    is_fine = True
    for strategy in wanted.strategies.split(","):
        results = campaign(wanted, strategy, wanted.out)
        allowed = int(ALLOWED_SHARE * len(results))
        is_fine = is_fine and false_yes(results) <= allowed
        sys.stdout.write(f"{told(results)}; false yes {false_yes(results)}, at most {allowed} allowed\n")
    return 0 if is_fine else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except TraderError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
