"""A phase from its beginning to its bundle, with stops, judges and refusals on the way."""

import json
from shutil import rmtree

import msgspec
import numpy as np
import pytest
from lesson_builders import ROLLOUT, a_course, a_lesson, ignore
from line_builders import settings_with
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from training_builders import CALENDAR, NQ, a_ground, some_bars

from trader.domain.sessions import Calendar
from trader.errors import InputError, TrainingInterruptedError
from trader.observation import schema_hash
from trader.policy.bundle import Bundle, load_bundle, weights_of
from trader.policy.manifest import Label
from trader.training.curriculum import train_phase
from trader.training.ground import prepare_ground
from trader.training.judge import validate
from trader.training.phases import BOARD, BUNDLE, CURVE, LATEST, SNAPSHOTS, Phase, folder_of, newest_bundle
from trader.training.rollout import follow


def opened(path) -> Bundle:
    return load_bundle(
        path, schema_hash=schema_hash(), calendar_sha256=Calendar.load().sha256, bar_minutes=1, has_volume=True
    )


def events_of(file) -> list[tuple[str, int, float]]:
    """Name, step and value of every figure in one of TensorBoard's files, and from where older ones do not count."""
    found = []
    for event in LegacyEventFileLoader(str(file)).Load():
        if event.HasField("session_log"):
            found.append(("purged", event.step, 0.0))
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    return found


def held_out():
    return a_ground(some_bars("2019-12-02", 4, 8))


def test_phase_keeps_the_weights_that_were_best_on_the_validation_dates(tmp_path):
    """Every evaluation is recorded, and the bundle's figures are those of its own weights."""
    ground = held_out()
    record = train_phase(a_lesson(Phase.ENTRIES, "ppo.learning_rate=0.02"), a_course(tmp_path, held_out=ground), ignore)
    assert [found.steps for found in record.evaluations] == [256, 512, 768, 1024]
    best = max(record.evaluations, key=lambda found: found.daily_net_r)
    assert record.kept_steps == best.steps
    assert len({found.daily_net_r for found in record.evaluations}) > 1
    bundle = opened(folder_of(tmp_path, Phase.ENTRIES, 1) / BUNDLE)
    provenance = bundle.manifest.provenance
    assert (provenance.steps, provenance.seed, provenance.label) == (best.steps, 1, Label.SYNTHETIC)
    assert provenance.training.sha256 == "ab"
    assert provenance.evaluation is not None
    assert provenance.evaluation.bars.sha256 == ground.tape.sha256
    assert (provenance.evaluation.trades, provenance.evaluation.episodes) == (best.trades, best.sessions)
    assert validate(bundle.network, ground, actions=3, steps=best.steps) == best


def test_phase_without_validation_dates_keeps_the_last_weights(tmp_path):
    """There is nothing to choose by."""
    record = train_phase(a_lesson(updates=3), a_course(tmp_path), ignore)
    assert (record.steps, record.kept_steps, record.evaluations) == (3 * ROLLOUT, 3 * ROLLOUT, ())


def test_phase_that_was_stopped_goes_on_to_the_same_weights_and_curve(tmp_path):
    """Whoever stops it is told how to go on; nothing of the run differs from one that was not stopped."""
    courses = {name: a_course(tmp_path / name, held_out=held_out()) for name in ("whole", "cut")}
    train_phase(a_lesson(), courses["whole"], ignore)
    seen = []
    stopping = msgspec.structs.replace(courses["cut"], is_stopped=lambda: len(seen) == 3)
    with pytest.raises(TrainingInterruptedError, match=r"384 of 1,024 steps of phase-1, seed 1.*trader train --resume"):
        train_phase(a_lesson(), stopping, seen.append)
    train_phase(a_lesson(), courses["cut"], seen.append)
    assert [update.number for update in seen] == list(range(1, 9))
    whole, cut = (folder_of(course.run, Phase.ENTRIES, 1) for course in courses.values())
    assert (whole / CURVE).read_bytes() == (cut / CURVE).read_bytes()
    assert len((whole / CURVE).read_bytes().splitlines()) == 8
    for file in ("bundle/weights.safetensors", "bundle/manifest.json", "critic.safetensors", "training.json"):
        assert (whole / file).read_bytes() == (cut / file).read_bytes(), file


