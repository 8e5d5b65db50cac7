"""What a bundle must prove before it is used: each way to be wrong is refused with its own reason."""

import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bundle_builders import (
    NORMALISER,
    a_bundle,
    a_manifest,
    load,
    tensors_of,
    weights_and_golden,
    with_tensors,
    write_files,
)
from safetensors.numpy import save

from trader.errors import BundleError
from trader.policy.bundle import MANIFEST_NAME, WEIGHTS_NAME, save_bundle
from trader.policy.manifest import Inputs
from trader.policy.tensors import decode, encode
from trader.policy.untrained import random_bundle


def manifest_text(path: Path) -> str:
    return (path / MANIFEST_NAME).read_text()


def edit_manifest(path: Path, old: str, new: str) -> None:
    text = manifest_text(path)
    assert old in text
    (path / MANIFEST_NAME).write_text(text.replace(old, new, 1))


def edit_weights(path: Path, content: bytes) -> None:
    (path / WEIGHTS_NAME).write_bytes(content)


def refusal(path: Path, **changes: object) -> str:
    with pytest.raises(BundleError) as caught:
        load(path, **changes)
    assert caught.value.exit_code == 78
    return str(caught.value)


@pytest.mark.parametrize("inputs", list(Inputs))
@pytest.mark.parametrize("normaliser", [None, NORMALISER])
def test_bundle_saved_and_loaded_gives_the_same_manifest_weights_and_id(tmp_path, inputs, normaliser):
    """What was saved comes back, twice the same; a copy elsewhere has the same id."""
    path = tmp_path / "model"
    saved = save_bundle(
        path,
        a_manifest(inputs=inputs, normaliser=normaliser),
        *weights_and_golden(a_manifest(inputs=inputs, normaliser=normaliser)),
    )
    bundle = load(path)
    assert bundle.manifest == saved
    assert bundle.mismatches == ()
    assert bundle.network.inputs == inputs.width
    copied = load(shutil.copytree(path, tmp_path / "copy"))
    assert copied.id == bundle.id
    assert len(bundle.id) == 64


def test_bundle_of_other_weights_or_other_words_has_another_id(tmp_path):
    """The id covers the weights and everything that the manifest says."""
    ids = {
        load(a_bundle(tmp_path / "a")).id,
        load(a_bundle(tmp_path / "b", seed=1)).id,
        load(a_bundle(tmp_path / "c", name="another")).id,
    }
    assert len(ids) == 3


@pytest.mark.parametrize("missing", [MANIFEST_NAME, WEIGHTS_NAME])
def test_bundle_with_a_file_missing_is_refused_by_its_name(tmp_path, missing):
    """The message names the file and how to get one."""
    path = a_bundle(tmp_path / "model")
    (path / missing).unlink()
    assert str(path / missing) in refusal(path)
    assert "trader export" in refusal(path)


def test_bundle_of_another_schema_or_calendar_is_refused(tmp_path):
    """A network must see the numbers that it learned on."""
    path = a_bundle(tmp_path / "model")
    assert "schema_hash" in refusal(path, schema_hash="00" * 32)
    assert "calendar_sha256" in refusal(path, calendar_sha256="00" * 32)


def test_bundle_for_other_bars_is_refused_unless_the_mismatch_is_allowed(tmp_path):
    """Another period or missing volume is refused with the remedy; allowed, both are listed for the reports."""
    path = a_bundle(tmp_path / "model", needs_volume=True)
    message = refusal(path, bar_minutes=5, has_volume=False)
    assert "1-minute bars, these are 5-minute bars" in message
    assert "--allow-mismatch" in message
    bundle = load(path, bar_minutes=5, has_volume=False, allow_mismatch=True)
    assert bundle.mismatches == (
        "the model was trained on 1-minute bars, these are 5-minute bars",
        "the model needs volume, these bars have none",
    )


def test_bundle_whose_bars_are_not_known_yet_skips_only_that_comparison(tmp_path):
    """`trader check` has a model and no bars."""
    bundle = load(a_bundle(tmp_path / "model", needs_volume=True), bar_minutes=None, has_volume=None)
    assert bundle.mismatches == ()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"name": "random"', '"name": "random", "hook": "os.system"', "unknown field `hook`"),
        ('"market": "NQ",', "", "missing required field `market`"),
        ('"format": 1', '"format": 2', "format is 2"),
        ('"schema": "obs-v1"', '"schema": "obs-v9"', "schema is 'obs-v9'"),
        ('"inputs": "full"', '"inputs": "all"', "Invalid enum value 'all'"),
        ('"bar_minutes": 1', '"bar_minutes": 0', "bar_minutes is 0"),
        ('"bar_minutes": 1', '"bar_minutes": true', "Expected `int`, got `bool`"),
        ('"normaliser": null', '"normaliser": {"clip": -1.0, "epsilon": 0.0}', "normaliser.clip is -1.0"),
        ('"normaliser": null', '"normaliser": {"clip": 1.0, "epsilon": -1.0}', "normaliser.epsilon is -1.0"),
        ("{", "[{", "is no manifest"),
    ],
)
def test_bundle_with_a_wrong_manifest_is_refused_with_the_field(tmp_path, old, new, reason):
    """Unknown, missing and unusable fields are named."""
    path = a_bundle(tmp_path / "model")
    edit_manifest(path, old, new)
    assert reason in refusal(path)


