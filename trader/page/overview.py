"""The top of the page: what may be claimed, the verdict in words, and the key figures with their intervals."""

from collections.abc import Callable, Sequence

import numpy as np

from trader.analysis.evaluation import Claim, Evaluation, Facts, RunRecord
from trader.analysis.evaluation_parts import Band, Estimate
from trader.analysis.figures import Label
from trader.analysis.table import SENTENCES
from trader.page.formats import NONE, between, count, in_r, number, pct, sentence, titled, usd, words
from trader.page.markup import Markup, joined, tag
from trader.page.sheet import CLAIM_CLASS, Row, badges, card, cards, heads, section, sign, table, text

_MEANS = {
    Claim.ENGINEERING_RUN: "The figures show that the machinery works, not that it earns.",
    Claim.IN_SAMPLE: "The figures are no evidence of earnings.",
    Claim.OUT_OF_SAMPLE: "The figures are evidence as far as the verdict and the intervals below carry it.",
}


def masthead(evaluation: Evaluation) -> Markup:
    """Title, claim, labels and verdict."""
    facts = evaluation.facts
    used = evaluation.runs[0].accounts_used
    model = facts.strategy if facts.bundle is None else f"{facts.strategy} with {facts.bundle.name}"
    period = f"{facts.first_session} to {facts.last_session}, {count(facts.sessions, 'session')}"
    title = tag("h1", f"{facts.market} evaluation")
    below = tag("p", f"{model} · {facts.source} · {period} · {count(used, 'account')} used", class_="subtitle")
    reason = facts.claim_reason.rstrip(".")
    claim = tag("p", tag("strong", facts.claim.value.capitalize()), f": {reason}. {_MEANS[facts.claim]}")
    notes = [tag("li", label_sentence(label)) for label in facts.labels]
    notes += [tag("li", "Mismatch: ", mismatch) for mismatch in facts.mismatches]
    banner = tag("div", claim, tag("ul", *notes) if notes else None, class_=f"banner {CLAIM_CLASS[facts.claim]}")
    return tag("header", title, below, banner, _accounts(facts, used), class_="masthead")


def running_head(facts: Facts) -> Markup:
    """What stands at the top of every printed page, and above the page while it scrolls."""
    name = tag("span", f"{facts.market} · {facts.strategy} · {facts.evaluation_id}")
    return tag("div", tag("div", name, badges(facts)), class_="running")


def label_sentence(name: str) -> str:
    """What a label means; a name that this version does not know is shown as it is."""
    return SENTENCES[Label(name)] if name in set(Label) else words(name)


def verdict_section(evaluation: Evaluation) -> Markup:
    """The verdict in words and the figures that it rests on."""
    verdict, facts = evaluation.verdict, evaluation.facts
    answer = tag("p", verdict.sentence, class_=f"answer {verdict.kind.name.lower()}")
    question = tag("p", "Does the result differ from random entries with the same trades, sides, hours and exits?")
    said = tag("div", question, answer, class_="verdict")
    return section(
        facts,
        "verdict",
        "Verdict",
        said,
        text(evaluation.split.sentence),
        text(sentence(evaluation.placebo.sentence.partition(". ")[0])),
        _key_figures(evaluation),
    )


def _key_figures(evaluation: Evaluation) -> Markup:
    run, evidence = evaluation.runs[0].statistics, evaluation.sharpe
    trials = f"{count(evidence.trials, 'trial')} on these dates"
    total, mean, expectancy = run.total_usd, run.mean_r, run.expectancy_r
    sides = f"{run.long_trades:,} long, {run.short_trades:,} short; won {pct(run.win_rate_pct)}"
    return cards(
        card("Net P&L", whole_usd(total.value), _told(total, whole_usd), sign(total.value)),
        card("Mean session", in_r(mean.value, 3), _told(mean, mean_r)),
        card("Sharpe ratio, a year", number(run.sharpe.value), _told(run.sharpe, number)),
        card("Max drawdown", whole_usd(run.max_drawdown_usd), _range(run.drawdown_range_usd)),
        card("Profit factor", number(run.profit_factor.value), _told(run.profit_factor, number)),
        card("Expectancy", in_r(expectancy.value, 3), _told(expectancy, mean_r)),
        card("Trades", number(run.trades, 0), sides),
        card("Deflated Sharpe", _probability(evidence.deflated), trials),
    )