def test_phase_that_crashed_between_two_snapshots_goes_on_to_the_same_curve(tmp_path):
    """What was written after the last snapshot is written again, not twice."""
    train_phase(a_lesson(updates=5), a_course(tmp_path / "whole"), ignore)

    def crash(update):
        if update.number == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_phase(a_lesson(updates=5), a_course(tmp_path / "cut"), crash)
    whole, cut = (folder_of(tmp_path / name, Phase.ENTRIES, 1) for name in ("whole", "cut"))
    assert len((cut / CURVE).read_bytes().splitlines()) == 3
    assert max(path.name for path in (cut / SNAPSHOTS).iterdir()) == "000000000256.snapshot"
    train_phase(a_lesson(updates=5), a_course(tmp_path / "cut"), ignore)
    assert (whole / CURVE).read_bytes() == (cut / CURVE).read_bytes()
    assert (whole / "bundle/weights.safetensors").read_bytes() == (cut / "bundle/weights.safetensors").read_bytes()
    newest = max((cut / BOARD).iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert ("purged", 257, 0.0) in events_of(newest)


def test_phase_whose_snapshots_were_lost_begins_its_curve_anew(tmp_path):
    """What stands there of the lost training goes, also when the new one is cut off before it has written as much."""

    def crash_at(number):
        def crash(update):
            if update.number == number:
                raise ZeroDivisionError

        return crash

    cut = folder_of(tmp_path / "cut", Phase.ENTRIES, 1)
    for number in (3, 1):
        with pytest.raises(ZeroDivisionError):
            train_phase(a_lesson(updates=3), a_course(tmp_path / "cut"), crash_at(number))
        assert len((cut / CURVE).read_bytes().splitlines()) == number
        if number == 3:
            rmtree(cut / SNAPSHOTS)
    train_phase(a_lesson(updates=3), a_course(tmp_path / "cut"), ignore)
    train_phase(a_lesson(updates=3), a_course(tmp_path / "whole"), ignore)
    whole = folder_of(tmp_path / "whole", Phase.ENTRIES, 1)
    assert (whole / CURVE).read_bytes() == (cut / CURVE).read_bytes()


def test_phase_that_is_finished_is_not_trained_again(tmp_path):
    """Asked for once more, it says what it was, and touches nothing."""
    record = train_phase(a_lesson(updates=2), a_course(tmp_path), ignore)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    seen = []
    assert train_phase(a_lesson(updates=2), a_course(tmp_path), seen.append) == record
    assert not seen
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_phase_that_was_begun_on_other_bars_is_refused(tmp_path):
    """A curve has one market."""
    seen = []
    course = a_course(tmp_path, is_stopped=lambda: bool(seen))
    with pytest.raises(TrainingInterruptedError):
        train_phase(a_lesson(), course, seen.append)
    other = msgspec.structs.replace(a_lesson(), ground=held_out())
    with pytest.raises(InputError, match="was trained on other bars"):
        train_phase(other, a_course(tmp_path), ignore)


def test_phase_with_a_cut_off_snapshot_is_refused_and_overwrites_nothing(tmp_path):
    """The error names the one before; once the damaged file is removed, training goes on from there."""
    seen = []
    with pytest.raises(TrainingInterruptedError):
        train_phase(a_lesson(), a_course(tmp_path, is_stopped=lambda: len(seen) == 3), seen.append)
    folder = folder_of(tmp_path, Phase.ENTRIES, 1)
    before, last = sorted((folder / SNAPSHOTS).iterdir())
    last.write_bytes(last.read_bytes()[:1000])
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=f"remove it to go on from {before.name}"):
        train_phase(a_lesson(), a_course(tmp_path), ignore)
    assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    last.unlink()
    assert train_phase(a_lesson(), a_course(tmp_path), ignore).is_finished


