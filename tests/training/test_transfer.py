"""From one phase to the next: the same function at first, and everything may change afterwards."""

from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp

import msgspec
import numpy as np
import pytest
import torch
from lesson_builders import ORIGIN, a_course, a_lesson, ignore, learn, parameters_of

from trader.errors import BundleError
from trader.observation import FEATURES
from trader.policy.bundle import load_bundle, save_bundle, weights_of
from trader.policy.manifest import Inputs, Label, Span
from trader.policy.untrained import untrained_manifest
from trader.training.beginning import Beginning, begin, open_source, probe
from trader.training.bundling import Origin, keep_bundle, network_of, taught_by
from trader.training.curriculum import train_phase
from trader.training.phases import BUNDLE, CRITIC, Phase, folder_of
from trader.training.transfer import critic_of, new_action_biases, read_critic, save_critic

OBSERVATIONS = 10_000


@cache
def the_runs() -> dict[Phase, Path]:
    """The folders of phases 1 and 2, each trained for eight updates, the second from the first."""
    run = Path(mkdtemp())
    first, second = Phase.ENTRIES, Phase.MANAGEMENT
    train_phase(a_lesson(first, "ppo.learning_rate=0.01"), a_course(run), ignore)
    source = folder_of(run, first, 1) / BUNDLE
    train_phase(a_lesson(second, "ppo.learning_rate=0.01", source=source), a_course(run), ignore)
    return {phase: folder_of(run, phase, 1) for phase in (first, second)}


def begun(phase: Phase, *overrides: str, **changes: object) -> Beginning:
    before = phase.before
    assert before is not None
    return begin(a_lesson(phase, *overrides, source=the_runs()[before] / BUNDLE, **changes))


def before(phase: Phase):
    assert phase.before is not None
    return open_source(the_runs()[phase.before] / BUNDLE, phase)


def some_observations(seed: int = 1) -> np.ndarray:
    """Over the whole range of every feature."""
    low, high = (np.array([getattr(feature, side) for feature in FEATURES]) for side in ("low", "high"))
    rng = np.random.default_rng(seed)
    return (low + (high - low) * rng.beta(2, 2, (OBSERVATIONS, len(FEATURES)))).astype(np.float32)


@pytest.mark.parametrize("phase", [Phase.MANAGEMENT, Phase.CONTEXT])
def test_phase_begins_as_the_same_function_conditional_on_the_common_actions(phase):
    """Over 10,000 observations and any masks, the old actions share their probability as they did, to 1e-6."""
    old = before(phase)
    new = begun(phase)
    network = network_of(new.learner, new.scale)
    common = (1 << old.manifest.actions) - 1
    masks = np.random.default_rng(2).integers(0, 64, OBSERVATIONS) | 1
    worst, apart = 0.0, 0.0
    for obs, mask in zip(some_observations(), masks.tolist(), strict=True):
        _, theirs = old.network.choose(obs, mask & common)
        _, ours = network.choose(obs, mask)
        shared = np.array(ours[: old.manifest.actions])
        worst = max(worst, float(np.abs(shared / shared.sum() - theirs[: old.manifest.actions]).max()))
        apart = max(apart, abs(theirs[0] - theirs[1]))
    assert worst < 1e-6
    assert apart > 0.1


def test_phase_three_gives_new_inputs_no_weight_and_a_neutral_normaliser():
    """Old inputs keep weights, mean and variance; new ones have none, 0 and 1."""
    old = weights_of(before(Phase.CONTEXT))
    new = begun(Phase.CONTEXT)
    first = parameters_of(new.learner)["mlp_extractor.policy_net.0.weight"]
    assert first.shape == (16, 261)
    assert (first[:, :228] == old.matrices[0]).all()
    assert not first[:, 228:].any()
    assert (new.scale.mean[:228] == old.mean).all()
    assert (new.scale.variance[:228] == old.variance).all()
    assert not new.scale.mean[228:].any()
    assert (new.scale.variance[228:] == 1).all()


