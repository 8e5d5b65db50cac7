"""What a live run has learned of its advisor, in the hands of the next one."""

from pathlib import Path

import msgspec
import pytest
import structlog
from line_builders import Drive, settings_with
from line_fakes import FakeAdvisor

from trader.adapters.learned_file import LearnedFile
from trader.advisor.hedge import HedgeState
from trader.advisors import Advising, AdvisorChoice, advising
from trader.domain.instruments import instrument
from trader.learning import Learned, Learner

NQ = instrument("NQ")
EVEN = HedgeState(((-0.6931471805599453, -0.6931471805599453),) * 3)


def advice_of(folder: Path | None, *overrides: str) -> Advising:
    """The rules with a learned weight, as a run that keeps its state in `folder` begins with them."""
    settings = settings_with("advisor.backend=rules", "fusion.mode=adaptive", "fusion.llm_weight=0.3", *overrides)
    return advising(settings, NQ, AdvisorChoice(is_patient=folder is None, state_dir=folder))


def learner_of(advice: Advising) -> Learner:
    """What learns in it."""
    assert advice.learner is not None
    return advice.learner


def kept_in(advice: Advising) -> LearnedFile:
    """Where it is kept."""
    assert advice.kept is not None
    return advice.kept


def weights_of(advice: Advising) -> list[float]:
    """The advisor's weight in each regime."""
    return [round(learner_of(advice).rules(regime).llm_weight, 9) for regime in (-1, 0, 1)]


def test_next_run_begins_with_what_the_last_one_kept(tmp_path: Path) -> None:
    """And says so: what decides is another advisor than one that knows nothing."""
    first = advice_of(tmp_path)
    learner_of(first).restore(Learned(calibration=None, weights=EVEN, members=None))
    first.keep()
    first.close()
    second = advice_of(tmp_path)

    assert weights_of(second) == [0.5] * 3
    assert learner_of(second).learned() == learner_of(first).learned()
    assert second.identity != first.identity == "rules"
    assert advice_of(tmp_path).identity == second.identity


@pytest.mark.parametrize("other", ["market=ES", "strategy.name=sma_cross"])
def test_another_market_or_strategy_in_the_same_folder_begins_with_nothing(tmp_path: Path, other: str) -> None:
    """Two daemons may share `state.dir`; neither reads, nor writes over, what the other has learned."""
    first = advice_of(tmp_path)
    learner_of(first).restore(Learned(calibration=None, weights=EVEN, members=None))
    first.keep()
    first.close()
    second = advice_of(tmp_path, other)
    second.keep()
    second.close()

    assert weights_of(second) == [0.3] * 3
    assert weights_of(advice_of(tmp_path)) == [0.5] * 3


@pytest.mark.parametrize(
    "key",
    [
        "advisor.calibration.mode=probability",
        "advisor.calibration.learns=false",
        "advisor.legal_mass_min=0",
        "advisor.breaker_errors=0",
        "advisor.breaker_reset_s=61",
    ],
)
def test_whatever_makes_advice_of_an_answer_names_another_advisor(key: str) -> None:
    """These keys are outside the configuration's hash, as the log holds the advice: the advisor's must tell of them."""
    model = ("advisor.backend=phi3", "llm_model.name=models/phi", "llm_model.revision=abc")
    assert advice_of(None, *model).identity == advice_of(None, *model).identity != advice_of(None, *model, key).identity


def test_replay_begins_with_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Its only memory is its bars."""
    replay = advice_of(None)
    replay.keep()
    replay.close()

    assert (weights_of(replay), replay.kept) == ([0.3] * 3, None)
    assert list(tmp_path.iterdir()) == []


def test_state_that_no_run_can_have_written_is_set_aside(tmp_path: Path) -> None:
    """Two weights that sum to 2, or three of them: the run begins anew, says so, and writes its own."""
    for logs in ((0.0, 0.0), (-1.0986122886681098,) * 3):
        kept = kept_in(advice_of(tmp_path))
        kept.write(Learned(calibration=None, weights=HedgeState((logs,) * 3), members=None))
        with structlog.testing.capture_logs() as said:
            advice = advice_of(tmp_path)

        assert [line["event"] for line in said] == ["learned_state_set_aside"]
        assert (weights_of(advice), advice.identity) == ([0.3] * 3, "rules")
        assert not kept.path.exists()


def test_calibration_of_another_shape_is_set_aside(tmp_path: Path) -> None:
    """Of a program with other actions: a model begins anew, its weights too, and is not even loaded for it."""

    def of_model() -> Advising:
        return advice_of(tmp_path, "advisor.backend=phi3", "llm_model.name=models/phi", "llm_model.revision=abc")

    nothing = learner_of(of_model()).learned()
    assert nothing.calibration is not None
    shape = msgspec.structs.replace(nothing.calibration, calibrators=nothing.calibration.calibrators[:5])
    kept_in(of_model()).write(Learned(calibration=shape, weights=EVEN, members=None))
    with structlog.testing.capture_logs() as said:
        advice = of_model()

    assert [line["event"] for line in said] == ["learned_state_set_aside"]
    assert learner_of(advice).learned() == nothing


def test_first_regime_of_a_file_whose_last_is_damaged_is_not_believed(tmp_path: Path) -> None:
    """All of it or nothing."""
    kept_in(advice_of(tmp_path)).write(
        Learned(calibration=None, weights=HedgeState((*EVEN.log_weights[:2], (0.0, 0.0))), members=None)
    )
    with structlog.testing.capture_logs():
        assert weights_of(advice_of(tmp_path)) == [0.3] * 3


def test_session_that_ends_is_when_it_is_kept() -> None:
    """What was asked in it has been settled; a bar on which nothing ends writes nothing."""
    drive = Drive("advisor.backend=rules", "fusion.mode=adaptive", advisor=FakeAdvisor())
    told: list[bytes] = []
    learner = drive.parts.learner
    assert learner is not None
    drive.engine.passage.on_session = lambda: told.append(msgspec.json.encode(learner.learned()))
    drive.bar()
    drive.bar()
    assert told == []
    drive.next_session()
    drive.bar()
    assert len(told) == 1
    drive.finish()
    assert len(told) == 2
