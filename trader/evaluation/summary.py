"""An evaluation on one screen: what may be claimed first, then what came of it; no colour codes."""

from pathlib import Path
from textwrap import TextWrapper

import msgspec
import numpy as np

from trader.analysis.evaluation import Claim, Evaluation, RunRecord
from trader.analysis.evaluation_parts import Band, Estimate, WalkForward
from trader.analysis.figures import Label
from trader.analysis.table import SENTENCES, WIDTH

CLAIMS = {
    Claim.ENGINEERING_RUN: "ENGINEERING RUN",
    Claim.IN_SAMPLE: "IN-SAMPLE",
    Claim.OUT_OF_SAMPLE: "OUT-OF-SAMPLE EVIDENCE",
}
_WRAPPER = TextWrapper(WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
_COLUMNS = f"{'':26}{'net $':>12}{'trades':>8}{'R/day':>9}{'95 % interval':>19}{'Sharpe':>8}{'max fall $':>12}"


def render(record: Evaluation, folder: Path) -> str:
    """The summary as lines, each ended by a newline."""
    blocks = [
        _head(record),
        [record.verdict.sentence],
        _table(record),
        _judgement(record),
        _walk_forward(record.walk_forward),
        [f"Record: {folder}", f"Page:   trader report {folder}"],
    ]
    return "\n".join("".join(f"{line}\n" for line in _wrapped(block)) for block in blocks if block)


def summary_json(record: Evaluation, folder: Path) -> str:
    """The figures of the summary as one JSON object and a newline."""
    document = {
        "folder": str(folder),
        "facts": record.facts,
        "split": record.split,
        "verdict": record.verdict,
        "runs": {run.name.value: run.statistics for run in record.runs},
        "band_mean_r": None if record.band is None else _quantiles(record.band),
        "stress": record.stress,
        "ambiguous": record.ambiguous,
        "sharpe": record.sharpe,
        "placebo": record.placebo,
        "walk_forward": record.walk_forward,
    }
    return msgspec.json.encode(document).decode() + "\n"


def _head(record: Evaluation) -> list[str]:
    facts = record.facts
    rule = "=" * WIDTH
    subject = facts.strategy if facts.bundle is None else f"{facts.bundle.name} ({facts.bundle.id[:8]})"
    lines = [
        rule,
        f"{CLAIMS[facts.claim]}: {facts.claim_reason}",
        f"{facts.market} · {subject} · {facts.source} · {facts.first_session} to {facts.last_session}",
        f"{facts.sessions} sessions, {facts.bars:,} bars; accounts used: {record.runs[0].accounts_used}",
        f"costs: {facts.commission_side_usd:.2f} $ a side, {facts.slippage_ticks} ticks of slippage",
        record.split.sentence,
        *(SENTENCES[Label(label)] for label in facts.labels),
        *(f"  - {mismatch}" for mismatch in facts.mismatches),
    ]
    if facts.skipped_bars:
        lines.append(f"bad bars skipped: {facts.skipped_bars:,}")
    return [*lines, rule]


def _wrapped(block: list[str]) -> list[str]:
    return [part for line in block for part in (_WRAPPER.wrap(line) if len(line) > WIDTH and " " in line else [line])]


def _table(record: Evaluation) -> list[str]:
    lines = [_COLUMNS, *(_row(run) for run in record.runs)]
    if record.band is not None:
        lines.append(_band_row(record.band))
    return lines


def _row(run: RunRecord) -> str:
    told = run.statistics
    return (
        f"{run.title:26}{_number(told.total_usd.value, 12, 2)}{told.trades:>8,}{_number(told.mean_r.value, 9, 3)}"
        f"{_interval(told.mean_r):>19}{_number(told.sharpe.value, 8, 2)}{_number(0.0 - told.max_drawdown_usd, 12, 2)}"
    )


def _band_row(band: Band) -> str:
    low, middle, high = _quantiles(band)
    total = float(np.median(band.totals_usd))
    interval = f"[{low:+.3f}, {high:+.3f}]"
    return (
        f"{f'{band.seeds} random strategies':26}{_number(total, 12, 2)}{band.matched_trades:>8,}"
        f"{_number(middle, 9, 3)}{interval:>19}{'':8}{'':12}".rstrip()
    )


def _judgement(record: Evaluation) -> list[str]:
    sharpe, ambiguous = record.sharpe, record.ambiguous
    lines = [record.placebo.sentence]
    if record.stress is not None:
        lines.append(record.stress.sentence)
    if ambiguous.bars:
        lines.append(
            f"Bars that reached stop and target: {ambiguous.bars}; net {ambiguous.pessimistic_usd:+,.2f} to "
            f"{ambiguous.optimistic_usd:+,.2f} $ by which came first."
        )
    lines.append(
        f"Trials on these dates: {sharpe.trials}. Probability that the Sharpe ratio is above zero: "
        f"{_share(sharpe.probabilistic)}; above the best of so many by luck: {_share(sharpe.deflated)}."
    )
    return [*lines, *(f"Note: {note}." for note in sharpe.notes)]


def _walk_forward(found: WalkForward | None) -> list[str]:
    if found is None:
        return []
    lines = [f"Walk-forward ({found.mode}): {found.sentence}"]
    lines += [
        f"  {fold.test_first} to {fold.test_last}: median {_number(fold.median_r, 0, 3)} R a session "
        f"({_number(fold.low_r, 0, 3)} to {_number(fold.high_r, 0, 3)})"
        for fold in found.folds
    ]
    return lines


def _quantiles(band: Band) -> list[float]:
    quantiles: list[float] = np.quantile(band.mean_daily_r, (0.025, 0.5, 0.975)).tolist()
    return quantiles


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"[{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _number(value: float | None, width: int, decimals: int) -> str:
    text = "-" if value is None else f"{value:+,.{decimals}f}"
    return f"{text:>{width}}"


def _share(probability: float | None) -> str:
    return "-" if probability is None else f"{probability:.2f}"
