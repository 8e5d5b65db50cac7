"""From a MaskablePPO zip to a bundle: the numbers are the trainer's, and nothing of the zip is run."""

import base64
import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import gymnasium
import msgspec
import numpy as np
import pytest
import torch
from bundle_builders import CALENDAR_SHA256, SCHEMA_HASH, load
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from trader.errors import BundleError
from trader.policy.manifest import Activation, Inputs, Label, Span
from trader.training.checkpoint import read_checkpoint
from trader.training.export import Facts, export_bundle
from trader.training.statistics_file import read_statistics

FACTS = Facts(
    name="test",
    schema_hash=SCHEMA_HASH,
    calendar_sha256=CALENDAR_SHA256,
    bar_minutes=1,
    needs_volume=True,
    market="NQ",
    phase="test",
    label=Label.SYNTHETIC,
    note="A model that never trained.",
    training=Span(description="none", sha256="00", first_session="2020-01-02", last_session="2020-01-03"),
    code_version="test",
    hyper_parameters={"curriculum": False},
    versions={"sb3-contrib": "test"},
)


class Nothing(gymnasium.Env):
    """An environment of the right spaces in which nothing happens."""

    def __init__(self, width: int, actions: int = 6) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = spaces.Discrete(actions)

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}

    def action_masks(self):
        return np.ones(self.action_space.n, bool)


def a_model(width: int = 261, actions: int = 6, **policy_kwargs) -> MaskablePPO:
    return MaskablePPO(
        "MlpPolicy",
        Nothing(width, actions),
        n_steps=16,
        batch_size=16,
        seed=3,
        device="cpu",
        policy_kwargs=policy_kwargs,
    )


def saved(model: MaskablePPO, path: Path) -> Path:
    model.save(path)
    return path


def statistics_of(width: int) -> RunningMeanStd:
    rng = np.random.default_rng(8)
    running = RunningMeanStd(shape=(width,))
    running.update(rng.normal(rng.normal(0, 2, width), np.exp(rng.normal(0, 1, width)), (500, width)))
    return running


def rewritten(source: Path, target: Path, **entries: bytes) -> Path:
    """A copy of a zip with some entries replaced (`__` stands for the dot), and removed where None."""
    replaced = {name.replace("__", "."): content for name, content in entries.items()}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = replaced.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


@pytest.mark.parametrize(
    ("width", "hidden", "activation"),
    [(261, [256, 128], torch.nn.Tanh), (228, [64, 64], torch.nn.ReLU), (261, [512, 256, 128], torch.nn.Tanh)],
)
def test_export_of_a_model_answers_a_thousand_observations_as_the_trainer_does(tmp_path, width, hidden, activation):
    """Logits within 1e-5 of stable-baselines3's, normaliser included, and the same action under 1,000 random masks."""
    net_arch = {"pi": hidden, "vf": [8]}
    model = a_model(width, net_arch=net_arch, activation_fn=activation)
    with torch.no_grad():
        model.policy.action_net.weight *= 100  # a fresh policy is uniform: make it decide
    running = statistics_of(width)
    normalised_env = VecNormalize(DummyVecEnv([lambda: Nothing(width)]), clip_obs=5.0)
    normalised_env.obs_rms = running
    np.savez(tmp_path / "stats.npz", mean=running.mean, variance=running.var, clip=5.0, epsilon=1e-8)
    zip_path = saved(model, tmp_path / "model.zip")
    export_bundle(zip_path, tmp_path / "bundle", FACTS, statistics=tmp_path / "stats.npz")
    network = load(tmp_path / "bundle").network

    rng = np.random.default_rng(1)
    observations = rng.normal(0, 2, (1000, 261)).astype(np.float32)
    masks = rng.integers(0, 64, 1000) | 1
    allowed = (masks[:, None] >> np.arange(6) & 1).astype(bool)
    normalised = normalised_env.normalize_obs(observations[:, :width])
    with torch.no_grad():
        latent = model.policy.mlp_extractor.forward_actor(torch.from_numpy(normalised))
        expected = model.policy.action_net(latent).numpy()
    actions, _ = model.predict(normalised, action_masks=allowed, deterministic=True)
    for k in range(1000):
        np.testing.assert_allclose(network.logits(observations[k]), expected[k], rtol=1e-5, atol=1e-5)
        assert network.choose(observations[k], int(masks[k]))[0] == actions[k]
    assert len(set(actions.tolist())) == 6


