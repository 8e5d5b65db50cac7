"""Several advisors are one: mixed by their record in the regime, silent only where all are."""

import math
import threading

import pytest
from builders import a_question
from msgspec.structs import replace

from trader.adapters.ensemble_advisor import VOTES_KEPT, EnsembleAdvisor
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.hedge import ByRegime, HedgeRules
from trader.advisor.outcomes import Outcome, Won
from trader.advisor.question import Answer, Question, Scores, Trace
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import ConfigurationError, InvariantError

FLAT = a_question(seq=7)  # HOLD, BUY and SELL are valid
BUYER = Scores((math.log(0.2), math.log(0.7), math.log(0.1), None, None, None), 0.9)
SELLER = Scores((math.log(0.1), math.log(0.1), math.log(0.8), None, None, None), 0.5)


class Member:
    """Answers what it was given, or raises it; remembers its life."""

    is_instant = True
    is_calibrated = True

    def __init__(self, name: str, reply: Answer | Exception, start_error: Exception | None = None) -> None:
        self.identity = name
        self.reply = reply
        self.asked: list[int] = []
        self.life: list[str] = []
        self._start_error = start_error

    def start(self) -> None:
        if self._start_error is not None:
            raise self._start_error
        self.life.append("started")

    def ask(self, question: Question) -> Answer:
        self.asked.append(question.seq)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def close(self) -> None:
        self.life.append("closed")


def scored(scores: Scores, reason: str = "", **parts: object) -> Answer:
    choice = max(range(6), key=lambda i: -math.inf if scores.log_probs[i] is None else scores.log_probs[i])
    advice = Advice(action=Action(choice), confidence=0.5, reason=reason) if reason else None
    return replace(Answer(status=AdviceStatus.USED, scores=scores, advice=advice), **parts)


def advised(action: Action, confidence: float, reason: str = "") -> Answer:
    return Answer(status=AdviceStatus.USED, advice=Advice(action=action, confidence=confidence, reason=reason))


def failed(status: AdviceStatus, error: str = "broken") -> Answer:
    return Answer(status=status, error=error)


def an_ensemble(*replies: Answer | Exception, rate: float = 1.0) -> EnsembleAdvisor:
    members = [Member(f"m{i}", reply) for i, reply in enumerate(replies)]
    return EnsembleAdvisor(members, even_weights(len(members), rate), legal_mass_min=0.2)


def even_weights(members: int, rate: float = 1.0) -> ByRegime:
    return ByRegime(HedgeRules(start=(1 / members,) * members, learning_rate=rate, share=0.0))


def outcome(won: Won, seq: int = 7, regime: int = 0) -> Outcome:
    return Outcome(seq=seq, regime=regime, mask=0b111, net_cents=(0, 1, 1, None, None, None), won=won)


BUY_WON: Won = (False, True, False, None, None, None)


def probabilities(answer: Answer) -> list[float | None]:
    assert answer.scores is not None
    return [None if log is None else pytest.approx(math.exp(log)) for log in answer.scores.log_probs]


def test_ensemble_begins_with_the_plain_mean_of_its_members():
    """Probabilities and legal mass are mixed by weight; the visible bar is the question's."""
    answer = an_ensemble(scored(BUYER), scored(SELLER)).ask(FLAT)
    assert answer.status is AdviceStatus.USED
    assert probabilities(answer) == [0.15, 0.4, 0.45, None, None, None]
    assert answer.scores is not None
    assert answer.scores.legal_mass == pytest.approx(0.7)
    assert answer.visible_from_bar == 7


def test_ensemble_reads_advice_without_scores_as_its_confidence_and_an_even_rest():
    """0.6 on BUY leaves 0.2 each for HOLD and SELL; what it leaves to labels is everything."""
    answer = an_ensemble(advised(Action.BUY, 0.6)).ask(FLAT)
    assert probabilities(answer) == [0.2, 0.6, 0.2, None, None, None]
    assert answer.scores is not None
    assert answer.scores.legal_mass == 1.0


def test_ensemble_makes_no_valid_action_impossible():
    """A member that is certain leaves the others a probability with a logarithm."""
    answer = an_ensemble(advised(Action.BUY, 1.0)).ask(FLAT)
    assert answer.scores is not None
    logs = [log for log in answer.scores.log_probs if log is not None]
    assert len(logs) == 3
    assert all(math.isfinite(log) for log in logs)
    assert sum(map(math.exp, logs)) == pytest.approx(1.0, abs=1e-12)


