"""The daemon against the gateway's faults: sessions drawn from seeds, through the whole path, in a time that jumps.

Usage: python scripts/campaign_faults.py [--seeds 2000] [--first 1] [--workers 2] [--out runs/campaign-faults.jsonl]
       python scripts/campaign_faults.py --seed N -v

Each seed draws a script of two to ten faults, a foreign policy and a strategy that acts nearly every bar. Its line in
`--out` says what was wrong; seeds that have a line there are not played again. At the end a table of the verbs: in how
many scenarios each fired, and how often. Exit 1 where a scenario failed or a verb fired fewer than 50 times.
"""

import argparse
import logging
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from fault_draws import draw
from fault_scenario import Outcome, play
from msgspec import Struct

from trader.adapters.ib.library import load_library
from trader.gateway.faults import Verb

FIRED_MIN = 50


class SeedLine(Struct, frozen=True, kw_only=True):
    """What is kept of a scenario."""

    seed: int
    wrong: list[str]
    fired: dict[str, int]
    orders: int
    executions: int
    unprotected_s: float


def played(seed: int) -> Outcome:
    """One scenario, from its seed alone."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it counts what is written to a socket that has gone
    load_library()
    return play(draw(seed))


def line_of(seed: int) -> bytes:
    """One scenario's line."""
    outcome = played(seed)
    line = SeedLine(
        seed=seed,
        wrong=outcome.wrong,
        fired=outcome.fired,
        orders=outcome.orders,
        executions=outcome.executions,
        unprotected_s=outcome.unprotected_s,
    )
    return msgspec.json.encode(line) + b"\n"


def lines_in(path: Path) -> list[SeedLine]:
    """What an earlier campaign has left."""
    if not path.exists():
        return []
    return msgspec.json.Decoder(SeedLine).decode_lines(path.read_bytes())


def run(seeds: Iterable[int], workers: int) -> Iterator[bytes]:
    """The lines of these seeds, as they come."""
    if workers == 1:
        yield from map(line_of, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(line_of, seeds)


def tell(lines: list[SeedLine]) -> bool:
    """The figures; whether all is well."""
    scenarios: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    for line in lines:
        scenarios.update(line.fired.keys())
        fired.update(line.fired)
    failed = [line for line in lines if line.wrong]
    sys.stdout.write(f"{'verb':22}{'scenarios':>10}{'fired':>10}\n")
    sys.stdout.writelines(f"{verb.value:22}{scenarios[verb]:10}{fired[verb]:10}\n" for verb in Verb)
    orders, executions = sum(line.orders for line in lines), sum(line.executions for line in lines)
    sys.stdout.write(f"{len(lines)} scenarios, {orders} orders, {executions} executions, {len(failed)} failed\n")
    sys.stdout.writelines(f"seed {line.seed}: {'; '.join(line.wrong)}\n" for line in failed)
    return not failed and all(fired[verb] >= FIRED_MIN for verb in Verb)


def show(seed: int, *, is_verbose: bool) -> int:
    """One seed, for a person."""
    outcome = played(seed)
    if is_verbose:
        sys.stdout.write(f"{draw(seed)}\n")
        sys.stdout.writelines(f"{line}\n" for line in outcome.lines)
    sys.stdout.write(f"seed {seed}: {'; '.join(outcome.wrong) or 'all is well'}\n")
    return 1 if outcome.wrong else 0


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/campaign-faults.jsonl"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("-v", "--verbose", action="store_true")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return show(chosen.seed, is_verbose=chosen.verbose)
    done = {line.seed for line in lines_in(chosen.out)}
    seeds = [seed for seed in range(chosen.first, chosen.first + chosen.seeds) if seed not in done]
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with chosen.out.open("ab", buffering=0) as out:
        for line in run(seeds, chosen.workers):
            out.write(line)
    return 0 if tell(lines_in(chosen.out)) else 1


if __name__ == "__main__":
    sys.exit(main())
