"""The training of the shipped model, on a scale of seconds."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from trader.domain.sessions import Calendar
from trader.observation import schema_hash
from trader.policy.bundle import EMBEDDED, load_bundle
from trader.policy.manifest import Inputs, Label
from trader.training.embedded import Ground, Plan, export, judge, prepare, train

SMALL = Plan(
    steps=512,
    envs=8,
    rollout_steps=32,
    batch_size=64,
    epochs=1,
    normaliser_steps=8,
    torch_threads=1,
    bars_sessions=5,
    held_out_sessions=4,
    hidden=(16, 8),
)


def trained(plan: Plan, ground: Ground, out) -> bytes:
    model, normalised = train(plan, ground, lambda _line: None)
    export(model, normalised, plan, ground, out)
    return (out / "weights.safetensors").read_bytes()


def test_embedded_training_twice_gives_the_same_bundle_that_says_what_it_is(tmp_path):
    """Seeds fix the weights to the last bit; the manifest names data, seed, steps and its own figures."""
    ground = prepare(SMALL)
    assert trained(SMALL, ground, tmp_path / "a") == trained(SMALL, ground, tmp_path / "b")
    other = trained(msgspec.structs.replace(SMALL, seed=1), ground, tmp_path / "c")
    assert other != (tmp_path / "a" / "weights.safetensors").read_bytes()
    bundle = load_bundle(
        tmp_path / "a",
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        bar_minutes=1,
        has_volume=True,
    )
    manifest, provenance = bundle.manifest, bundle.manifest.provenance
    assert (manifest.inputs, manifest.hidden, manifest.needs_volume) == (Inputs.FULL, (16, 8), True)
    assert (provenance.label, provenance.seed, provenance.steps) == (Label.SYNTHETIC, SMALL.seed, 512)
    assert "no claim about profit" in provenance.note
    assert provenance.training.sha256 == ground.tape.sha256
    assert provenance.evaluation is not None
    assert provenance.evaluation.bars.sha256 == ground.held_out.sha256 != ground.tape.sha256
    figures = judge(tmp_path / "a", ground)
    assert provenance.evaluation.trades == figures.trades
    assert provenance.evaluation.net_r == pytest.approx(figures.net_r, abs=1e-3)


def test_embedded_normaliser_is_of_observations_and_stays_as_it_was(tmp_path):
    """Training does not move the statistics that were frozen before it."""
    ground = prepare(SMALL)
    _, normalised = train(SMALL, ground, lambda _line: None)
    running = normalised.obs_rms
    assert running.count == pytest.approx(SMALL.envs * (SMALL.normaliser_steps + 1), abs=1)
    assert np.isfinite(running.mean).all()
    assert not normalised.training


def test_embedded_bundle_loads_and_is_synthetic():
    """What is shipped passes every check on this machine."""
    bundle = load_bundle(
        EMBEDDED, schema_hash=schema_hash(), calendar_sha256=Calendar.load().sha256, bar_minutes=1, has_volume=True
    )
    assert bundle.manifest.hidden == (256, 128)
    assert bundle.manifest.provenance.label is Label.SYNTHETIC


def test_training_modules_are_not_imported_by_the_app():
    """torch lives in trader.training, and nothing that runs a backtest imports that."""
    code = (
        "import sys, trader.app; print(sorted(m for m in sys.modules if m.split('.')[0] == 'torch' or 'training' in m))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
