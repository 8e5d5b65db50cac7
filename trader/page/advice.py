"""What advice was worth, how sure the two were, and what the risk review blocked."""

from collections.abc import Mapping

from trader.analysis.evaluation import Evaluation
from trader.analysis.evaluation_parts import Calibration, Estimate, VetoRow
from trader.page.formats import NONE, between, count, et_text, in_r, number, pct, usd, words
from trader.page.markup import Markup, tag
from trader.page.points import calibration_chart
from trader.page.results import slice_table
from trader.page.sheet import Column, Row, card, cards, figure, heads, pair, section, table, text, trio

ROWS_SHOWN = 400


def advice_section(evaluation: Evaluation) -> Markup:
    """Fusion's rows, what their trades came to, and the placebo."""
    facts, headline = evaluation.facts, evaluation.headline
    return section(
        facts,
        "advice",
        "Advice and fusion",
        text(evaluation.placebo.sentence),
        _placebo(evaluation),
        trio(
            figure("Trades by fusion method at the entry", slice_table("Method", headline.by_method)),
            figure("Trades by who wanted the entry", slice_table("Decider", headline.by_decider)),
            figure("Trades that advice changed", slice_table("Advice", headline.by_change)),
        ),
        trio(
            figure("Decisions by fusion method", _counts("Method", headline.methods)),
            figure("Decisions by action", _counts("Action", headline.actions)),
            figure("What became of the questions", _questions(evaluation)),
        ),
        text(
            "Entries of the strategy that advice replaced, and what each would have made alone, with its plain stop "
            "and target. They may overlap in time: their sum is the result of no account."
        ),
        _listed("replaced entry", "replaced entries", headline.turned_away),
    )


def calibration_section(evaluation: Evaluation) -> Markup:
    """How often trades won, by the confidence at their entry."""
    headline = evaluation.headline
    return section(
        evaluation.facts,
        "calibration",
        "Calibration of confidence",
        text(
            "A confidence is calibrated where the share of trades that won equals it. The strategy's confidence is the "
            "probability of its action, not of a win, so it need not lie on the line; what matters is whether more "
            "confident trades won more often."
        ),
        pair(
            _calibration("calibration-rl", "The strategy's confidence", headline.calibration_rl),
            _calibration("calibration-advice", "The advisor's confidence", headline.calibration_advice),
        ),
    )


def vetoes_section(evaluation: Evaluation) -> Markup:
    """Entries that the review blocked, and what each would have made."""
    headline = evaluation.headline
    return section(
        evaluation.facts,
        "vetoes",
        "Vetoes",
        text(
            "What a vetoed entry would have made is told for each alone, with its plain stop and target. Such trades "
            "may overlap in time: their sum is the result of no account."
        ),
        pair(
            figure(
                "What they would have made",
                slice_table("Rule", headline.vetoed_by_rule),
            ),
            figure("Rules in force", _rules(evaluation)),
        ),
        _listed("vetoed entry", "vetoed entries", headline.vetoed),
    )


def _placebo(evaluation: Evaluation) -> Markup:
    placebo = evaluation.placebo
    pairs = (
        ("Over shuffled advice", placebo.over_shuffled_r),
        ("Over inverted advice", placebo.over_inverted_r),
        ("Over no advice (RL only)", placebo.over_rl_only_r),
    )
    return cards(
        *(card(name, in_r(estimate.value, 3), _interval(estimate)) for name, estimate in pairs),
        card("Verdict on advice", placebo.kind.value, "mean session, R, 95 % intervals"),
    )


def _counts(head: str, counts: Mapping[str, int]) -> Markup:
    whole = sum(counts.values())
    columns = heads(head, "Bars", "Share")
    rows = [
        Row(cells=(words(name) if name.islower() else name, number(value, 0), pct(100 * value / whole, 2)))
        for name, value in counts.items()
        if value
    ]
    return table(columns, rows, caption=f"Decisions by {head.lower()}")


def _questions(evaluation: Evaluation) -> Markup:
    advice = evaluation.headline.advice
    columns = heads("Advisor", words(advice.backend))
    rows = [
        ("Questions", number(advice.asked, 0)),
        ("Calls of a model", number(advice.model_calls, 0)),
        *((f"Became: {name.replace('_', ' ')}", number(value, 0)) for name, value in advice.by_status.items() if value),
        ("Late answers used after all", number(advice.late_used, 0)),
        ("Answered from the cache", pct(advice.cache_hit_pct)),
        ("Errors", pct(advice.error_pct)),
        ("Latency that the replay assumes", f"{advice.assumed_latency_ms:,} ms"),
    ]
    return table(columns, [Row(cells=row) for row in rows], caption="Questions to the advisor")


def _calibration(name: str, title: str, calibration: Calibration | None) -> Markup:
    if calibration is None:
        return figure(title, text("Too few trades carry this confidence to judge it."))
    scale = "0 is right and sure, 0.25 a coin"
    note = f"Brier score {number(calibration.brier, 3)} over {count(calibration.trades, 'trade')} ({scale})."
    return figure(title, calibration_chart(name, title, calibration), note=note)


def _rules(evaluation: Evaluation) -> Markup:
    headline = evaluation.headline
    columns = heads("Rule", "Decisions blocked", "Share of window in force")
    shares = headline.veto_window_share_pct
    rows = [
        Row(cells=(words(rule), number(blocked, 0), pct(shares.get(rule))))
        for rule, blocked in headline.vetoes.items()
        if blocked or shares.get(rule)
    ]
    return table(columns, rows, caption="Rules of the risk review in force")


def _listed(one: str, many: str, blocked: tuple[VetoRow, ...]) -> Markup:
    """Entries that were not made, folded up, with how many of them would have won."""
    if not blocked:
        return text(f"There were no {many}.")
    told = [row.would_be_r for row in blocked if row.would_be_r is not None]
    won = sum(r > 0 for r in told)
    outcome = f": {won:,} of {len(told):,} would have won, mean {in_r(sum(told) / len(told))}" if told else ""
    first = f"; the first {ROWS_SHOWN:,} are listed" if len(blocked) > ROWS_SHOWN else ""
    shown = _blocked_table(blocked[:ROWS_SHOWN], many.capitalize())
    return tag("details", tag("summary", f"{count(len(blocked), one, many)}{outcome}{first}"), shown)


def _blocked_table(blocked: tuple[VetoRow, ...], caption: str) -> Markup:
    columns = (
        Column(head="Time (ET)", is_figure=False),
        Column(head="Side", is_figure=False),
        Column(head="Price"),
        Column(head="Bars"),
        Column(head="Rules", is_figure=False),
        Column(head="Fusion", is_figure=False),
        Column(head="Confidence RL"),
        Column(head="Advice"),
        Column(head="Would have made"),
        Column(head="in R"),
    )
    rows = [
        Row(
            cells=(
                et_text(row.decided_ns, row.et_offset_s),
                row.side,
                number(row.price),
                number(row.bars, 0),
                ", ".join(words(rule).lower() for rule in row.rules) or NONE,
                words(row.method),
                number(row.rl_confidence),
                number(row.advice_confidence),
                usd(row.would_be_usd),
                number(row.would_be_r, 2, signed=True),
            )
        )
        for row in blocked
    ]
    return table(columns, rows, caption=caption)


def _interval(estimate: Estimate) -> str:
    shown = between(number(estimate.low, 3, signed=True), number(estimate.high, 3, signed=True))
    return "no interval" if shown == NONE else shown