def test_bundle_with_too_many_layers_is_refused(tmp_path):
    """Sizes have limits: a manifest cannot ask for any amount of work."""
    path = a_bundle(tmp_path / "model")
    text = manifest_text(path)
    (path / MANIFEST_NAME).write_bytes(
        msgspec.json.encode(msgspec.json.decode(text) | {"hidden": [4] * 9}),
    )
    assert "1 to 8 layers" in refusal(path)


def test_bundle_whose_files_are_too_large_is_refused_unread(tmp_path):
    """Size limits come before reading."""
    path = a_bundle(tmp_path / "model")
    with (path / WEIGHTS_NAME).open("r+b") as file:
        file.truncate((1 << 26) + 1)
    assert "the limit is 67108864" in refusal(path)


def test_bundle_with_one_changed_bit_is_refused(tmp_path):
    """The manifest's SHA-256 finds what no shape can."""
    path = a_bundle(tmp_path / "model")
    content = bytearray((path / WEIGHTS_NAME).read_bytes())
    content[-1] ^= 1
    edit_weights(path, bytes(content))
    assert "SHA-256" in refusal(path)


@pytest.mark.parametrize("keep", [0, 7, 8, 300, 5000, -1])
def test_bundle_with_truncated_weights_is_refused_even_when_signed(tmp_path, keep):
    """A file cut anywhere is refused, also by who signs the cut file again."""
    manifest = a_manifest()
    content = encode(tensors_of(manifest))
    path = write_files(tmp_path / "model", manifest, content[:keep])
    message = refusal(path)
    assert "truncated" in message or "not a safetensors file" in message


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return (Path.touch, (self.victim,))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_bundle_that_is_a_pickle_in_disguise_is_refused_and_not_run(tmp_path, protocol):
    """A signed pickle under the right name does not run."""
    victim = tmp_path / "ran"
    content = pickle.dumps(Bomb(victim), protocol=protocol)
    path = write_files(tmp_path / "model", a_manifest(), content)
    message = refusal(path)
    assert "a pickle in disguise" in message or protocol == 0
    assert not victim.exists()
    pickle.loads(content)  # noqa: S301 - the test's own bomb: it proves that running it would have been seen
    assert victim.exists()