def test_export_probabilities_equal_the_masked_distribution_of_the_trainer(tmp_path):
    """Confidence is the probability that MaskablePPO's own distribution gives under the mask."""
    model = a_model(net_arch=[32])
    export_bundle(saved(model, tmp_path / "model.zip"), tmp_path / "bundle", FACTS)
    network = load(tmp_path / "bundle").network
    observations = np.random.default_rng(2).normal(0, 1, (63, 261)).astype(np.float32)
    masks = np.arange(1, 64)
    allowed = (masks[:, None] >> np.arange(6) & 1).astype(bool)
    with torch.no_grad():
        distribution = model.policy.get_distribution(torch.from_numpy(observations), action_masks=allowed)
        expected = distribution.distribution.probs.numpy()
    for k in range(63):
        assert network.choose(observations[k], int(masks[k]))[1] == pytest.approx(tuple(expected[k]), abs=1e-5)


def test_export_manifest_says_what_the_checkpoint_and_the_caller_know(tmp_path):
    """Architecture, steps, seed and hyper-parameters come from the zip, not its pickles; the rest from the caller."""
    model = a_model(228, net_arch={"pi": [32, 16], "vf": [8]}, activation_fn=torch.nn.ReLU)
    model.learn(32)
    manifest = export_bundle(saved(model, tmp_path / "model.zip"), tmp_path / "bundle", FACTS)
    assert (manifest.inputs, manifest.hidden, manifest.activation) == (Inputs.BASE, (32, 16), Activation.RELU)
    assert manifest.normaliser is None
    assert manifest.created_from == "model.zip"
    provenance = manifest.provenance
    assert (provenance.seed, provenance.steps, provenance.label) == (3, 32, Label.SYNTHETIC)
    assert provenance.hyper_parameters["batch_size"] == 16
    assert provenance.hyper_parameters["gamma"] == 0.99
    assert "0.2" in str(provenance.hyper_parameters["clip_range"])
    assert provenance.hyper_parameters["curriculum"] is False
    assert provenance.versions["sb3-contrib"] == "test"
    assert provenance.versions["PyTorch"] == torch.__version__
    assert "OS" not in provenance.versions
    assert load(tmp_path / "bundle").manifest == manifest


def test_export_of_a_policy_of_three_actions_keeps_three_and_never_manages(tmp_path):
    """The manifest says how many it knows; the probabilities of the others are exactly 0 under any mask."""
    model = a_model(228, 3, net_arch=[32])
    with torch.no_grad():
        model.policy.action_net.weight *= 100
    export_bundle(saved(model, tmp_path / "model.zip"), tmp_path / "bundle", FACTS)
    bundle = load(tmp_path / "bundle")
    assert bundle.manifest.actions == 3
    assert bundle.golden.logits.shape[1] == 3
    observations = np.random.default_rng(2).normal(0, 1, (64, 261)).astype(np.float32)
    with torch.no_grad():
        distribution = model.policy.get_distribution(torch.from_numpy(observations[:, :228]))
        expected = distribution.distribution.probs.numpy()
    for k in range(64):
        _, probs = bundle.network.choose(observations[k], 63)
        assert probs[:3] == pytest.approx(tuple(expected[k]), abs=1e-5)
        assert probs[3:] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("actions", [2, 4, 7])