def test_ensemble_gives_the_reason_of_the_heaviest_that_agrees():
    """Neither that of the first who agrees, nor that of as heavy a one who says something else."""
    members = [
        Member("m0", scored(BUYER, "up")),
        Member("m1", advised(Action.SELL, 0.95, "down")),
        Member("m2", advised(Action.BUY, 0.9)),
    ]
    ensemble = EnsembleAdvisor(members, even_weights(3, rate=0.4), legal_mass_min=0.2)
    ensemble.ask(FLAT)
    ensemble.settled(outcome(BUY_WON))  # the second is now the lightest
    members[2].reply = advised(Action.SELL, 0.9, "tired")
    answer = ensemble.ask(FLAT)
    assert answer.advice is not None
    assert (answer.advice.action, answer.advice.reason) == (Action.SELL, "tired")


def test_ensemble_believes_those_more_whose_first_choice_won():
    """By Hedge: after one round with learning rate 1 the loser has 1/e of the winner's weight."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER))
    ensemble.ask(FLAT)
    ensemble.settled(outcome(BUY_WON))
    heavy, light = 1 / (1 + math.exp(-1)), math.exp(-1) / (1 + math.exp(-1))
    expected = [heavy * 0.2 + light * 0.1, heavy * 0.7 + light * 0.1, heavy * 0.1 + light * 0.8, None, None, None]
    assert probabilities(ensemble.ask(FLAT)) == expected


def test_ensemble_keeps_a_record_for_each_regime():
    """What was learned in a trend says nothing of a range."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER))
    before = ensemble.ask(FLAT)
    ensemble.settled(outcome(BUY_WON, regime=1))
    assert ensemble.ask(FLAT).scores == before.scores
    assert ensemble.ask(replace(FLAT, regime=1)).scores != before.scores


@pytest.mark.parametrize(
    "reply",
    [
        OSError("no GPU"),
        failed(AdviceStatus.ERROR),
        failed(AdviceStatus.INVALID),
        failed(AdviceStatus.MISSING),
        scored(replace(SELLER, legal_mass=0.19)),
        scored(replace(SELLER, legal_mass=math.nan)),
        advised(Action.MOVE_TO_BE, 0.9),
        advised(Action.SELL, 1.5),
        Answer(status=AdviceStatus.USED),
    ],
)
def test_ensemble_goes_on_without_a_member_that_has_no_answer_and_leaves_its_weight(reply):
    """It sleeps: neither its silence nor the outcome is held against it."""
    ensemble = an_ensemble(scored(BUYER), reply, advised(Action.SELL, 0.6))
    before = ensemble.state()
    answer = ensemble.ask(FLAT)
    assert probabilities(answer) == [0.2, 0.45, 0.35, None, None, None]
    ensemble.settled(outcome(BUY_WON))
    after = ensemble.state()
    assert after.log_weights[1][1] == pytest.approx(before.log_weights[1][1])
    assert after.log_weights[1][0] > before.log_weights[1][0]
    assert after.log_weights[1][2] < before.log_weights[1][2]


@pytest.mark.parametrize(
    ("replies", "status"),
    [
        ((OSError("no GPU"), failed(AdviceStatus.INVALID)), AdviceStatus.ERROR),
        ((failed(AdviceStatus.INVALID), scored(replace(SELLER, legal_mass=0.1))), AdviceStatus.INVALID),
        ((failed(AdviceStatus.MISSING), failed(AdviceStatus.MISSING)), AdviceStatus.MISSING),
        ((failed(AdviceStatus.MISSING), failed(AdviceStatus.INVALID)), AdviceStatus.ERROR),
    ],
)
def test_ensemble_fails_only_where_all_do_and_says_what_each_said(replies, status):
    """No advice, and nothing to learn from."""
    ensemble = an_ensemble(*replies)
    before = ensemble.state()
    answer = ensemble.ask(FLAT)
    assert (answer.status, answer.advice, answer.scores) == (status, None, None)
    assert answer.error is not None
    assert all(f"m{i}: " in answer.error for i in range(len(replies)))
    ensemble.settled(outcome(BUY_WON))
    assert ensemble.state() == before


def test_ensemble_does_not_swallow_a_broken_invariant():
    """A program that contradicts itself is not outvoted."""
    with pytest.raises(InvariantError):
        an_ensemble(scored(BUYER), InvariantError("impossible")).ask(FLAT)


def test_ensemble_learns_nothing_of_an_outcome_that_cannot_be_judged_or_was_not_asked():
    """An unknown bar, the same outcome twice, an action without a verdict."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER))
    before = ensemble.state()
    ensemble.settled(outcome(BUY_WON, seq=8))
    ensemble.ask(FLAT)
    ensemble.settled(outcome((None,) * 6))
    ensemble.settled(outcome(BUY_WON))
    assert ensemble.state() == before


def test_ensemble_forgets_the_oldest_of_too_many_open_questions():
    """Memory is bounded; the newest are still learned from."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER))
    for seq in range(VOTES_KEPT + 1):
        ensemble.ask(replace(FLAT, seq=seq))
    before = ensemble.state()
    ensemble.settled(outcome(BUY_WON, seq=0))
    assert ensemble.state() == before
    ensemble.settled(outcome(BUY_WON, seq=1))
    assert ensemble.state() != before