def test_phase_writes_what_the_engine_made_of_it_on_the_board(tmp_path):
    """Figures of update and evaluation stand in TensorBoard's file, each at its step, once, cut off or not."""
    asked = []

    def engine(bundle):
        asked.append(opened(bundle).manifest.provenance.steps)
        return {"fusion/agreement_pct": 12.5, "llm/total_queries": float(len(asked))}

    seen = []
    course = a_course(tmp_path, held_out=held_out(), engine=engine, is_stopped=lambda: len(seen) == 3)
    with pytest.raises(TrainingInterruptedError):
        train_phase(a_lesson(), course, seen.append)
    train_phase(a_lesson(), msgspec.structs.replace(course, is_stopped=lambda: False), ignore)
    folder = folder_of(tmp_path, Phase.ENTRIES, 1)
    first, second = (
        events_of(file) for file in sorted((folder / BOARD).iterdir(), key=lambda file: file.stat().st_mtime)
    )
    own = {"action_dist/hold", "action_dist/buy", "action_dist/sell", "reward/pnl", "reward/breach"}
    theirs = {"train/loss", "train/approx_kl", "train/learning_rate", "rollout/ep_rew_mean", "time/fps"}
    judged = {"fusion/agreement_pct", "validation/daily_net_r", "confidence/rl_avg"}
    assert own | theirs | judged <= {tag for tag, _, _ in first}
    steps = [step for tag, step, _ in first + second if tag == "train/loss"]
    assert steps == [ROLLOUT * n for n in range(1, 9)]
    assert [value for tag, _, value in first + second if tag == "llm/total_queries"] == [1, 2, 3, 4]
    assert ("purged", 3 * ROLLOUT + 1, 0.0) in second
    assert asked == [256, 512, 768, 1024]
    assert (folder / LATEST).is_dir()


def test_newest_bundle_is_the_one_that_was_finished_last(tmp_path):
    """Over all runs; what is not finished, or of another phase, is none."""
    assert newest_bundle(tmp_path, Phase.ENTRIES) is None
    for name in ("b", "a"):
        train_phase(a_lesson(updates=1), a_course(tmp_path / name), ignore)
    assert newest_bundle(tmp_path, Phase.ENTRIES) == tmp_path / "a" / "phase-1-seed-1" / BUNDLE
    assert newest_bundle(tmp_path, Phase.MANAGEMENT) is None
    record = tmp_path / "a" / "phase-1-seed-1" / "training.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"is_finished": False}))
    assert newest_bundle(tmp_path, Phase.ENTRIES) == tmp_path / "b" / "phase-1-seed-1" / BUNDLE


def test_validation_counts_sessions_from_the_first_in_which_an_entry_was_possible():
    """Mean daily net R is the sum over these sessions, those without a trade included."""
    bars = some_bars()
    ground = prepare_ground(settings_with(), bars.rows(1_250, len(bars)), CALENDAR, NQ)

    class Buys:
        inputs = 261

        def choose(self, _obs, mask):
            return (1 if mask & 2 else 0), ()

    found = validate(Buys(), ground, actions=3, steps=7)
    trades = follow(ground, lambda _obs, mask: 1 if mask & 2 else 0, actions=7).trades
    assert len(ground.tape.session_dates) == 6
    assert found.sessions == 5
    assert found.trades == len(trades) > 10
    assert found.daily_net_r == pytest.approx(float(np.sum(trades.net_r)) / 5)
    assert found.net_r == pytest.approx(float(np.sum(trades.net_r)))
    assert found.steps == 7


def test_bundle_of_a_phase_starts_the_next_with_its_own_weights(tmp_path):
    """The file holds what the learner had."""
    train_phase(a_lesson(updates=2), a_course(tmp_path), ignore)
    bundle = opened(folder_of(tmp_path, Phase.ENTRIES, 1) / BUNDLE)
    weights = weights_of(bundle)
    assert weights.matrices[0].shape == (16, 228)
    assert weights.mean is not None
    assert bundle.network.logits(bundle.golden.observations[0])[:3] == pytest.approx(bundle.golden.logits[0], abs=1e-5)


def test_phase_at_which_another_training_is_at_work_is_refused(tmp_path):
    """Two would write each other's curve; the one that came first goes on."""
    fcntl = pytest.importorskip("fcntl")
    train_phase(a_lesson(updates=1), a_course(tmp_path), ignore)
    folder = folder_of(tmp_path, Phase.ENTRIES, 1)
    (folder / "training.json").unlink()
    before = (folder / CURVE).read_bytes()
    with (folder / CURVE).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training is at work here"):
            train_phase(a_lesson(updates=1), a_course(tmp_path), ignore)
    assert (folder / CURVE).read_bytes() == before
    assert train_phase(a_lesson(updates=1), a_course(tmp_path), ignore).is_finished
