"""Writes docs/model-card.md out of records: the shipped bundle, the run that made it, its evaluations.

    python scripts/make_model_card.py RUN EVALUATION...

RUN is the folder of `trader train`, each EVALUATION one of `trader evaluate`. No figure is typed by hand; no market
data goes into the page.
"""

import argparse
from pathlib import Path

from trader.analysis.evaluation import Claim, Evaluation, RunName, RunRecord, read_evaluation
from trader.analysis.evaluation_parts import Estimate
from trader.domain.sessions import Calendar
from trader.observation import schema_hash
from trader.policy.bundle import EMBEDDED, Bundle, load_bundle
from trader.training.choice import choose, finished, kept
from trader.training.phases import Phase

CARD = Path(__file__).parent.parent / "docs" / "model-card.md"
RUNS = (RunName.FUSED, RunName.RL_ONLY, RunName.NO_VETO, RunName.DOUBLE_COSTS, RunName.SMA_CROSS, RunName.BUY_AND_HOLD)


def main() -> None:
    """Read, check that all records are of one bundle, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("evaluations", type=Path, nargs="+")
    wanted = parser.parse_args()
    bundle = load_bundle(
        EMBEDDED, schema_hash=schema_hash(), calendar_sha256=Calendar.load().sha256, bar_minutes=None, has_volume=None
    )
    evaluations = [read_evaluation(folder) for folder in wanted.evaluations]
    for folder, evaluation in zip(wanted.evaluations, evaluations, strict=True):
        told = evaluation.facts.bundle
        if told is None or told.id != bundle.id:
            parser.error(f"{folder}: is not of the shipped bundle {bundle.id[:16]}")
    CARD.write_text("\n".join(_page(bundle, wanted.run, evaluations)) + "\n", "utf-8")


def _page(bundle: Bundle, run: Path, evaluations: list[Evaluation]) -> list[str]:
    return [
        "# The shipped model",
        "",
        "Made by `python scripts/make_model_card.py`; every figure is read from a record.",
        "",
        *_verdict(evaluations),
        *_identity(bundle),
        *_seeds(run),
        *_results(evaluations),
        *_beside(evaluations),
        *_limits(),
    ]


def _verdict(evaluations: list[Evaluation]) -> list[str]:
    unseen = [one for one in evaluations if one.facts.claim is Claim.OUT_OF_SAMPLE and one.split.relation == "newer"]
    lines = ["## What it is worth", ""]
    for one in unseen:
        lines += [f"**{_dates(one)}, out of sample:** {one.verdict.sentence}", "", one.placebo.sentence, ""]
    return lines


def _identity(bundle: Bundle) -> list[str]:
    manifest = bundle.manifest
    origin = manifest.provenance
    parameters = ", ".join(f"{name} {value}" for name, value in sorted(origin.hyper_parameters.items()))
    widths = "-".join(map(str, (manifest.inputs.width, *manifest.hidden, manifest.actions)))
    return [
        "## What it is",
        "",
        f"- Bundle `{bundle.id[:16]}`, network {widths} ({manifest.activation.value}), {manifest.phase}, seed "
        f"{origin.seed}, {origin.steps:,} steps of that phase.",
        f"- Learned from: {origin.training.description}, sessions {origin.training.first_session} to "
        f"{origin.training.last_session}; SHA-256 of the bars `{origin.training.sha256[:16]}`. The bars are not part "
        "of the project, nor can they be rebuilt from anything in it.",
        f"- Code version {origin.code_version}. {origin.note}",
        f"- Parameters: {parameters}.",
        "",
    ]


def _seeds(run: Path) -> list[str]:
    chosen = choose(run)
    lines = [
        "## Seeds",
        "",
        "Each seed went through all phases. The weights kept are those of the evaluation with the highest mean daily "
        "net R on the validation dates; the seed shipped is the median one of phase 3, never the best. With one "
        "standard error of a year's mean near 0.2 R, the differences between checkpoints and seeds are mostly "
        "luck, and so is the height of a value that was the highest of several.",
        "",
        "| phase | seed | kept at step | validation: mean daily net R | trades | win rate | shipped |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in finished(run):
        found = kept(record)
        if found is not None:
            is_it = "yes" if (record.phase, record.seed) == (chosen.phase, chosen.seed) else ""
            lines.append(
                f"| {Phase(record.phase).value} | {record.seed} | {found.steps:,} | {found.daily_net_r:+.3f} | "
                f"{found.trades:,} | {found.win_rate:.1%} | {is_it} |"
            )
    return [*lines, ""]


def _results(evaluations: list[Evaluation]) -> list[str]:
    lines = [
        "## Results, net of costs",
        "",
        "One contract, commissions and slippage on, accounts replaced when exhausted, advisor as configured. R is a "
        "trade's initial risk; intervals are 95 % by block bootstrap; the band holds 95 % of random strategies with as "
        "many trades of the same kind.",
        "",
        "| dates | claim | net $ | trades | mean R a session | random band | differs from luck | Sharpe | profit "
        "factor | deepest fall $ | accounts |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in evaluations:
        told = one.runs[0].statistics
        lines.append(
            f"| {_dates(one)} | {one.facts.claim.value} | {_usd(told.total_usd.value)} | {told.trades:,} | "
            f"{_estimate(told.mean_r)} | {_band(one)} | {one.verdict.kind.value} | {_estimate(told.sharpe, 2)} | "
            f"{_estimate(told.profit_factor, 2, '')} | {_usd(-told.max_drawdown_usd)} | {one.runs[0].accounts_used} |"
        )
    costs = evaluations[0].facts
    return [
        *lines,
        "",
        f"Costs: {costs.commission_side_usd:.2f} $ a contract and side, {costs.slippage_ticks} tick of slippage a "
        "market or stop fill.",
        "",
    ]


def _beside(evaluations: list[Evaluation]) -> list[str]:
    lines = [
        "Mean R a session of what ran beside it:",
        "",
        "| dates | " + " | ".join(name.value for name in RUNS) + " |",
        "|---|" + "---|" * len(RUNS),
    ]
    for one in evaluations:
        cells = [_mean(one.run(name)) for name in RUNS]
        lines.append(f"| {_dates(one)} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _limits() -> list[str]:
    return [
        "## Limits",
        "",
        "- One instrument (NQ), one-minute bars, regular hours, one contract, the shipped paper profile's stops, costs "
        "and limits. Elsewhere it is a guess.",
        "- Fills are simulated: market orders at the next bar's open with a tick of slippage, targets only when traded "
        "through. Real fills differ.",
        "- Three years of bars in which the market mostly rose; three seeds; little tuning. Stopping and seed were "
        "chosen on 2022 alone, which therefore is no evidence; 2023 was evaluated once, with everything frozen.",
        "- The micro contract (MNQ) is the same index: its dates count as seen too.",
        "- It is shipped so that a fresh installation has a real model to run. It is no advice to trade.",
    ]


def _dates(one: Evaluation) -> str:
    return f"{one.facts.first_session} to {one.facts.last_session}"


def _mean(run: RunRecord | None) -> str:
    return "-" if run is None else _estimate(run.statistics.mean_r)


def _estimate(found: Estimate, decimals: int = 3, sign: str = "+") -> str:
    if found.value is None:
        return "-"
    text = f"{found.value:{sign}.{decimals}f}"
    if found.low is None or found.high is None:
        return text
    return f"{text} [{found.low:{sign}.{decimals}f}, {found.high:{sign}.{decimals}f}]"


def _band(one: Evaluation) -> str:
    if one.band is None:
        return "-"
    values = sorted(one.band.mean_daily_r)
    cut = round(0.025 * (len(values) - 1))
    return f"{values[cut]:+.3f} to {values[-1 - cut]:+.3f}"


def _usd(value: float | None) -> str:
    return "-" if value is None else f"{value:+,.0f}"


if __name__ == "__main__":
    main()
