"""Advice that knows nothing: what is left of the real one, and what is not."""

from collections import Counter

import pytest
from evaluation_builders import beside, done, settings
from line_builders import drive
from line_fakes import FakeAdvisor

from trader.advisor.question import Answer, Question
from trader.advisors import AdvisorChoice, advising
from trader.analysis.evaluation import RunName
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.domain.instruments import instrument
from trader.evaluation.placebo import InvertedAdvisor, ShuffledAdvisor, recorded_advice
from trader.evaluation.runs import plan_runs, variant
from trader.evaluation.witness import Exchange

ANY = 63
FLAT_MASK = 0b111


def an_advice(action: Action, confidence: float = 0.5) -> Advice:
    return Advice(action=action, confidence=confidence, reason="")


def a_question(seq: int = 0, *, position_qty: int = 0, mask: int = ANY) -> Question:
    """A question of which only these matter here."""
    zeros = dict.fromkeys(Question.__struct_fields__, 0)
    texts = dict.fromkeys(("market", "symbol", "market_name", "time_et"), "")
    return Question(**(zeros | texts | {"seq": seq, "position_qty": position_qty, "mask": mask}))


def ask(advisor: ShuffledAdvisor | InvertedAdvisor, question: Question) -> Answer:
    """The answer, at once."""
    answers: list[Answer] = []

    async def asking() -> None:
        answers.append(await advisor.answer(question))

    drive(asking())
    return answers[0]


RECORDED = [
    *(
        Exchange(seq, True, an_advice(action, seq / 100))
        for seq, action in enumerate([*[Action.BUY] * 15, Action.SELL])
    ),
    *(Exchange(50 + seq, False, an_advice(Action.MOVE_TO_BE, seq / 100)) for seq in range(5)),
]


def given(seed: int, count: int, *, position_qty: int = 0) -> list[Advice | None]:
    advisor = ShuffledAdvisor(RECORDED, seed)
    return [ask(advisor, a_question(seq, position_qty=position_qty)).usable for seq in range(count)]


def test_shuffled_advice_is_the_same_advice_in_another_order_and_repeats():
    """Each of the sixteen on entries once, then all again in the same order; other seeds, other orders."""
    entries = [one.advice for one in RECORDED if one.is_flat]
    first = given(1, 32)

    assert sorted(first[:16], key=lambda it: it.confidence) == entries != first[:16]
    assert first[16:] == first[:16] == given(1, 16)
    assert given(2, 16) != first[:16]


def test_shuffled_advice_on_positions_is_drawn_from_that_on_positions():
    """Who was told about a position does not answer about an entry."""
    assert {advice.action for advice in given(1, 10, position_qty=-1)} == {Action.MOVE_TO_BE}


def test_shuffled_advice_outside_the_mask_is_masked_and_without_any_is_an_error():
    """It reaches fusion in neither case, and both are counted."""
    advisor = ShuffledAdvisor([one for one in RECORDED if one.is_flat], 1)

    masked = ask(advisor, a_question(mask=1))
    nothing = ask(advisor, a_question(position_qty=1))

    assert (masked.status, nothing.status) == (AdviceStatus.MASKED, AdviceStatus.ERROR)
    assert masked.usable is nothing.usable is None
    counts = advisor.counts()
    assert (counts.asked, counts.by_status[AdviceStatus.MASKED], counts.by_status[AdviceStatus.ERROR]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (Action.BUY, Action.SELL),
        (Action.SELL, Action.BUY),
        (Action.HOLD, Action.HOLD),
        (Action.MOVE_TO_BE, Action.MOVE_TO_BE),
        (Action.ENABLE_TRAIL, Action.ENABLE_TRAIL),
        (Action.DISABLE_TRAIL, Action.DISABLE_TRAIL),
    ],
)
def test_inverted_advice_exchanges_buy_and_sell_and_nothing_else(said, told):
    """With the confidence it had; twice inverted it is what it was."""
    inner = FakeAdvisor()
    inner.action = said

    advice = ask(InvertedAdvisor(inner), a_question()).usable
    again = ask(InvertedAdvisor(InvertedAdvisor(inner)), a_question()).usable

    assert advice is not None
    assert again is not None
    assert (advice.action, advice.confidence, again.action) == (told, 1.0, said)


def test_inverted_advice_outside_the_mask_is_masked():
    """Selling is not valid here, though buying was."""
    inner = FakeAdvisor()
    inner.action = Action.BUY

    answer = ask(InvertedAdvisor(inner), a_question(mask=0b011))

    assert (answer.status, answer.usable) == (AdviceStatus.MASKED, None)