def test_phase_two_makes_new_actions_rare_where_they_are_valid():
    """Zero weights, and a bias at which the median probability where each is valid is 0.05."""
    many = ("ppo.envs=256", "curriculum.new_action_observations=10000")
    new = begun(Phase.MANAGEMENT, *many)
    model = new.learner.model
    assert not parameters_of(new.learner)["action_net.weight"][3:].any()
    lesson = a_lesson(Phase.MANAGEMENT, *many, source=the_runs()[Phase.ENTRIES] / BUNDLE)
    env = lesson.env(new.scale, actions=6, seed=77)
    logits, masks = probe(env, model, 3, OBSERVATIONS, 77)
    assert len(masks) >= OBSERVATIONS
    weights = np.where(masks, np.exp(logits), 0)
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    for action in (3, 4, 5):
        valid = masks[:, action]
        assert valid.sum() >= OBSERVATIONS / 100
        assert np.median(probabilities[valid, action]) == pytest.approx(0.05, abs=0.005)


def test_new_action_biases_give_the_median_exactly_also_where_two_are_valid_together():
    """By the definition: median of p over the observations where an action is valid."""
    rng = np.random.default_rng(3)
    masks = rng.random((5001, 6)) < 0.5
    masks[:, 0] = True
    logits = np.concatenate([rng.normal(0, 2, (5001, 3)), np.zeros((5001, 3))], axis=1)
    biases = new_action_biases(logits, masks, 3, 0.2)
    weights = np.where(masks, np.exp(np.concatenate([logits[:, :3], np.tile(biases, (5001, 1))], axis=1)), 0)
    for action in (3, 4, 5):
        valid = masks[:, action]
        p = weights[valid, action] / weights[valid].sum(axis=1)
        assert np.median(p) == pytest.approx(0.2, abs=2e-3)


@pytest.mark.parametrize("phase", [Phase.MANAGEMENT, Phase.CONTEXT])
def test_phase_begins_with_the_critic_of_the_phase_before(phase):
    """The value of what was seen before is the same number; new inputs do not count yet."""
    new = begun(phase)
    assert new.had_critic
    assert phase.before is not None
    stored = read_critic(the_runs()[phase.before] / CRITIC)
    assert stored is not None
    own = critic_of(new.learner.model)
    assert own.keys() == stored.keys()
    for name, values in stored.items():
        assert (own[name][tuple(slice(0, size) for size in values.shape)] == values).all(), name
        assert not own[name][..., 228:].any() or own[name].shape == values.shape, name


def test_phase_from_a_bundle_without_a_critic_begins_with_a_fresh_one(tmp_path):
    """A bundle alone is enough; the record says that the critic was not there."""
    bundle = before(Phase.MANAGEMENT)
    save_bundle(tmp_path / BUNDLE, bundle.manifest, weights_of(bundle), bundle.golden)
    new = begin(a_lesson(Phase.MANAGEMENT, source=tmp_path / BUNDLE))
    assert not new.had_critic
    assert new.learner.critic_updates == 2
    stored = read_critic(the_runs()[Phase.ENTRIES] / CRITIC)
    assert stored is not None
    assert not (critic_of(new.learner.model)["value_net.weight"] == stored["value_net.weight"]).all()


def test_phase_moves_the_critic_first_and_then_everything_new_inputs_and_actions_too():
    """Nothing is frozen for ever, and the optimiser remembers nothing of the phase before."""
    new = begun(Phase.CONTEXT)
    learner = new.learner
    assert learner.model.policy.optimizer.state_dict()["state"] == {}
    start = parameters_of(learner)
    learn(learner, 2)
    waited = parameters_of(learner)
    assert (waited["mlp_extractor.policy_net.0.weight"] == start["mlp_extractor.policy_net.0.weight"]).all()
    assert not (waited["value_net.weight"] == start["value_net.weight"]).all()
    learn(learner, 3)
    moved = parameters_of(learner)
    assert not (moved["mlp_extractor.policy_net.0.weight"][:, 228:] == 0).any(axis=0).all()
    for name, values in moved.items():
        assert not (values == start[name]).all(), name


def test_phase_three_without_context_is_phase_two_again():
    """`use_llm_features: false` reads 228 values and begins as exactly the same policy."""
    new = begun(Phase.CONTEXT, "curriculum.use_llm_features=false")
    old = weights_of(before(Phase.CONTEXT))
    own = parameters_of(new.learner)
    assert own["mlp_extractor.policy_net.0.weight"].shape == (16, 228)
    assert (own["mlp_extractor.policy_net.0.weight"] == old.matrices[0]).all()
    assert (own["action_net.bias"] == old.biases[-1]).all()
    assert (new.scale.mean == old.mean).all()


