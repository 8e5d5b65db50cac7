"""The end of the page: what each figure means, and how to make the evaluation again."""

from trader.analysis.evaluation import BundleFacts, Evaluation
from trader.page.formats import count, number, usd, words
from trader.page.markup import Markup, tag
from trader.page.sheet import section, terms, text

_DEFINITIONS = (
    (
        "R",
        "A trade's initial risk in dollars: the distance from its entry to its first stop. 1 R won is as much "
        "as the stop would have cost, before commissions.",
    ),
    ("Net P&L", "Dollars of closed trades after commissions and slippage. It runs on over accounts."),
    (
        "Mean session",
        "Net R of the trades that ended in a session, the mean over all sessions; those without a trade count as zero.",
    ),
    (
        "Sharpe ratio",
        "Mean of the sessions' net P&L over their standard deviation, times the root of 252 (Sharpe 1994, "
        "riskless return zero).",
    ),
    ("Sortino ratio", "As the Sharpe ratio, with the deviation of losing sessions only, over all sessions."),
    ("Calmar ratio", "Mean P&L of a year over the maximum drawdown."),
    (
        "Max drawdown",
        "The deepest fall of running P&L below its highest value so far, at sessions' ends. Its range says "
        "where 95 % of resamples had theirs; it is no confidence interval.",
    ),
    ("Profit factor", "What winning trades won over what losing trades lost."),
    ("Expectancy", "Mean net R of a trade."),
    (
        "95 % interval",
        "From a block bootstrap: sessions are drawn with replacement in blocks, so that what hangs together "
        "stays together (Politis and Romano 1994). If it holds zero, the data do not tell the figure from "
        "zero.",
    ),
    (
        "Random entries",
        "Runs with the headline's number of trades, sides, hours and exits at bars drawn by chance, one a "
        "seed. p is twice the share of seeds at least as far out on the headline's side.",
    ),
    (
        "Probabilistic Sharpe ratio",
        "Probability that the true ratio is above zero, given the length of the record, its skew and its "
        "tails (Bailey and Lopez de Prado 2012).",
    ),
    (
        "Deflated Sharpe ratio",
        "The same against the ratio that the best of all configurations tried would reach by luck (Bailey and "
        "Lopez de Prado 2014).",
    ),
    (
        "MAE and MFE",
        "The worst and the best that a trade stood at while it was open. On the bar that ends a trade only "
        "its exit price counts.",
    ),
    (
        "Placebo",
        "The recorded advice given at other times (shuffled), and turned round (inverted). Advice that does "
        "not beat both adds nothing.",
    ),
    ("Brier score", "Mean squared difference between confidence and outcome (won 1, else 0)."),
    ("Time in market", "Share of the entry window's bars with an open position."),
)


def definitions_section(evaluation: Evaluation) -> Markup:
    """Every figure in plain words."""
    return section(evaluation.facts, "definitions", "What the figures mean", terms(_DEFINITIONS))


def reproduce_section(evaluation: Evaluation) -> Markup:
    """The command, hashes, seeds and terms of trade."""
    facts = evaluation.facts
    forced = f"{facts.forced_slippage_ticks:,} at a forced close"
    slippage = f"{count(facts.slippage_ticks, 'tick')} a market or stop fill, {forced}"
    rows = [
        ("Bars", f"{facts.source}, {facts.bars:,} of {facts.bar_minutes} minutes; SHA-256 {facts.bars_sha256}"),
        ("Bars skipped", number(facts.skipped_bars, 0)),
        ("Entry window", f"{facts.entry_window}, {facts.window_bars:,} bars"),
        (
            "Terms",
            f"{facts.qty:,} of {facts.market_name}; {usd(facts.commission_side_usd)} a side; slippage {slippage}",
        ),
        *_model(facts.bundle),
        ("Advisor", words(facts.advisor)),
        ("Settings", f"SHA-256 {facts.settings_sha256}"),
        ("Code", f"version {facts.code_version}"),
        ("Random seeds", _seeds(evaluation)),
        ("Bootstrap", count(facts.bootstrap_resamples, "resample")),
        ("Evaluation", facts.evaluation_id),
    ]
    return section(
        facts,
        "reproduce",
        "How to make it again",
        tag("pre", tag("code", facts.command)),
        terms(rows),
        text("The same bars, model, settings and code give the same record, byte for byte."),
    )


def _model(bundle: BundleFacts | None) -> list[tuple[str, str]]:
    if bundle is None:
        return []
    dates = f"{bundle.training_first_session} to {bundle.training_last_session}"
    return [
        ("Model", f"{bundle.name}, phase {bundle.phase}, {bundle.label}; SHA-256 {bundle.id}"),
        ("Trained on", f"{bundle.market}, {dates}: {bundle.training_description}; SHA-256 {bundle.training_sha256}"),
        ("Training", f"seed {bundle.seed}, {bundle.steps:,} steps"),
    ]


def _seeds(evaluation: Evaluation) -> str:
    band = evaluation.band
    return "none" if band is None else f"{band.first_seed:,} to {band.first_seed + band.seeds - 1:,}"
