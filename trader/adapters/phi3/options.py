"""What the model's process is told. Imports neither torch nor transformers: the daemon makes these."""

from typing import Literal

from msgspec import Struct

PROMPT_LIMIT = 1_500


class ModelOptions(Struct, frozen=True, kw_only=True):
    """Which model, where, in which precision, and how it answers.

    `name` is a local folder or a hub name; a hub name needs `revision`, a commit. `quantization` int4 is nf4; none is
    bfloat16 on a GPU and float32 on a CPU. `device` is auto, cpu, mps, cuda or cuda:N. `mode` score reads the labels'
    probabilities in one pass, generate writes a reply of at most `max_new_tokens`, after `cot_max_tokens` of free
    thought with `chain_of_thought`. `temperature` (0 to 2), `top_p` and `seed` count with `sample` only. `prompt_limit`
    is tokens. `graphs` says whether a static cache with captured CUDA graphs answers: auto is on for cuda, int8
    excepted.
    """

    name: str
    revision: str | None = None
    quantization: Literal["int8", "int4", "none"] = "int8"
    device: str = "auto"
    mode: Literal["score", "generate"] = "score"
    max_new_tokens: int = 50
    cot_max_tokens: int = 200
    chain_of_thought: bool = False
    sample: bool = False
    temperature: float = 0.7
    top_p: float = 0.9
    seed: int = 1
    wants_reason: bool = False
    prompt_limit: int = PROMPT_LIMIT
    graphs: Literal["auto", "on", "off"] = "auto"