def test_phase_of_other_widths_is_refused_by_name():
    """Layers that do not fit are not cut to fit."""
    with pytest.raises(BundleError, match=r"has hidden layers \[16, 8\], network\.hidden is \[16, 4\]"):
        begun(Phase.MANAGEMENT, "network.hidden=[16,4]")


def test_phase_from_a_bundle_of_another_phase_is_refused_by_name():
    """Phase 3 does not begin from phase 1, nor phase 2 from itself."""
    first, second = the_runs()[Phase.ENTRIES] / BUNDLE, the_runs()[Phase.MANAGEMENT] / BUNDLE
    with pytest.raises(BundleError, match=r"is of phase-1; phase-3 begins from phase-2"):
        begin(a_lesson(Phase.CONTEXT, source=first))
    with pytest.raises(BundleError, match=r"is of phase-2; phase-2 begins from phase-1"):
        begin(a_lesson(Phase.MANAGEMENT, source=second))


def test_phase_from_a_bundle_without_a_normaliser_is_refused(tmp_path):
    """What has no statistics was not made by this program's training."""
    bundle = before(Phase.MANAGEMENT)
    weights = msgspec.structs.replace(weights_of(bundle), mean=None, variance=None)
    manifest = msgspec.structs.replace(bundle.manifest, normaliser=None)
    network = type(bundle.network)(weights, activation=manifest.activation, normaliser=None)
    golden = msgspec.structs.replace(
        bundle.golden, logits=np.stack([network.logits(obs)[:3] for obs in bundle.golden.observations])
    )
    actions = np.array(
        [network.choose(obs, int(mask))[0] for obs, mask in zip(golden.observations, golden.masks, strict=True)]
    )
    save_bundle(tmp_path / BUNDLE, manifest, weights, msgspec.structs.replace(golden, actions=actions))
    with pytest.raises(BundleError, match="has no normaliser"):
        begin(a_lesson(Phase.MANAGEMENT, source=tmp_path / BUNDLE))


def test_critic_file_that_is_damaged_is_refused(tmp_path):
    """Half a critic is not taken for a fresh one."""
    content = (the_runs()[Phase.ENTRIES] / CRITIC).read_bytes()
    (tmp_path / CRITIC).write_bytes(content[:-50])
    with pytest.raises(BundleError, match="no critic"):
        read_critic(tmp_path / CRITIC)
    assert read_critic(tmp_path / "absent") is None


@pytest.mark.parametrize("changed", [-3, 5, None])
def test_critic_file_of_other_widths_is_refused_by_name(tmp_path, changed):
    """Narrower layers are not padded, wider ones not cut, missing ones not invented: the file and the remedy are named.

    `changed` is how many units the last layer has more; None is a critic without it.
    """
    before = the_runs()[Phase.ENTRIES]
    copytree(before / BUNDLE, tmp_path / BUNDLE)
    critic = read_critic(before / CRITIC)
    assert critic is not None
    width = critic["value_net.weight"].shape[1]
    if changed is None:
        del critic["value_net.weight"]
    else:
        critic["value_net.weight"] = np.zeros((1, width + changed), np.float32)
    save_critic(tmp_path / CRITIC, critic)
    said = rf"{CRITIC}: .*another network\.hidden \(value_net\.weight is .*, here \(1, {width}\)\); remove it"
    with pytest.raises(BundleError, match=said):
        begin(a_lesson(Phase.MANAGEMENT, source=tmp_path / BUNDLE))


