"""Loads tokenizer and weights from this machine's disk, or says what is wrong and what to do about it.

Nothing is downloaded: a hub name is looked up in the local hub cache. No code from a model's folder is run.
"""

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from trader.adapters.phi3.options import ModelOptions
from trader.errors import ConfigurationError

T = TypeVar("T")

INSTALL = "pip install 'nq-trader[llm]'"
NEEDED = ("torch", "transformers", "accelerate")
ARCHITECTURE = "phi3"
ERROR_CHARS = 300
EDGE_BYTES = 1 << 20


class Loaded(Struct, frozen=True, kw_only=True):
    """A model in evaluation mode on `device`, its tokenizer, and what names exactly these weights."""

    model: Any
    tokenizer: Any
    device: str
    dtype: str
    version: str


def load(options: ModelOptions) -> Loaded:
    """Load what `options` names. Raises ConfigurationError with a remedy for everything that can be wrong."""
    check_installed(options)
    # Set before transformers is imported: the libraries ask the hub even about local folders.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    source = _source(options)
    device = _device(options.device)
    config = reading(options, lambda: _config(options, source))
    tokenizer = reading(options, lambda: _tokenizer(options, source))
    if len(tokenizer) > config.vocab_size:
        msg = (
            f"the tokenizer in {options.name} knows {len(tokenizer)} tokens and its model {config.vocab_size}: they "
            "do not belong together; take both from one revision"
        )
        raise ConfigurationError(msg)
    model = reading(options, lambda: _model(options, source, config, device))
    dtype = str(model.dtype).removeprefix("torch.")
    return Loaded(model=model, tokenizer=tokenizer, device=device, dtype=dtype, version=_version(options, source))


def load_weights(options: ModelOptions) -> tuple[Any, str]:
    """The model alone and its device, for measuring a shape that has no tokenizer. Raises as `load` does."""
    check_installed(options)
    source, device = _source(options), _device(options.device)
    config = reading(options, lambda: _config(options, source))
    return reading(options, lambda: _model(options, source, config, device)), device


def check_installed(options: ModelOptions) -> None:
    """ConfigurationError names the packages that are missing, and how to get them; imports none of them."""
    needed = NEEDED if options.quantization == "none" else (*NEEDED, "bitsandbytes")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        what = "" if "bitsandbytes" not in missing else f" ({options.quantization} needs bitsandbytes)"
        msg = f"the language model needs {', '.join(missing)}{what}: {INSTALL}"
        raise ConfigurationError(msg)


