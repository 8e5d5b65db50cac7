"""Questions to warm a model up with have nothing in common but what every question has."""

from itertools import combinations

import pytest
from prompt_builders import shipped_rules

from trader.advisor.probes import probe_questions
from trader.advisor.prompt import PromptMaker
from trader.domain.actions import actions_in
from trader.domain.instruments import instrument

PROBES = probe_questions(instrument("NQ"))


@pytest.mark.parametrize("template", ["context_template", "context_template_cached"])
def test_no_two_probes_share_a_printed_figure(template: str) -> None:
    """Line by line of the user's text: what two of them share is constant in the template, or the market's name."""
    maker = PromptMaker(shipped_rules(template))
    texts = [maker.render(question).messages[-1].content.splitlines() for question in PROBES]
    assert len({len(lines) for lines in texts}) == 1
    for one, other in combinations(texts, 2):
        shared = [a for a, b in zip(one, other, strict=True) if a == b and any(letter.isdigit() for letter in a)]
        assert shared == ["Market: E-mini Nasdaq-100"]


def test_probes_could_be_asked() -> None:
    """Each leaves a choice, flat, long and short, and its stop is on the losing side or trails."""
    assert [question.position_qty for question in PROBES] == [0, 1, -1]
    assert all(len(actions_in(question.mask)) > 1 for question in PROBES)
    assert len({question.mask for question in PROBES}) == 3
    assert {question.market_name for question in probe_questions(instrument("ES"))} == {instrument("ES").name}
