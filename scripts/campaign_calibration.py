"""How well calibration learns, over many made advisors: each distortion, both paths, two base rates, live or frozen.

Usage: python scripts/campaign_calibration.py [--seeds 50] [--processes N] [--out FILE]

Writes one JSON object: a row for each kind of trial, with the worst and the median over seeds. Exit 1 where a trial
whose calibration goes on learning, as in use, is outside the bounds of `trader.evaluation.calibration_trials`.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from trader.commands.progress import Progress
from trader.evaluation import calibration_trials as trials

BASE_RATES = (0.25, 0.5)


class Spread(Struct, frozen=True, kw_only=True):
    """Over the seeds of one kind of trial."""

    median: float
    worst: float


class Row(Struct, frozen=True, kw_only=True):
    """One kind of trial: calibration error, that of a perfect forecaster, and the log-loss beyond three others'."""

    distortion: trials.Distortion
    path: trials.Path
    base_rate: float
    goes_on: bool
    trials: int
    outside: int
    ece: Spread
    true_ece: Spread
    loss_above_raw: Spread
    loss_above_written: Spread
    loss_above_true: Spread


def row_of(results: list[trials.TrialResult]) -> Row:
    """The row of trials that differ in their seeds only."""

    def over(figure: Callable[[trials.TrialResult], float]) -> Spread:
        values = [figure(one) for one in results]
        return Spread(median=round(median(values), 5), worst=round(max(values), 5))

    kind = results[0].trial
    return Row(
        distortion=kind.distortion,
        path=kind.path,
        base_rate=kind.base_rate,
        goes_on=kind.goes_on,
        trials=len(results),
        outside=sum(not one.is_good for one in results),
        ece=over(lambda one: one.ece),
        true_ece=over(lambda one: one.true_ece),
        loss_above_raw=over(lambda one: one.loss - one.raw_loss),
        loss_above_written=over(lambda one: one.loss - one.written_loss),
        loss_above_true=over(lambda one: one.loss - one.true_loss),
    )


def main(arguments: Iterable[str]) -> int:
    """Run the campaign; 1 where a trial as in use is outside the bounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args(list(arguments))
    kinds = list(product(trials.Distortion, trials.Path, BASE_RATES, (True, False)))
    asked = [
        trials.Trial(distortion=distortion, path=path, base_rate=base_rate, seed=seed, goes_on=goes_on)
        for distortion, path, base_rate, goes_on in kinds
        for seed in range(wanted.seeds)
    ]
    results = []
    with ProcessPoolExecutor(wanted.processes) as pool, Progress("simulated advisors", len(asked)) as progress:
        for result in pool.map(trials.run_trial, asked, chunksize=4):
            results.append(result)
            progress.advance(1)
    rows = [row_of(results[at : at + wanted.seeds]) for at in range(0, len(results), wanted.seeds)]
    text = msgspec.json.format(msgspec.json.encode(rows), indent=2)
    if wanted.out is None:
        sys.stdout.buffer.write(text + b"\n")
    else:
        wanted.out.write_bytes(text + b"\n")
    return 1 if any(row.outside for row in rows if row.goes_on) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