def test_checkpoint_of_another_number_of_actions_is_refused(tmp_path, actions):
    """Entries only, or everything."""
    with pytest.raises(BundleError, match=f"its policy has {actions} actions, 3 or 6 expected"):
        read_checkpoint(saved(a_model(261, actions, net_arch=[8]), tmp_path / "model.zip"))


def test_checkpoint_with_the_default_policy_has_two_tanh_layers_of_64(tmp_path):
    """What the zip leaves out is stable-baselines3's own default."""
    checkpoint = read_checkpoint(saved(a_model(), tmp_path / "model.zip"))
    assert checkpoint.activation is Activation.TANH
    assert checkpoint.hidden == (64, 64)


def test_checkpoint_whose_weights_are_a_pickle_is_refused_and_not_run(tmp_path):
    """A bomb in the place of the weights does not go off, and neither does one in the JSON."""
    victim = tmp_path / "ran"
    source = saved(a_model(net_arch=[8]), tmp_path / "model.zip")
    bomb = pickle.dumps(Bomb(victim))
    with pytest.raises(BundleError, match=r"policy\.pth"):
        read_checkpoint(rewritten(source, tmp_path / "bomb.zip", policy__pth=bomb))
    buffer = BytesIO()
    torch.save({"action_net.weight": Bomb(victim)}, buffer)
    with pytest.raises(BundleError, match=r"policy\.pth"):
        read_checkpoint(rewritten(source, tmp_path / "bomb2.zip", policy__pth=buffer.getvalue()))
    with zipfile.ZipFile(source) as archive:
        facts = json.loads(archive.read("data"))
    armed = {":type:": "<class 'dict'>", ":serialized:": base64.b64encode(bomb).decode()}
    data = json.dumps(facts | dict.fromkeys(("policy_kwargs", "policy_class", "clip_range"), armed)).encode()
    checkpoint = read_checkpoint(rewritten(source, tmp_path / "bomb3.zip", data=data))
    assert checkpoint.hyper_parameters["clip_range"] == "<class 'dict'>"
    assert not victim.exists()
    pickle.loads(bomb)  # noqa: S301 - the test's own bomb: it proves that running it would have been seen
    assert victim.exists()


@pytest.mark.parametrize(
    ("policy_kwargs", "width", "fault"),
    [
        ({"activation_fn": torch.nn.ELU}, 261, "its activation is <class 'torch.nn.modules.activation.ELU'>"),
        ({"net_arch": []}, 261, "no plain MLP"),
        ({}, 100, "its policy has 100 inputs, 228 or 261 expected"),
    ],
)
def test_checkpoint_of_another_architecture_is_refused_with_the_reason(tmp_path, policy_kwargs, width, fault):
    """What this program cannot compute exactly is not approximated."""
    with pytest.raises(BundleError, match=fault):
        read_checkpoint(saved(a_model(width, **policy_kwargs), tmp_path / "model.zip"))


def test_checkpoint_that_is_no_zip_or_lacks_an_entry_is_refused(tmp_path):
    """Missing, foreign and incomplete files are told apart."""
    source = saved(a_model(net_arch=[8]), tmp_path / "model.zip")
    (tmp_path / "text.zip").write_text("nothing")
    with pytest.raises(BundleError, match="cannot be opened as a zip"):
        read_checkpoint(tmp_path / "text.zip")
    with pytest.raises(BundleError, match="cannot be opened as a zip"):
        read_checkpoint(tmp_path / "absent.zip")
    with pytest.raises(BundleError, match=r"no entry 'policy\.pth'"):
        read_checkpoint(rewritten(source, tmp_path / "few.zip", policy__pth=None))
    with pytest.raises(BundleError, match="'data' is no JSON"):
        read_checkpoint(rewritten(source, tmp_path / "data.zip", data=b"\x80\x04."))


