"""A recording is filled until a backtest asks nothing that it cannot answer, or as far as was allowed."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest
from builders import a_question
from msgspec.structs import replace
from prefill_builders import HEAD, PROMPTS, Bars, Model, dice

from trader.adapters.recording_file import Key, Recorded, RecordingFile, read_recording
from trader.advisor.question import Answer, Scores, Trace
from trader.commands.advisor_prefill import ERRORS_IN_A_ROW, one_by_one, recordable, sparing
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import ConfigurationError, InputError
from trader.evaluation.prefill import (
    AnsweredAtOnce,
    Missing,
    MissingWatch,
    PrefillRules,
    prefill,
)

RULES = PrefillRules(passes=5, batch=16)


def nobody(*_: int) -> None:
    """Nobody looks."""


def test_prefill_goes_on_until_no_question_is_new(tmp_path):
    """Every pass answers what the one before has made new, in batches; the last replay misses nothing."""
    model, told = Model(), []
    with RecordingFile(tmp_path / "r.jsonl", HEAD) as file:
        rules = PrefillRules(passes=1_000, batch=16)
        done = prefill(Bars(file).once, model, file, rules, lambda *now: told.append(now))
    first, *_, last = done.passes
    assert 3 < len(done.passes) < 1_000
    assert first.questions == first.missing >= first.new == first.answered > 0
    assert (last.missing, last.new, last.answered, done.missing_left) == (0, 0, 0, 0)
    assert done.answers == sum(one.answered for one in done.passes) == sum(model.batches)
    assert max(model.batches) == 16
    assert told[0] == (1, 0, first.new)
    assert (1, first.new, first.new) in told


def test_prefill_ends_after_its_passes_and_says_what_is_left(tmp_path):
    """Two are answered, a third replay counts."""
    with RecordingFile(tmp_path / "r.jsonl", HEAD) as file:
        done = prefill(Bars(file).once, Model(), file, PrefillRules(passes=2, batch=64), nobody)
        again = Bars(file).once()
    assert [one.answered > 0 for one in done.passes] == [True, True, False]
    assert done.missing_left == done.passes[-1].missing == again.unanswered > 0


def test_prefill_that_is_interrupted_keeps_what_was_answered_and_goes_on_from_there(tmp_path):
    """Whole batches are kept, and nothing is asked twice."""
    path = tmp_path / "r.jsonl"
    with RecordingFile(path, HEAD) as file, pytest.raises(KeyboardInterrupt):
        prefill(Bars(file).once, Model(most=40), file, RULES, nobody)
    kept = dict(read_recording(path).answers)
    assert len(kept) == 32
    with RecordingFile(path, HEAD) as file:
        done = prefill(Bars(file).once, model := Model(), file, RULES, nobody)
    assert done.passes[0].missing < done.passes[0].questions
    answers = read_recording(path).answers
    assert kept.items() <= answers.items()
    assert len(kept) + sum(model.batches) == len(answers) == done.answers


def test_prefill_stops_where_a_pass_answers_nothing(tmp_path):
    """A server that is away is not asked for ever, and what is missing is said."""
    with RecordingFile(tmp_path / "r.jsonl", HEAD) as file:
        done = prefill(Bars(file).once, lambda batch: {}, file, RULES, nobody)
    assert len(done.passes) == 1
    assert done.missing_left == done.passes[0].missing > 0


def test_recording_that_is_completed_at_once_misses_nothing_in_the_next_replay(tmp_path):
    """One replay in which what is missing is asked there and then, however much its answers change."""
    with RecordingFile(tmp_path / "r.jsonl", HEAD) as file:
        bars, model = Bars(file), Model()
        backend = AnsweredAtOnce(bars.recorded(), model, file, PROMPTS)
        completed = bars.watched(backend)
        again = bars.once()
    assert set(model.batches) == {1}
    assert backend.answered == len(model.batches) == len(read_recording(tmp_path / "r.jsonl").answers)
    assert (completed.unanswered, again.unanswered) == (0, 0)
    assert again.questions == completed.questions > 0


def test_recording_that_cannot_be_written_while_it_is_completed_tells_so(tmp_path):
    """The asker would take it for a fault of the model: it is kept to be raised afterwards."""

    def contradicting(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        return {Key(one.prompt.sha256, one.question.mask): Scores((None,) * 6, 1.0) for one in batch}

    with RecordingFile(tmp_path / "r.jsonl", HEAD) as file:
        bars = Bars(file)
        backend = AnsweredAtOnce(bars.recorded(), contradicting, file, PROMPTS)
        watch = bars.watched(backend)
    assert isinstance(backend.trouble, InputError)
    assert watch.unanswered == watch.questions > 0


def exchange(reply: str | None, **answer: object) -> tuple[Missing, Answer]:
    """A question that was answered in words."""
    question = a_question()
    made = Answer(status=AdviceStatus.USED, trace=Trace(backend="openai", messages=(), reply=reply))
    return Missing(question, PROMPTS.render(question)), replace(made, **answer)


def advice(action: Action = Action.BUY, confidence: float = 0.8, reason: str = "trend up") -> Advice:
    return Advice(action=action, confidence=confidence, reason=reason, raw=confidence, verbal=confidence)


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("BUY | 0.80 | trend up", "BUY | 0.80 | trend up"),
        ("RSI is fine.\nBUY | 0.80 | trend up", "BUY | 0.80 | trend up"),
        ('{"action": "BUY", "confidence": 0.8}', "BUY | 0.8 | trend up"),
        (None, "BUY | 0.8 | trend up"),
    ],
)
def test_reply_is_recorded_as_the_line_that_gives_the_same_advice_again(reply, line):
    """As it was written where that can be read again, without the thought, or in the format."""
    assert recordable(*exchange(reply, advice=advice())) == line


def test_reply_that_was_no_advice_is_recorded_as_such():
    """It would be refused again: it is not asked again."""
    assert recordable(*exchange("perhaps", status=AdviceStatus.INVALID)) == "perhaps"


@pytest.mark.parametrize("status", [AdviceStatus.ERROR, AdviceStatus.MISSING])
def test_failure_is_not_recorded(status):
    """It is asked again by the next pass."""
    assert recordable(*exchange("BUY | 0.80 | trend up", status=status)) is None


def test_scores_are_recorded_whole():
    """Whatever else the answer says."""
    missing, answer = exchange("BUY")
    scores = dice(missing.question, missing.prompt)
    assert recordable(missing, replace(answer, scores=scores)) == scores


class Failing:
    """A server that answers as it is told to, in order."""

    def __init__(self, *statuses: AdviceStatus) -> None:
        self.statuses = list(statuses)

    def ask(self, question):
        return exchange("BUY | 0.80 | trend up", status=self.statuses.pop(0), advice=advice(), error="503")[1]


def some_questions(count: int) -> list[Missing]:
    return [
        Missing(asked, PROMPTS.render(asked)) for asked in (replace(a_question(), rsi=float(i)) for i in range(count))
    ]


def test_server_that_errs_again_and_again_ends_the_recording():
    """A dead one would cost its timeout at each of thousands of questions; one that recovers is forgiven."""
    used, error = AdviceStatus.USED, AdviceStatus.ERROR
    fewer = [error] * (ERRORS_IN_A_ROW - 1)
    forgiven = one_by_one(Failing(*fewer, used, *fewer, used))(some_questions(2 * ERRORS_IN_A_ROW))
    assert len(forgiven) == 2
    with pytest.raises(ConfigurationError, match="503"):
        one_by_one(Failing(used, *fewer, error))(some_questions(ERRORS_IN_A_ROW + 1))


def test_question_that_cannot_be_scored_costs_its_own_answer_only(capsys):
    """One prompt that is too long must not end a night's work."""
    questions = some_questions(5)
    model = Model()

    def answering(batch: Sequence[Missing]) -> Mapping[Key, Recorded]:
        if questions[2] in batch:
            msg = "the prompt has 1,700 tokens"
            raise ConfigurationError(msg)
        return model(batch)

    answers = sparing(answering)(questions)
    assert [key.prompt_sha256 for key in answers] == [questions[i].prompt.sha256 for i in (0, 1, 3, 4)]
    assert "1,700 tokens" in capsys.readouterr().err


class Quiet:
    """A router without news."""

    has_news = False


def test_watch_collects_each_missing_question_once_and_leaves_the_cache_out():
    """What was answered, asked nobody, or came from the cache is not missing."""
    question = a_question()
    watch = MissingWatch(PROMPTS.render)
    missing, used = Answer(status=AdviceStatus.MISSING), Answer(status=AdviceStatus.USED, advice=advice())
    cached = replace(used, status=AdviceStatus.CACHED, from_cache=True)
    for asked, answer in ((question, missing), (question, missing), (question, used), (question, cached), (None, None)):
        watch.bar(SimpleNamespace(question=asked), answer, None, None, Quiet())
    assert (watch.questions, watch.unanswered) == (3, 2)
    prompt = PROMPTS.render(question)
    assert watch.missing == {Key(prompt.sha256, question.mask): Missing(question, prompt)}
