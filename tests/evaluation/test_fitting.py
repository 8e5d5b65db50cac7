"""A fit learns from the training dates alone, and tries bounds with answers that stand in."""

import pytest
from builders import MINUTE_NS, a_question
from evaluation_builders import market, settings
from msgspec.structs import replace
from prefill_builders import HEAD, PROMPTS, SESSIONS, Bars, Model, dice

from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import Key, Recording, RecordingFile, read_recording
from trader.domain.decisions import AdviceStatus
from trader.errors import InputError
from trader.evaluation.fit import FitResult, Fitting, StandIns, SteadyAnswers
from trader.evaluation.prefill import AnsweredAtOnce
from trader.learning import Thresholds

IN_FORCE = Thresholds(override_high=0.9, uncertain_below=0.5)
GRID = (
    IN_FORCE,
    Thresholds(override_high=1.0, uncertain_below=0.5),
    Thresholds(override_high=0.7, uncertain_below=0.6),
)
# The strategy is always sure: it overrules the advice below 1.0, and yields to most of it at 1.0.
SETTINGS = settings("advisor.backend=phi3", "execution.entry_window=rth", "fusion.llm_weight=0.9")
QUESTION = a_question(seq=7)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """All that a backtest with the bounds in force asks."""
    path = tmp_path_factory.mktemp("fit") / "r.jsonl"
    with RecordingFile(path, HEAD) as file:
        bars = Bars(file, SETTINGS)
        bars.watched(AnsweredAtOnce(bars.recorded(), Model(), file, PROMPTS))
    return read_recording(path)


def fit(recording: Recording) -> tuple[FitResult, int]:
    """A fit on a small grid, and how many backtests it took."""
    told = []
    result = Fitting(market(SESSIONS), SETTINGS, recording, PROMPTS, lambda: told.append(1)).fit(GRID)
    return result, len(told)


def test_fit_learns_the_calibration_of_a_run_and_searches_the_bounds(recording):
    """One run with the bounds in force, two more points in each of three regimes; the dates are the bars'."""
    result, backtests = fit(recording)
    found = result.found
    assert backtests == 1 + 3 * 2
    assert (result.first_session, result.last_session) == ("2022-02-28", "2022-03-09")
    assert (found.before.missing, found.before.stood_in) == (0, 0)
    assert found.before.questions > 0
    assert sum(len(one.numbers) for one in result.calibration.calibrators) > 20
    assert result.calibration.pending == ()
    assert found.after.mean_r is not None
    assert found.before.mean_r is not None
    assert found.after.mean_r >= found.before.mean_r


def test_fit_has_answers_stand_in_where_other_bounds_make_other_trades(recording):
    """The recording knows only the account of its own run; without stand-ins nobody would be heard."""
    tried = fit(recording)[0].found.tried
    others = [one.worth for one in tried if one.worth.stood_in]
    assert others
    assert all(worth.missing < worth.questions / 2 for worth in others)


def test_fit_gives_the_same_result_twice(recording):
    """Nothing in it is random."""
    assert fit(recording) == fit(recording)


def test_fit_on_a_recording_of_other_bars_is_refused(recording):
    """With the remedy, after the first run."""
    with pytest.raises(InputError, match=r"none of \d+ questions.*trader advisor prefill"):
        fit(Recording(recording.head, {}))


def test_stand_in_is_the_last_answer_to_a_question_like_it():
    """The same valid actions and side, at most five minutes old, never from later."""
    stand_ins = StandIns()
    first, second = dice(QUESTION, PROMPTS.render(QUESTION)), "HOLD | 0.50 | calm"
    stand_ins.add(QUESTION, first)
    stand_ins.add(replace(QUESTION, ts_close_ns=QUESTION.ts_close_ns + 2 * MINUTE_NS), second)

    def found(minutes: int, **changes: int) -> object:
        return stand_ins.find(replace(QUESTION, ts_close_ns=QUESTION.ts_close_ns + minutes * MINUTE_NS, **changes))

    assert [found(minutes) for minutes in (-1, 0, 1, 2, 7, 8)] == [None, first, first, second, second, None]
    assert found(0, mask=0b11) is None
    assert found(0, position_qty=1) is None


def test_steady_answers_prefer_what_was_recorded():
    """A stand-in is for what the recording lacks; what both lack is missing. Each is counted."""
    other = replace(QUESTION, balance_cents=4_900_000)
    scores, stand_in = dice(QUESTION, PROMPTS.render(QUESTION)), dice(other, PROMPTS.render(other))
    key = Key(PROMPTS.render(QUESTION).sha256, QUESTION.mask)
    stand_ins = StandIns()
    stand_ins.add(QUESTION, stand_in)
    recorded = RecordedAnswers(Recording(HEAD, {key: scores}), PROMPTS.render, PROMPTS.identity)
    steady = SteadyAnswers(recorded, PROMPTS, stand_ins)
    assert steady.ask(QUESTION).scores == scores
    answer = steady.ask(other)
    assert (answer.scores, answer.prompt_sha256) == (stand_in, PROMPTS.render(other).sha256)
    assert steady.ask(replace(other, mask=0b11)).status is AdviceStatus.MISSING
    assert (steady.questions, steady.stood_in, steady.missing) == (3, 1, 1)