def test_bundle_that_is_a_zip_in_disguise_is_refused(tmp_path):
    """A framework's checkpoint is a zip with a pickle inside."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n")
    path = write_files(tmp_path / "model", a_manifest(), buffer.getvalue())
    assert "a zip archive in disguise" in refusal(path)


def test_bundle_with_a_header_of_absurd_length_is_refused(tmp_path):
    """The length in the first eight bytes is not believed."""
    path = write_files(tmp_path / "model", a_manifest(), struct.pack("<Q", 1 << 62) + b"{" + b" " * 100)
    assert "truncated or no safetensors file" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["layers__1__weight", "layers__0__bias", "golden__logits"])
def test_bundle_with_a_number_that_is_not_finite_is_refused_by_tensor(tmp_path, name, bad):
    """One NaN in any tensor is enough."""
    manifest = a_manifest()
    tensor = tensors_of(manifest)[name.replace("__", ".")].copy()
    tensor.flat[3] = bad
    path = with_tensors(tmp_path / "model", manifest, **{name: tensor})
    assert f"tensor {name.replace('__', '.')} has 1 values that are NaN or infinite" in refusal(path)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32])
def test_bundle_with_another_number_type_is_refused(tmp_path, dtype):
    """Only float32 is what the network computes in."""
    manifest = a_manifest()
    tensors = tensors_of(manifest)
    tensors["layers.0.bias"] = tensors["layers.0.bias"].astype(dtype)
    path = write_files(tmp_path / "model", manifest, save(tensors))
    assert "tensor layers.0.bias is" in refusal(path)
    assert "float32" in refusal(path)


@pytest.mark.parametrize(
    ("name", "shape", "text"),
    [
        ("layers__0__weight", (16, 260), "16 x 260, the manifest announces 16 x 261"),
        ("layers__0__weight", (261, 16), "261 x 16, the manifest announces 16 x 261"),
        ("layers__2__weight", (5, 8), "5 x 8, the manifest announces 6 x 8"),
        ("layers__1__bias", (8, 1), "8 x 1, the manifest announces 8"),
        ("golden__observations", (4, 228), "4 x 228, the manifest announces k x 261"),
    ],
)
def test_bundle_of_the_wrong_width_is_refused_with_both_shapes(tmp_path, name, shape, text):
    """A width that differs anywhere is named."""
    path = with_tensors(tmp_path / "model", a_manifest(), **{name: np.zeros(shape, np.float32)})
    assert text in refusal(path)


def test_bundle_with_missing_or_extra_tensors_is_refused(tmp_path):
    """The file holds what the manifest announces: no less, no more."""
    tensors = tensors_of(a_manifest())
    fewer = {name: tensor for name, tensor in tensors.items() if name != "layers.2.bias"}
    assert "missing ['layers.2.bias']" in refusal(write_files(tmp_path / "few", a_manifest(), encode(fewer)))
    more = tensors | {"critic": np.zeros(3, np.float32)}
    assert "unexpected ['critic']" in refusal(write_files(tmp_path / "many", a_manifest(), encode(more)))


def test_bundle_with_a_variance_that_is_not_above_zero_is_refused(tmp_path):
    """A normaliser cannot divide by the root of less than nothing."""
    manifest = a_manifest(normaliser=NORMALISER)
    path = with_tensors(tmp_path / "model", manifest, normaliser__variance=np.full(261, -1, np.float32))
    assert "normaliser.variance" in refusal(path)


def test_bundle_with_other_golden_logits_is_refused_not_traded(tmp_path):
    """A logit off by 1e-4 says that this machine computes something else."""
    logits = tensors_of(a_manifest())["golden.logits"].copy()
    logits[2, 4] += np.float32(1e-4)
    path = with_tensors(tmp_path / "model", a_manifest(), golden__logits=logits)
    assert "golden vector 2: logits differ by 0.0001" in refusal(path)


def test_bundle_with_other_golden_actions_is_refused(tmp_path):
    """The choice under the mask is part of the proof."""
    actions = tensors_of(a_manifest())["golden.actions"].copy()
    actions[1] = (actions[1] + 1) % 6
    path = with_tensors(tmp_path / "model", a_manifest(), golden__actions=actions)
    assert "golden vector 1: action" in refusal(path)


def test_bundle_without_golden_vectors_is_refused(tmp_path):
    """Nothing proven is nothing trusted."""
    empty = {
        "golden__observations": np.zeros((0, 261), np.float32),
        "golden__masks": np.zeros(0, np.float32),
        "golden__logits": np.zeros((0, 6), np.float32),
        "golden__actions": np.zeros(0, np.float32),
    }
    assert "at least 1 expected" in refusal(with_tensors(tmp_path / "model", a_manifest(), **empty))


def test_save_of_a_bundle_that_would_not_load_raises_and_leaves_the_old_one(tmp_path):
    """A save either succeeds whole or changes nothing."""
    path = a_bundle(tmp_path / "model")
    before = load(path).id
    weights, golden = weights_and_golden(a_manifest())
    wrong = msgspec.structs.replace(golden, logits=golden.logits + 1)
    with pytest.raises(BundleError, match="golden vector 0"):
        save_bundle(path, a_manifest(), weights, wrong)
    assert load(path).id == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model"]


def test_save_over_a_bundle_replaces_it_and_what_a_crash_left(tmp_path):
    """The remains of an interrupted save do not stand in the way."""
    path = a_bundle(tmp_path / "model")
    a_bundle(tmp_path / ".model.partial", seed=7)
    a_bundle(path, seed=2)
    expected = load(a_bundle(tmp_path / "other", seed=2)).id
    assert load(path).id == expected
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "other"]


def test_encode_of_decoded_tensors_gives_the_same_bytes():
    """The file is a function of the tensors."""
    content = encode(tensors_of(a_manifest()))
    assert encode(decode(content)) == content


def test_random_bundle_of_a_seed_is_reproducible_and_loads(tmp_path):
    """The benchmark's model is the same everywhere."""
    contract = {"schema_hash": "5c" * 32, "calendar_sha256": "ca" * 32}
    ids = {load(random_bundle(tmp_path / str(k), hidden=(512, 256, 128), seed=4, **contract)).id for k in range(2)}
    assert len(ids) == 1


def test_policy_in_a_fresh_process_imports_no_torch():
    """Loading a bundle and choosing an action needs neither torch nor stable-baselines3, nor pandas."""
    code = (
        "import sys; import strategies.ppo; import trader.policy.bundle, trader.policy.untrained; "
        "print(sorted({'torch', 'stable_baselines3', 'sb3_contrib', 'gymnasium', 'pandas'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