def whole_usd(value: float | None) -> str:
    """Dollars without cents."""
    return usd(value, 0)


def mean_r(value: float | None) -> str:
    """A mean in R: three decimals, with sign."""
    return number(value, 3, signed=True)


def comparison_section(evaluation: Evaluation) -> Markup:
    """The headline beside its baselines, ablations and the random band, at the same costs."""
    columns = heads(
        "Run",
        "Net P&L",
        "Mean session, R",
        "Sharpe",
        "Profit factor",
        "Max drawdown",
        "Trades",
        "Win rate",
        "In market",
        "Accounts",
    )
    rows = [_run_row(run, is_headline=index == 0) for index, run in enumerate(evaluation.runs)]
    if evaluation.band is not None:
        rows.insert(1, _band_row(evaluation.band))
    shown = table(columns, rows, caption="Headline, random band, ablations and baselines, at the same costs")
    note = (
        "Small figures are 95 % intervals: of runs from resampling whole sessions in blocks (of a drawdown a range), "
        "of random entries the band in which 95 % of the seeds lie. A run that used more than one account lost the "
        "first and went on with a new one."
    )
    return section(evaluation.facts, "comparison", "Beside its baselines", shown, text(note))


def _run_row(run: RunRecord, *, is_headline: bool) -> Row:
    own = run.statistics
    return Row(
        style="headline-row" if is_headline else None,
        cells=(
            titled(run.title) + (" (headline)" if is_headline else ""),
            _with(usd(own.total_usd.value, 0), _interval(own.total_usd, whole_usd)),
            _with(mean_r(own.mean_r.value), _interval(own.mean_r, mean_r)),
            _with(number(own.sharpe.value), _interval(own.sharpe, number)),
            _with(number(own.profit_factor.value), _interval(own.profit_factor, number)),
            _with(usd(own.max_drawdown_usd, 0), _interval(own.drawdown_range_usd, whole_usd)),
            number(own.trades, 0),
            pct(own.win_rate_pct),
            pct(own.time_in_market_pct),
            number(run.accounts_used, 0),
        ),
    )


def _band_row(band: Band) -> Row:
    sharpes = [value for value in band.sharpes if value is not None]
    return Row(
        style="band-row",
        cells=(
            f"Random entries, median of {count(band.seeds, 'seed')}",
            _with(whole_usd(_quantile(band.totals_usd, 0.5)), _between(band.totals_usd, whole_usd)),
            _with(mean_r(_quantile(band.mean_daily_r, 0.5)), _between(band.mean_daily_r, mean_r)),
            _with(number(_quantile(sharpes, 0.5)), _between(sharpes, number)),
            NONE,
            NONE,
            number(band.matched_trades, 0),
            NONE,
            NONE,
            NONE,
        ),
    )


def _accounts(facts: Facts, used: int) -> Markup:
    limit = f"{usd(facts.start_balance_usd, 0)} with a trailing limit of {usd(facts.trailing_limit_usd, 0)}"
    met = f" It was used up {count(used - 1, 'time')}; a new account went on, and P&L runs on over all."
    return text(f"One account is {limit}.{met if used > 1 else ''}")


def _interval(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    return between(form(estimate.low), form(estimate.high))


def _told(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    shown = _interval(estimate, form)
    return "no interval" if shown == NONE else shown


def _range(estimate: Estimate) -> str:
    shown = between(usd(estimate.low, 0), usd(estimate.high, 0))
    return "no range" if shown == NONE else f"range {shown}"


def _probability(value: float | None) -> str:
    return pct(None if value is None else 100 * value)


def _with(value: str, interval: str) -> Markup:
    """A figure with its interval below it."""
    return joined([value, None if interval == NONE else tag("small", interval)])


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _between(values: Sequence[float], form: Callable[[float | None], str]) -> str:
    return between(form(_quantile(values, 0.025)), form(_quantile(values, 0.975)))
