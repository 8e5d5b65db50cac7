"""The least time that Phi-3-mini can take on a card: bytes over bandwidth, operations over peak, efficiency 1.

Williams, Waterman and Patterson, "Roofline" (2009). Calculated, never measured; a real card takes two to four times it.
"""

from msgspec import Struct

HIDDEN, INNER, LAYERS, VOCABULARY = 3_072, 8_192, 32, 32_064
# Per layer: queries, keys and values; the attention's output; gate and up; down.
LAYER_WEIGHTS = HIDDEN * 3 * HIDDEN + HIDDEN * HIDDEN + HIDDEN * 2 * INNER + INNER * HIDDEN
BLOCK_WEIGHTS = LAYERS * LAYER_WEIGHTS
HEAD_WEIGHTS = VOCABULARY * HIDDEN  # stays in 16 bits under every quantization
# nf4 has one float32 scale for 64 weights.
BYTES_PER_WEIGHT = {"none": 2.0, "int8": 1.0, "int4": 0.5 + 4 / 64}
SUFFIX_TOKENS = 162
REPLY_TOKENS = 20


class Card(Struct, frozen=True, kw_only=True):
    """A GPU by its maker's figures: memory bandwidth, and dense peak of bfloat16 products summed in float32."""

    name: str
    bandwidth_gb_s: float
    peak_tflop_s: float


CARDS = (
    Card(name="RTX 3060", bandwidth_gb_s=360, peak_tflop_s=25.5),
    Card(name="RTX 4090", bandwidth_gb_s=1_008, peak_tflop_s=165.2),
    Card(name="H200", bandwidth_gb_s=4_800, peak_tflop_s=989.4),
)


class Floor(Struct, frozen=True, kw_only=True):
    """The least time on a card, in ms: one decoded token, one scored suffix, a reply of REPLY_TOKENS after it."""

    card: str
    quantization: str
    weights_gb: float
    token_ms: float
    score_ms: float
    score_bound: str
    reply_ms: float
    suffix_tokens: int = SUFFIX_TOKENS
    reply_tokens: int = REPLY_TOKENS


def floors(prefix_tokens: int, suffix_tokens: int = SUFFIX_TOKENS) -> list[Floor]:
    """For every card and quantization, for a suffix read behind `prefix_tokens` that are cached."""
    return [
        floor(card, quantization, prefix_tokens, suffix_tokens) for card in CARDS for quantization in BYTES_PER_WEIGHT
    ]


def floor(card: Card, quantization: str, prefix_tokens: int, suffix_tokens: int) -> Floor:
    """One card and quantization. Products are counted at bfloat16's peak under every quantization."""
    read_bytes = BLOCK_WEIGHTS * BYTES_PER_WEIGHT[quantization] + HEAD_WEIGHTS * BYTES_PER_WEIGHT["none"]
    token_ms = read_bytes / (card.bandwidth_gb_s * 1e6)
    attended = prefix_tokens + suffix_tokens / 2
    per_token = 2 * BLOCK_WEIGHTS + 4 * LAYERS * HIDDEN * attended
    compute_ms = (suffix_tokens * per_token + 2 * HEAD_WEIGHTS) / (card.peak_tflop_s * 1e9)
    score_ms = max(compute_ms, token_ms)
    return Floor(
        card=card.name,
        quantization=quantization,
        weights_gb=round(read_bytes / 1e9, 2),
        token_ms=round(token_ms, 2),
        score_ms=round(score_ms, 2),
        score_bound="compute" if compute_ms > token_ms else "memory",
        reply_ms=round(score_ms + (REPLY_TOKENS - 1) * token_ms, 1),
        suffix_tokens=suffix_tokens,
    )
