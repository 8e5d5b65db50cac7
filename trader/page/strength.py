"""How much the result can bear: costs, ambiguous bars, luck among trials, and walk-forward folds."""

from trader.analysis.evaluation import Evaluation, RunName
from trader.analysis.evaluation_parts import AmbiguousInterval, CostStress, Fold, SharpeEvidence, WalkForward
from trader.page.formats import between, count, number, pct, usd
from trader.page.markup import Markup, tag
from trader.page.sheet import Column, Row, figure, heads, or_none, pair, section, table, text


def strength_section(evaluation: Evaluation) -> Markup:
    """Cost stress, ambiguous bars and the evidence of the Sharpe ratio."""
    return section(
        evaluation.facts,
        "strength",
        "What the result can bear",
        pair(_stress(evaluation), _ambiguous(evaluation.ambiguous)),
        _evidence(evaluation.sharpe),
    )


def walk_forward_section(evaluation: Evaluation) -> Markup | None:
    """The folds; the median is the headline, the spread is shown, the best never."""
    walk = evaluation.walk_forward
    if walk is None:
        return None
    chosen = "train" if walk.mode == "train" else "choose"
    spread = between(number(walk.low_r, 3, signed=True), number(walk.high_r, 3, signed=True))
    told = (
        f"{count(len(walk.folds), 'fold')}: {walk.train_sessions:,} sessions to {chosen} on, {walk.test_sessions:,} to "
        f"test on, {walk.purge_sessions:,} left out between. Median {number(walk.median_r, 3, signed=True)} R a "
        f"session, {spread} over the folds."
    )
    return section(
        evaluation.facts,
        "walk-forward",
        "Walk-forward",
        text(walk.sentence),
        text(told),
        _fold_table(walk),
        _seeds(walk),
    )


def _stress(evaluation: Evaluation) -> Markup:
    stress = evaluation.stress
    if stress is None:
        return figure("Costs", text("The run was not made again at higher costs."))
    return figure("Costs", _stress_table(evaluation, stress), note=stress.sentence)


def _stress_table(evaluation: Evaluation, stress: CostStress) -> Markup:
    facts, own = evaluation.facts, evaluation.runs[0].statistics
    doubled = evaluation.run(RunName.DOUBLE_COSTS)
    again = None if doubled is None else doubled.statistics
    columns = heads("Costs", "As stated", f"Times {stress.factor}")
    rows = [
        ("Commission a side", usd(facts.commission_side_usd), usd(stress.commission_side_usd)),
        ("Slippage, ticks a fill", number(facts.slippage_ticks, 0), number(stress.slippage_ticks, 0)),
        ("Net P&L", usd(own.total_usd.value, 0), usd(stress.total_usd, 0)),
        ("Mean session, R", number(own.mean_r.value, 3, signed=True), number(stress.mean_r, 3, signed=True)),
        ("Sharpe ratio, a year", number(own.sharpe.value), number(stress.sharpe)),
        ("Trades", number(own.trades, 0), number(stress.trades, 0)),
        ("Commissions and slippage", usd(own.costs_usd, 0), usd(None if again is None else again.costs_usd, 0)),
        ("In % of gross profit", pct(own.cost_share_pct), pct(None if again is None else again.cost_share_pct)),
    ]
    return table(columns, [Row(cells=row) for row in rows], caption="The same run at higher costs")


def _ambiguous(ambiguous: AmbiguousInterval) -> Markup:
    columns = heads("Ambiguous bars", number(ambiguous.bars, 0))
    rows = [
        Row(cells=("All booked at the stop (as everywhere on this page)", usd(ambiguous.pessimistic_usd, 0))),
        Row(cells=("All booked at the target", usd(ambiguous.optimistic_usd, 0))),
    ]
    shown = table(columns, rows, caption="Bars that reached stop and target both")
    return figure(
        "Bars that reached stop and target both", shown, note="What came first inside such a bar is not known."
    )


def _evidence(evidence: SharpeEvidence) -> Markup:
    columns = heads("The Sharpe ratio and luck", "Value")
    rows = [
        ("Sessions", number(evidence.sessions, 0)),
        ("Sharpe ratio of a session, not annualised", number(evidence.daily_sharpe, 4)),
        ("Skew and kurtosis of the sessions", f"{number(evidence.skew)}, {number(evidence.kurtosis)}"),
        ("Probability that the true ratio is above zero (probabilistic Sharpe)", _probability(evidence.probabilistic)),
        ("Configurations tried on this market and these dates", number(evidence.trials, 0)),
        ("Ratio of a session that the best of so many reaches by luck", number(evidence.expected_best, 4)),
        ("Probability that the true ratio is above that (deflated Sharpe)", _probability(evidence.deflated)),
        ("Trials are listed in", evidence.trials_file),
    ]
    notes = [tag("p", note, class_="note") for note in evidence.notes]
    shown = table(columns, [Row(cells=row) for row in rows], caption="Probabilistic and deflated Sharpe ratio")
    return figure("Sharpe ratio, trials and luck", shown, *notes)


def _fold_table(walk: WalkForward) -> Markup:
    columns = (
        Column(head="Fold", is_figure=False),
        Column(head="Chosen on", is_figure=False),
        Column(head="Tested on", is_figure=False),
        Column(head="Median, R a session"),
        Column(head="Spread over seeds"),
        Column(head="Picked"),
    )
    return table(columns, [_fold_row(fold) for fold in walk.folds], caption="Folds of the walk-forward")


def _fold_row(fold: Fold) -> Row:
    picked = next((seed.candidate for seed in fold.seeds if seed.is_picked), None)
    return Row(
        cells=(
            number(fold.number, 0),
            f"{fold.train_first} to {fold.train_last}",
            f"{fold.test_first} to {fold.test_last}",
            number(fold.median_r, 3, signed=True),
            between(number(fold.low_r, 3, signed=True), number(fold.high_r, 3, signed=True)),
            or_none(picked),
        )
    )


def _seeds(walk: WalkForward) -> Markup:
    columns = heads("Candidate", "Fold", "Chosen on, R a session", "Tested, R a session", "Tested, net P&L")
    rows = [
        Row(
            style="headline-row" if seed.is_picked else None,
            cells=(
                seed.candidate,
                number(fold.number, 0),
                number(seed.train_mean_r, 3, signed=True),
                number(seed.test_mean_r, 3, signed=True),
                usd(seed.test_total_usd, 0),
            ),
        )
        for fold in walk.folds
        for seed in fold.seeds
    ]
    return tag("details", tag("summary", "Every candidate in every fold"), table(columns, rows, caption="Candidates"))


def _probability(value: float | None) -> str:
    return pct(None if value is None else 100 * value)
