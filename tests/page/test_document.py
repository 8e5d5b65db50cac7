"""The page: complete, closed, and it loads nothing."""

import base64
import hashlib
import re

import pytest
from evaluation_rows import a_trade, a_veto, session_dates
from evaluations import FACTS, a_chart, an_evaluation
from msgspec.structs import replace
from parsed import Parsed, outside

from trader.analysis.evaluation import Claim, Evaluation
from trader.page.document import document

SECTIONS = (
    "verdict",
    "comparison",
    "curves",
    "prices",
    "calendar",
    "trades",
    "figures",
    "advice",
    "calibration",
    "vetoes",
    "strength",
    "walk-forward",
    "list",
    "definitions",
    "reproduce",
)
HOSTILE = "</script><script>alert(1)</script><!--\"'&"
MEGABYTE = 1_000_000


def without_advice(evaluation: Evaluation) -> Evaluation:
    """The same with an advisor that was never asked."""
    headline = evaluation.headline
    silent = replace(headline.advice, asked=0, model_calls=0, by_status={}, cache_hit_pct=None, error_pct=None)
    return replace(evaluation, headline=replace(headline, advice=silent, by_change=(), turned_away=()))


def all_losses() -> Evaluation:
    """Every trade lost."""
    return an_evaluation(12, tuple(a_trade(n, date, -204.5) for n, date in enumerate(session_dates(12), 1)))


@pytest.mark.parametrize(
    "evaluation",
    [
        pytest.param(an_evaluation(30), id="a month"),
        pytest.param(an_evaluation(4, ()), id="no trades"),
        pytest.param(an_evaluation(1, (a_trade(),)), id="one trade in one session"),
        pytest.param(all_losses(), id="all losses"),
        pytest.param(without_advice(an_evaluation(8)), id="no advice"),
        pytest.param(replace(an_evaluation(8), band=None, stress=None), id="no band, no stress"),
        pytest.param(replace(an_evaluation(8), facts=replace(FACTS, bundle=None)), id="a strategy without a model"),
    ],
)
def test_the_page_is_well_formed_and_every_drawing_inside_its_frame(evaluation):
    """Whatever was evaluated: every element closed, every name used once, every section there."""
    page = Parsed(document(evaluation, a_chart(2)))

    assert outside(page) == []
    assert len(page.ids) == len(set(page.ids))
    assert [name for name in SECTIONS if name not in page.ids] == []


def test_the_page_of_an_evaluation_without_folds_has_no_section_for_them():
    """And no link to it."""
    page = Parsed(document(replace(an_evaluation(3), walk_forward=None), a_chart(1)))

    assert "walk-forward" not in page.ids
    assert "#walk-forward" not in page.links


def test_links_inside_the_page_lead_somewhere_and_nothing_is_loaded():
    """One address leads outside: the notice that the chart's licence asks for, which loads nothing by itself."""
    text = document(an_evaluation(5), a_chart(2))
    page = Parsed(text)

    assert {link for link in page.links if not link.startswith("#")} == {"https://www.tradingview.com/"}
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not {"src", "style", "onclick", "onload", "srcset"} & page.attributes
    assert "url(" not in text.split("</style>", maxsplit=1)[0]


def test_the_policy_allows_exactly_the_scripts_and_the_style_of_the_page():
    """Their hashes stand in it; everything else is refused."""
    text = document(an_evaluation(5), a_chart(2))
    page = Parsed(text)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    running = [script for kind, script in page.scripts if kind is None]
    style = text.split("<style>", maxsplit=1)[1].split("</style>", maxsplit=1)[0]

    assert policy is not None
    allowed = dict(part.split(" ", 1) for part in policy[1].replace("&#x27;", "'").split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"].split() == [hash_of(script) for script in running]
    assert allowed["style-src"] == hash_of(style)


def hash_of(content: str) -> str:
    """As a content security policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def test_hostile_names_stay_text():
    """Names come out of files and of users: none of them ends a script or begins one."""
    evaluation = an_evaluation(3, (a_trade(symbol=HOSTILE, reason=HOSTILE, method=HOSTILE),))
    facts = replace(
        evaluation.facts,
        source=HOSTILE,
        strategy=HOSTILE,
        command=HOSTILE,
        mismatches=(HOSTILE,),
        labels=(HOSTILE,),
        claim_reason=HOSTILE,
    )
    vetoed = (a_veto(rules=(HOSTILE,)),)
    headline = replace(evaluation.headline, vetoed=vetoed, actions={HOSTILE: 3})
    chart = replace(a_chart(1), symbols=(HOSTILE,))

    page = Parsed(document(replace(evaluation, facts=facts, headline=headline), chart))

    assert [kind for kind, _ in page.scripts] == ["application/json", "application/json", None, None]
    assert not any("alert(1)</" in script for _, script in page.scripts)
    assert page.text.count("<script>alert(1)</script>") >= 8


@pytest.mark.parametrize("claim", list(Claim))
def test_every_section_says_what_may_be_claimed(claim):
    """The claim and the labels stand in the running head and at the head of each section."""
    evaluation = an_evaluation(3)
    page = Parsed(document(replace(evaluation, facts=replace(FACTS, claim=claim)), a_chart(1)))

    assert page.text.count(claim.value) >= len(SECTIONS) + 1
    assert page.text.count("synthetic bars") >= len(SECTIONS) + 1
    assert evaluation.verdict.sentence in page.text
    assert f"{evaluation.runs[0].accounts_used} account used" in page.text


def test_the_page_tells_the_verdict_the_band_and_the_costs_as_they_are_recorded():
    """Figures are shown, never computed anew."""
    evaluation = an_evaluation(30)
    text = Parsed(document(evaluation, a_chart(2))).text

    assert "Advice adds nothing: shuffled in time it did as well." in text
    assert "At twice the costs the run loses." in text
    assert "trials-NQ-2021-01-04-2021-12-17.jsonl" in text
    assert evaluation.facts.command in text
    assert evaluation.facts.settings_sha256 in text
    assert "1,000 to 1,199" in text  # the random band's seeds


def test_a_years_page_stays_below_three_megabytes():
    """250 sessions, 500 trades and the bars of whole days in quarters of an hour."""
    chart = a_chart(250, minutes=4)  # as many bars as 23 hours of quarters

    assert len(document(an_evaluation(250), chart).encode()) < 3 * MEGABYTE


def test_the_same_record_gives_the_same_page():
    """Nothing of the machine or of the moment is in it."""
    assert document(an_evaluation(6), a_chart(2)) == document(an_evaluation(6), a_chart(2))