def test_checkpoint_with_a_nan_weight_is_refused_by_tensor(tmp_path):
    """A training that diverged does not become a bundle."""
    model = a_model(net_arch=[8])
    with torch.no_grad():
        model.policy.action_net.bias[2] = float("nan")
    with pytest.raises(BundleError, match=r"action_net\.bias"):
        read_checkpoint(saved(model, tmp_path / "model.zip"))


def test_statistics_from_npz_json_and_a_trusted_pickle_are_the_same(tmp_path):
    """Three ways to hand over the normaliser, one result."""
    running = statistics_of(261)
    env = VecNormalize(DummyVecEnv([lambda: Nothing(261)]), clip_obs=7.0)
    env.obs_rms = running
    env.save(str(tmp_path / "stats.pkl"))
    np.savez(tmp_path / "stats.npz", mean=running.mean, variance=running.var, clip=7.0, epsilon=1e-8)
    facts = {"mean": running.mean.tolist(), "variance": running.var.tolist(), "clip": 7.0, "epsilon": 1e-8}
    (tmp_path / "stats.json").write_text(json.dumps(facts))
    read = [read_statistics(tmp_path / f"stats.{ending}", trust_pickle=True) for ending in ("npz", "json", "pkl")]
    for statistics in read:
        assert statistics.mean.tolist() == running.mean.astype(np.float32).tolist()
        assert statistics.variance.tolist() == running.var.astype(np.float32).tolist()
        assert (statistics.normaliser.clip, statistics.normaliser.epsilon) == (7.0, 1e-8)


def test_statistics_from_a_pickle_without_trust_are_refused_unread(tmp_path):
    """A pickle is run by reading it, so it is not read."""
    victim = tmp_path / "ran"
    (tmp_path / "stats.pkl").write_bytes(pickle.dumps(Bomb(victim)))
    with pytest.raises(BundleError, match="--trust-pickle"):
        read_statistics(tmp_path / "stats.pkl")
    np.savez(tmp_path / "stats.npz", mean=np.array([Bomb(victim)], dtype=object))
    with pytest.raises(BundleError, match="cannot be read"):
        read_statistics(tmp_path / "stats.npz")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"mean": [0.0, float("nan")]}, "not finite"),
        ({"variance": [1.0, -1.0]}, "below zero"),
        ({"mean": [0.0]}, "mean has shape"),
        ({"extra": 1}, "has \\['clip', 'epsilon', 'extra'"),
    ],
)
def test_statistics_that_are_unusable_are_refused_with_the_reason(tmp_path, change, fault):
    """Numbers that would spoil every observation are caught when they are read."""
    facts = {"mean": [0.0, 0.0], "variance": [1.0, 1.0], "clip": 5.0, "epsilon": 1e-8} | change
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=fault):
        read_statistics(path)


def test_export_with_statistics_of_another_width_is_refused_and_writes_nothing(tmp_path):
    """A normaliser for 228 values does not fit a policy that reads 261."""
    running = statistics_of(228)
    np.savez(tmp_path / "stats.npz", mean=running.mean, variance=running.var, clip=5.0, epsilon=1e-8)
    source = saved(a_model(net_arch=[8]), tmp_path / "model.zip")
    with pytest.raises(BundleError, match="statistics of 228 values, the policy reads 261"):
        export_bundle(source, tmp_path / "bundle", FACTS, statistics=tmp_path / "stats.npz")
    assert not (tmp_path / "bundle").exists()


def test_export_of_a_checkpoint_without_a_seed_asks_for_it(tmp_path):
    """Provenance is complete or there is no bundle."""
    model = a_model(net_arch=[8])
    model.seed = None
    source = saved(model, tmp_path / "model.zip")
    with pytest.raises(BundleError, match="--seed"):
        export_bundle(source, tmp_path / "bundle", FACTS)
    assert export_bundle(source, tmp_path / "bundle", msgspec.structs.replace(FACTS, seed=9)).provenance.seed == 9