def test_ensemble_goes_on_where_another_stood():
    """Weights are kept from run to run."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER))
    ensemble.ask(FLAT)
    ensemble.settled(outcome(BUY_WON))
    other = an_ensemble(scored(BUYER), scored(SELLER))
    other.restore(ensemble.state())
    assert other.ask(FLAT).scores == ensemble.ask(FLAT).scores


def test_ensemble_shows_every_member_in_the_advisor_log():
    """First choice, weight, the reply's text, the common prompt, the time of all calls."""
    trace = Trace(backend="phi3", messages=(("user", "Price"),), reply="BUY | 0.70 | up", latency_ms=12.0)
    ensemble = an_ensemble(
        scored(BUYER, trace=trace, is_batched=True, prompt_sha256="ab"), OSError("no GPU"), advised(Action.SELL, 0.6)
    )
    answer = ensemble.ask(FLAT)
    assert (answer.is_batched, answer.prompt_sha256) == (True, "ab")
    told = answer.trace
    assert told is not None
    assert (told.backend, told.messages, told.latency_ms) == ("ensemble(m0, m1, m2)", (("user", "Price"),), 12.0)
    assert told.reply is not None
    assert told.reply.splitlines() == [
        "m0 (weight 0.500): BUY 0.700 | BUY | 0.70 | up",
        "m1 (weight 0.000): OSError: no GPU",
        "m2 (weight 0.500): SELL 0.600",
    ]


def test_ensemble_starts_and_closes_every_member():
    """In order; a member that fails to close does not keep the others from it."""

    class Stubborn(Member):
        def close(self) -> None:
            msg = "stuck"
            raise OSError(msg)

    members = [Member("a", scored(BUYER)), Stubborn("b", scored(BUYER)), Member("c", scored(BUYER))]
    ensemble = EnsembleAdvisor(members, even_weights(3), legal_mass_min=0.2)
    ensemble.start()
    with pytest.raises(OSError, match="stuck"):
        ensemble.close()
    assert [member.life for member in members] == [["started", "closed"], ["started"], ["started", "closed"]]


def test_ensemble_with_a_member_that_cannot_start_names_it_and_goes_on_with_the_others():
    """Whoever begins without it has the others, and is told how often one was silent."""
    first = Member("a", scored(BUYER))
    second = Member("broken", scored(BUYER), start_error=ConfigurationError("no weights in ./phi3"))
    last = Member("c", scored(BUYER))
    ensemble = EnsembleAdvisor([first, second, last], even_weights(3), legal_mass_min=0.2)
    with pytest.raises(ConfigurationError, match=r"broken.*no weights in ./phi3"):
        ensemble.start()
    assert [member.life for member in (first, second, last)] == [["started"], [], ["started"]]
    second.reply = RuntimeError("not loaded")
    assert ensemble.ask(FLAT).status is AdviceStatus.USED
    assert dict(ensemble.silent) == {second.identity: 1}


@pytest.mark.parametrize(("kinds", "expected"), [((True, True), True), ((True, False), False)])
def test_ensemble_is_called_in_place_only_if_all_members_are(kinds, expected):
    """One that blocks makes the whole block."""
    members = []
    for i, is_instant in enumerate(kinds):
        member = Member(f"m{i}", scored(BUYER))
        member.is_instant = is_instant
        members.append(member)
    assert EnsembleAdvisor(members, even_weights(2), legal_mass_min=0.2).is_instant is expected


def test_ensemble_takes_the_rules_as_a_member():
    """The shipped advisor without a model answers every question."""
    ensemble = EnsembleAdvisor([RulesAdvisor()], even_weights(1), legal_mass_min=0.2)
    ensemble.start()
    answer = ensemble.ask(replace(FLAT, regime=1, price=12_100.0, rsi=60.0))
    assert answer.advice is not None
    assert answer.advice.action is Action.BUY


def test_ensemble_is_asked_and_taught_from_two_threads():
    """No outcome is lost and no weight torn while questions are being answered."""
    ensemble = an_ensemble(scored(BUYER), scored(SELLER), rate=0.001)
    rounds = 2_000
    for seq in range(VOTES_KEPT):
        ensemble.ask(replace(FLAT, seq=seq))

    def teach() -> None:
        for _ in range(rounds // VOTES_KEPT):
            for seq in range(VOTES_KEPT):
                ensemble.settled(outcome(BUY_WON, seq=seq))

    teacher = threading.Thread(target=teach)
    teacher.start()
    sums = []
    for seq in range(rounds):
        answer = ensemble.ask(replace(FLAT, seq=seq % VOTES_KEPT))
        assert answer.scores is not None
        sums.append(math.fsum(math.exp(log) for log in answer.scores.log_probs if log is not None))
    teacher.join()
    assert sums == pytest.approx([1.0] * rounds, abs=1e-9)