def _source(options: ModelOptions) -> Path | str:
    """The folder, or the hub's name of a model with a pinned revision."""
    folder = Path(options.name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            msg = f"llm_model.name: {folder} holds no model: config.json is missing"
            raise ConfigurationError(msg)
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", options.name) or options.name.startswith("."):
        msg = (
            f"llm_model.name: there is no folder {folder}, and it is no hub name such as "
            "microsoft/Phi-3-mini-4k-instruct"
        )
        raise ConfigurationError(msg)
    if options.revision is None or not re.fullmatch("[0-9a-f]{40}", options.revision):
        msg = (
            f"llm_model.revision: {options.name} is a hub name and there is no such folder; pin the 40 hex digits of a "
            f"commit, fetch it once with `hf download {options.name} --revision COMMIT`, or name a local folder"
        )
        raise ConfigurationError(msg)
    return options.name


def _device(wanted: str) -> str:
    import torch  # noqa: PLC0415 -- seconds; only who loads a model waits for them

    has_mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if wanted.startswith("cuda"):
        at = int(wanted.partition(":")[2] or 0)
        if at >= torch.cuda.device_count():
            msg = (
                f"llm_model.device: {wanted}, but torch sees {torch.cuda.device_count()} CUDA devices here; set "
                "device: auto or cpu, or install the driver and a CUDA build of torch"
            )
            raise ConfigurationError(msg)
        return f"cuda:{at}"
    if wanted == "mps" and not has_mps:
        msg = "llm_model.device: mps, but torch sees no Apple GPU here; set device: auto or cpu"
        raise ConfigurationError(msg)
    return wanted


def reading(options: ModelOptions, read: Callable[[], T]) -> T:
    """What `read` gives, with the libraries' errors told as one of this project's."""
    import torch  # noqa: PLC0415

    try:
        return read()
    except torch.OutOfMemoryError as error:
        raise ConfigurationError(_too_large(options, error)) from error
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a library makes of a foreign file is told in one way, with its own words
        if "out of memory" in str(error).lower():
            raise ConfigurationError(_too_large(options, error)) from error
        where = f"{options.name} at revision {options.revision}" if options.revision else options.name
        msg = (
            f"llm_model.name: {where} cannot be loaded: {type(error).__name__}: {_first_line(error)}; a folder must "
            "hold config.json, the tokenizer and the *.safetensors of one model, a hub name must have been fetched "
            "once with `hf download`"
        )
        raise ConfigurationError(msg) from error


def _too_large(options: ModelOptions, error: Exception) -> str:
    return (
        f"{options.name} does not fit the memory of {options.device} in {options.quantization}: {_first_line(error)}; "
        "set llm_model.quantization to int4, end what else uses the GPU, or set device: cpu"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:ERROR_CHARS]


def _config(options: ModelOptions, source: Path | str) -> Any:
    from transformers import AutoConfig  # noqa: PLC0415

    config = AutoConfig.from_pretrained(source, **_from(options, source))
    if config.model_type != ARCHITECTURE:
        msg = (
            f"llm_model.name: {options.name} is a {config.model_type}, and the back end phi3 runs Phi-3 only; run "
            "another model in a server of its own and set advisor.backend to openai"
        )
        raise ConfigurationError(msg)
    return config


def _tokenizer(options: ModelOptions, source: Path | str) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415

    return AutoTokenizer.from_pretrained(source, **_from(options, source))


def _model(options: ModelOptions, source: Path | str, config: Any, device: str) -> Any:
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, logging  # noqa: PLC0415

    logging.disable_progress_bar()
    dtype, quantization = precision(options.quantization, device)
    config.sliding_window = None  # prompts are capped far below it, and a window would make the cache another kind
    model, report = AutoModelForCausalLM.from_pretrained(
        source,
        config=config,
        dtype=getattr(torch, dtype),
        quantization_config=quantization,
        attn_implementation="sdpa",
        device_map={"": device},
        output_loading_info=True,
        **_from(options, source),
    )
    absent = sorted({*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])})
    if absent:
        msg = (
            f"llm_model.name: the weights in {options.name} are incomplete, {len(absent)} of them are missing or "
            f"misshapen, such as {absent[0]}; fetch the model again"
        )
        raise ConfigurationError(msg)
    return model.eval()


def precision(quantization: str, device: str) -> tuple[str, Any]:
    """The name of the type to compute in, and the quantization's configuration or None.

    LLM.int8 (Dettmers et al., 2022) takes float16; nf4 (QLoRA, Dettmers et al., 2023) must be named, since fp4 is what
    the library takes otherwise.
    """
    on_cpu = device == "cpu"
    if quantization == "none":
        return ("float32" if on_cpu else "bfloat16"), None
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    if quantization == "int8":
        return "float16", BitsAndBytesConfig(load_in_8bit=True)
    dtype = "float32" if on_cpu else "bfloat16"
    return dtype, BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _from(options: ModelOptions, source: Path | str) -> dict[str, Any]:
    revision = {} if isinstance(source, Path) else {"revision": options.revision}
    return {"local_files_only": True, "trust_remote_code": False, **revision}


def _version(options: ModelOptions, source: Path | str) -> str:
    """The commit, or 16 hex digits that change with the folder's files.

    Of a large file its size and both ends are taken: reading seven gigabytes would double the time of a start.
    """
    if not isinstance(source, Path):
        return str(options.revision)
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        if path.suffix in {".json", ".safetensors", ".jinja", ".model"}:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with path.open("rb") as file:
                digest.update(file.read(EDGE_BYTES))
                file.seek(max(0, size - EDGE_BYTES))
                digest.update(file.read(EDGE_BYTES))
    return digest.hexdigest()[:16]
