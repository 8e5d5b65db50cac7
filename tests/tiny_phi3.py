"""A Phi-3 of two megabytes with random weights, built in place of the real one, whose weights no test may fetch.

Shape of the files, tokenizer, special tokens and chat template are the real model's; vocabulary and weights are not.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ("config/llm_config.yaml", "config/trader.yaml", "README.md")
# Often enough for each label's first letter to grow together with the space before it, as in Phi-3's vocabulary.
INITIALS = "H B S M E D"
INITIAL_LINES = 40
MERGES_UP_TO = 900
LABELS = ("HOLD", "BUY", "SELL", "MOVE_TO_BE", "ENABLE_TRAIL", "DISABLE_TRAIL")
# Random layers drown the last token; its embedding is made loud, so that `asked to answer` can be told from the rest.
LOUDNESS = 20
LEAN = 1.4
UNKNOWN, BEGIN = "<unk>", "<s>"
# What the real tokenizer adds behind its vocabulary, in its order; the first ends a text, <|end|> a turn.
CHAT_TOKENS = (
    "<|endoftext|>",
    "<|assistant|>",
    "<|placeholder1|>",
    "<|placeholder2|>",
    "<|placeholder3|>",
    "<|placeholder4|>",
    "<|system|>",
    "<|end|>",
    "<|placeholder5|>",
    "<|placeholder6|>",
    "<|user|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] in ('system', 'user', 'assistant') %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


def make_tiny_phi3(folder: Path, *, seed: int = 1, layers: int = 3) -> Path:
    """Write model and tokenizer into `folder`, as `from_pretrained` wants them; the same bytes for the same seed."""
    import torch  # noqa: PLC0415 -- whoever only imports this module must not wait for torch
    from transformers import Phi3Config, Phi3ForCausalLM, logging  # noqa: PLC0415

    logging.disable_progress_bar()
    tokenizer_size = _write_tokenizer(folder)
    config = Phi3Config(
        vocab_size=-(-tokenizer_size // 64) * 64,  # the real one is padded too: the last rows have no token
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        initializer_range=0.1,  # five times the usual one: probabilities that differ from prompt to prompt
        sliding_window=2047,
        bos_token_id=1,
        eos_token_id=tokenizer_size - len(CHAT_TOKENS),
        pad_token_id=tokenizer_size - len(CHAT_TOKENS),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Phi3ForCausalLM(config)
    _lean_towards_labels(model, folder)
    model.save_pretrained(folder)
    return folder


def _lean_towards_labels(model: Any, folder: Path) -> None:
    """Make the labels' first tokens likely behind <|assistant|>, as training does: else no answer had legal mass."""
    import torch  # noqa: PLC0415
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    asked = [f"<|user|>\nPrice: ${price:.2f}<|end|>\n{CHAT_TOKENS[1]}" for price in (1, 12_345.75, 20_000)]
    firsts = [tokenizer(f"{CHAT_TOKENS[1]}{label}", add_special_tokens=False)["input_ids"][1] for label in LABELS]
    with torch.no_grad():
        model.model.embed_tokens.weight *= LOUDNESS
        ends = [
            model.model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).last_hidden_state[0, -1]
            for text in asked
        ]
        towards = torch.stack(ends).mean(0)
        model.lm_head.weight[firsts] += LEAN * towards / towards.norm()


def _write_tokenizer(folder: Path) -> int:
    """Train a BPE with byte fallback on the project's own texts and save it; its number of tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    vocabulary, merges = _trained()
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True)
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(name, normalized=False) for name in (UNKNOWN, BEGIN)])
    # The real ones swallow the white space after them, all but <|endoftext|>.
    made.add_special_tokens([AddedToken(name, normalized=False, rstrip=name != CHAT_TOKENS[0]) for name in CHAT_TOKENS])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token=BEGIN,
        eos_token=CHAT_TOKENS[0],
        unk_token=UNKNOWN,
        pad_token=CHAT_TOKENS[0],
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
    return len(wrapped)


def _trained() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges: three marks and 256 bytes first, as in Phi-3's, then what the texts are made of."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: PLC0415

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    learner.train_from_iterator(_lines(), trainers.BpeTrainer(vocab_size=MERGES_UP_TO, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    first = [UNKNOWN, BEGIN, "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    return {piece: at for at, piece in enumerate([*first, *pieces])}, [tuple(pair) for pair in learned["merges"]]


def _lines() -> Iterator[str]:
    """The texts line by line, so that a line's end is left to the bytes, as in Phi-3's vocabulary."""
    for name in TEXTS:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            yield re.sub(r"[^\x20-\x7e]", "", line)
    yield from [INITIALS] * INITIAL_LINES
