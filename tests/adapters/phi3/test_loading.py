"""What can be wrong with a model is said at the start, with a remedy."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from phi3_builders import ALL, a_prompt, never, options

from trader.adapters.phi3 import loading
from trader.adapters.phi3.model import Phi3Model
from trader.advisor.parse import parse_reply
from trader.domain.actions import actions_in
from trader.errors import ConfigurationError


@pytest.fixture
def copied(tiny_phi3: Path, tmp_path: Path) -> Path:
    """A copy of the model's folder, to be spoiled."""
    return shutil.copytree(tiny_phi3, tmp_path / "model")


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file in place."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def refusal_of(folder: Path | str, **changes: Any) -> str:
    """The message of the error that loading ends in."""
    with pytest.raises(ConfigurationError) as refused:
        Phi3Model(options(Path(folder), **changes))
    return str(refused.value)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_quantized_model_answers_on_a_cpu(tiny_phi3: Path, quantization: str) -> None:
    """It scores, near what full precision gives but not the same, and it writes."""
    model, full = Phi3Model(options(tiny_phi3, quantization=quantization)), Phi3Model(options(tiny_phi3))
    apart = [
        abs(one - other)
        for one, other in zip(
            model.score(a_prompt(), ALL).log_probs, full.score(a_prompt(), ALL).log_probs, strict=True
        )
    ]
    assert 0 < max(apart) < 1.5
    assert parse_reply(model.generate(a_prompt(), ALL, never)).action in actions_in(ALL)
    assert f":{quantization}:" in model.identity


def test_int4_is_nf4() -> None:
    """The library would take fp4."""
    _, quantization = loading.precision("int4", "cuda:0")
    assert quantization.bnb_4bit_quant_type == "nf4"
    assert quantization.bnb_4bit_compute_dtype == torch.bfloat16


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """With the path as it was understood; a folder without a model in it as well."""
    assert f"there is no folder {tmp_path / 'absent'}" in refusal_of(tmp_path / "absent")
    assert "config.json is missing" in refusal_of(tmp_path)


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_hub_name_needs_a_pinned_commit(revision: str | None) -> None:
    """A branch can move unseen."""
    message = refusal_of("microsoft/Phi-3-mini-4k-instruct", revision=revision)
    assert "llm_model.revision" in message
    assert "hf download microsoft/Phi-3-mini-4k-instruct --revision" in message


def test_hub_name_that_was_never_fetched_is_not_fetched_now() -> None:
    """Nothing is downloaded; the remedy says how to."""
    message = refusal_of("microsoft/Phi-3-mini-4k-instruct", revision="0" * 40)
    assert "cannot be loaded" in message
    assert "hf download" in message


def test_other_architecture_is_sent_to_the_other_back_end(copied: Path) -> None:
    """The cache and the static path are Phi-3's."""
    edited(copied / "config.json", lambda config: config.update(model_type="llama"))
    assert "advisor.backend to openai" in refusal_of(copied)


def test_incomplete_weights_are_refused(copied: Path) -> None:
    """The library would fill them with random numbers and go on."""
    weights = safetensors.torch.load_file(copied / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    safetensors.torch.save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.down_proj.weight" in refusal_of(copied)


def test_damaged_weights_are_refused(copied: Path) -> None:
    """A file cut short names itself as what cannot be loaded."""
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[:1_000])
    assert "cannot be loaded" in refusal_of(copied)


def test_tokenizer_without_a_chat_template_is_refused(copied: Path) -> None:
    """A base model is no instruct model."""
    (copied / "chat_template.jinja").unlink()
    assert "no chat template" in refusal_of(copied)


def test_template_without_the_system_role_is_refused(copied: Path) -> None:
    """As the first revisions of the real model had it: the rules would never reach the model."""
    template = (copied / "chat_template.jinja").read_text()
    (copied / "chat_template.jinja").write_text(template.replace("'system', ", ""))
    assert "drops or changes the system message" in refusal_of(copied)


def test_tokenizer_of_another_model_is_refused(copied: Path) -> None:
    """Without Phi-3's special tokens, and with more tokens than the model has rows."""
    text = (copied / "tokenizer.json").read_text()
    (copied / "tokenizer.json").write_text(text.replace("<|assistant|>", "<|helper|>"))
    assert "lacks <|assistant|>" in refusal_of(copied)
    (copied / "tokenizer.json").write_text(text)
    edited(copied / "config.json", lambda config: config.update(vocab_size=1_000))
    assert "1000" in refusal_of(copied)


def test_labels_that_cannot_be_told_apart_are_no_matter_to_a_model_that_writes(copied: Path) -> None:
    """A score is refused, and the remedy that its error names is one."""
    buys = {"type": "Replace", "pattern": {"String": "BUY"}, "content": "buy"}
    edited(copied / "tokenizer.json", lambda document: document["normalizer"]["normalizers"].insert(0, buys))
    message = refusal_of(copied)
    assert "labels BUY apart" in message
    assert "advisor.mode to generate" in message
    model = Phi3Model(options(copied, mode="generate"))
    model.prepare([a_prompt(1.0), a_prompt(2.0)])
    assert parse_reply(model.generate(a_prompt(), ALL, never)).action in actions_in(ALL)


def test_system_prompt_that_is_too_long_is_refused_at_the_start(tiny_model: Phi3Model) -> None:
    """And at a question: the limit is in tokens."""
    tiny_model.check("You trade.")
    with pytest.raises(ConfigurationError, match="longer than the 1500"):
        tiny_model.check("You trade. " * 600)
    with pytest.raises(ConfigurationError, match="longer than the 1500"):
        tiny_model.score(a_prompt(user="Price: 1 " * 600), ALL)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_absent_gpu_is_named(tiny_phi3: Path, device: str) -> None:
    """Asked for by name it must be there; auto takes the CPU."""
    assert "0 CUDA devices" in refusal_of(tiny_phi3, device=device)
    assert Phi3Model(options(tiny_phi3, device="auto")).identity.endswith(":float32:cpu:growing")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), RuntimeError("out of memory")])
def test_memory_that_does_not_suffice_has_a_remedy(tiny_phi3: Path, error: Exception) -> None:
    """Whichever way torch puts it."""

    def fails() -> None:
        raise error

    with pytest.raises(ConfigurationError, match=r"does not fit the memory of cpu.*int4"):
        loading.reading(options(tiny_phi3), fails)


def test_options_need_no_torch() -> None:
    """The daemon makes them; it never imports what the worker does."""
    code = (
        "import sys, trader.adapters.phi3.options; "
        "sys.exit(bool({'torch', 'transformers', 'bitsandbytes'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