def test_bundle_of_each_phase_says_what_it_reads_and_does(tmp_path):
    """228 values and three actions, 228 and six, 261 and six; torch's own answers are in it."""
    expected = {
        Phase.ENTRIES: (Inputs.BASE, 3, "phase-1"),
        Phase.MANAGEMENT: (Inputs.BASE, 6, "phase-2"),
        Phase.CONTEXT: (Inputs.FULL, 6, "phase-3"),
    }
    for phase, facts in expected.items():
        beginning = begin(a_lesson()) if phase is Phase.ENTRIES else begun(phase)
        with torch.no_grad():
            beginning.learner.model.policy.action_net.weight.mul_(50)
        keep_bundle(tmp_path / phase.label, beginning.learner, beginning.scale, ORIGIN, phase, evaluation=None)
        manifest = load_bundle(
            tmp_path / phase.label,
            schema_hash=before(Phase.MANAGEMENT).manifest.schema_hash,
            calendar_sha256=before(Phase.MANAGEMENT).manifest.calendar_sha256,
            bar_minutes=1,
            has_volume=True,
        ).manifest
        assert (manifest.inputs, manifest.actions, manifest.phase) == facts
        assert manifest.provenance.seed == 1
        assert manifest.provenance.hyper_parameters["ppo.envs"] == 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"market": "ES"}, "market is NQ, here ES"),
        ({"bar_minutes": 5}, "bar_minutes is 1, here 5"),
        ({"has_volume": False}, "needs_volume is True, here False"),
    ],
)
def test_phase_on_other_bars_than_the_phase_before_is_refused_by_name(changes, said):
    """A policy of another market, period or kind of file is another policy."""
    source = the_runs()[Phase.ENTRIES] / BUNDLE
    lesson = a_lesson(Phase.MANAGEMENT, source=source)
    with pytest.raises(BundleError, match=said):
        begin(msgspec.structs.replace(lesson, origin=msgspec.structs.replace(ORIGIN, **changes)))


def test_phase_with_another_normaliser_is_refused_by_name():
    """It would not begin as the same function."""
    with pytest.raises(BundleError, match=r"normaliser\.clip is 5\.0, here 10\.0"):
        begun(Phase.MANAGEMENT, "normaliser.clip=10.0")


def test_bundle_names_every_date_that_its_phases_have_learned_from():
    """In-sample is judged by dates: those of the phase before are in it, and real bars outweigh synthetic ones."""
    manifest = before(Phase.MANAGEMENT).manifest
    later = msgspec.structs.replace(ORIGIN.span, sha256="cd", first_session="2019-12-02", last_session="2019-12-06")
    taught = taught_by(manifest, msgspec.structs.replace(ORIGIN, span=later, label=Label.IN_SAMPLE))
    assert (taught.span.first_session, taught.span.last_session) == ("2019-11-20", "2019-12-06")
    assert (taught.span.sha256, taught.label) == ("cd", Label.IN_SAMPLE)
    assert taught_by(manifest, ORIGIN) == ORIGIN
    real = msgspec.structs.replace(manifest.provenance, label=Label.IN_SAMPLE, note="Has seen real bars.")
    taught = taught_by(msgspec.structs.replace(manifest, provenance=real), msgspec.structs.replace(ORIGIN, span=later))
    assert (taught.label, taught.note) == (Label.IN_SAMPLE, "Has seen real bars.")
    own = msgspec.structs.replace(ORIGIN, span=later, label=Label.IN_SAMPLE, note="Sees other real bars.")
    for provenance in (manifest.provenance, real):
        taught = taught_by(msgspec.structs.replace(manifest, provenance=provenance), own)
        assert (taught.label, taught.note) == (Label.IN_SAMPLE, "Sees other real bars.")


def test_bundle_keeps_the_dates_of_its_first_phase_when_two_phases_learn_from_the_same_later_bars():
    """Phase 1 on one year, phases 2 and 3 on the next: all three phases' dates and the real bars' label stay."""
    nothing = untrained_manifest(hidden=(16, 8), schema_hash="", calendar_sha256="")
    later = msgspec.structs.replace(ORIGIN.span, sha256="cd", first_session="2019-12-02", last_session="2019-12-06")
    origin = msgspec.structs.replace(ORIGIN, span=later)

    def taught_from(span: Span, label: Label) -> Origin:
        provenance = msgspec.structs.replace(nothing.provenance, training=span, label=label)
        return taught_by(msgspec.structs.replace(nothing, provenance=provenance), origin)

    second = taught_from(ORIGIN.span, Label.IN_SAMPLE)
    third = taught_from(second.span, second.label)
    assert (third.span.first_session, third.span.last_session) == ("2019-11-20", "2019-12-06")
    assert third.span == second.span
    assert third.label is Label.IN_SAMPLE