def test_recorded_advice_is_that_of_its_own_bar():
    """Nothing at the bars at which nothing was said."""
    advise = recorded_advice(RECORDED)

    assert advise(a_question(15)) == RECORDED[15].advice
    assert advise(a_question(16)) is None


def test_in_a_run_the_first_advice_on_an_entry_is_inverted():
    """The first that the headline was given that says a side: same bar, other side, same confidence."""
    headline, inverted = done().witness.exchanges, beside(RunName.PLACEBO_INVERTED).witness.exchanges
    place = next(i for i, one in enumerate(headline) if one.advice.action in {Action.BUY, Action.SELL})

    assert headline[:place] == inverted[:place]
    assert headline[place].seq == inverted[place].seq
    assert {headline[place].advice.action, inverted[place].advice.action} == {Action.BUY, Action.SELL}
    assert headline[place].advice.confidence == inverted[place].advice.confidence


def test_in_a_run_shuffled_advice_keeps_the_mix_of_entries_and_loses_their_time():
    """As often each action as the headline's advice on entries said, give or take the last round through the list."""
    headline, shuffled = done().witness.exchanges, beside(RunName.PLACEBO_SHUFFLED).witness.exchanges
    said = Counter(one.advice for one in headline if one.is_flat)
    told = Counter(one.advice for one in shuffled if one.is_flat)

    assert told.keys() <= said.keys()
    assert sum((told - said).values()) < 0.1 * said.total() or told.total() > said.total()
    assert [one.advice for one in headline[:20]] != [one.advice for one in shuffled[:20]]


def test_without_an_advisor_the_headline_is_the_strategy_alone():
    """Fused with nobody is RL only, to the trade; and there is nothing to make placebos of."""
    alone = done("advisor.backend=off")
    rl_only = beside(RunName.RL_ONLY)

    assert alone.witness.trades == rl_only.witness.trades != done().witness.trades
    assert {RunName.RL_ONLY, RunName.PLACEBO_SHUFFLED}.isdisjoint(plan_runs(alone.settings, 1).names)


def test_advice_alone_trades_as_the_rules_say():
    """Every entry is one that the rules advisor gives at that bar; the strategy's own are gone."""
    made = beside(RunName.ADVICE_ONLY)

    assert made.witness.trades
    assert made.witness.exchanges == []
    assert all(trade.cause.advice is None for trade in made.witness.trades)
    assert {trade.cause.seq for trade in made.witness.trades} != {trade.cause.seq for trade in done().witness.trades}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (RunName.FUSED, {}),
        (RunName.RL_ONLY, {"advisor": {"backend": "off"}}),
        (RunName.ADVICE_ONLY, {"advisor": {"backend": "off"}}),
        (RunName.PLACEBO_SHUFFLED, {}),
        (RunName.PLACEBO_INVERTED, {}),
        (RunName.NO_VETO, {"risk": {"enable_risk_veto": False}}),
        (
            RunName.DOUBLE_COSTS,
            {"execution": {"slippage_ticks": 2, "commission_side_usd": 4.5}, "risk": {"max_cost_share": 0.4}},
        ),
        (RunName.FLAT, {"advisor": {"backend": "off"}, "strategy": {"name": "flat", "options": {}}}),
        (RunName.SMA_CROSS, {"advisor": {"backend": "off"}, "strategy": {"name": "sma_cross", "options": {}}}),
        (RunName.BUY_AND_HOLD, {"advisor": {"backend": "off"}, "strategy": {"name": "buy_and_hold", "options": {}}}),
    ],
)
def test_a_variant_changes_what_its_name_says_and_nothing_else(name, changed):
    """The headline's settings, key by key."""
    before, after = settings().model_dump(mode="json"), variant(settings(), name).model_dump(mode="json")

    assert {
        section: {key: value for key, value in after[section].items() if value != before[section][key]}
        for section in after
        if after[section] != before[section]
    } == changed


def test_every_named_run_is_planned_where_there_is_advice_and_a_veto():
    """All of them but the headline itself, each once."""
    assert sorted([RunName.FUSED, *plan_runs(settings(), 1).names]) == sorted(RunName)


def test_the_advisor_of_a_replay_is_the_one_that_the_settings_name():
    """Inverted advice asks the real one: off means that nobody is asked."""
    off = advising(settings("advisor.backend=off"), instrument("NQ"), AdvisorChoice(is_patient=True))
    assert type(off.advisor).__name__ == "OffAdvisor"
