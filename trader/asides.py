"""The advisor log: one line an exchange with a model, and one for each reason that it wrote afterwards.

For people and for statistics. It is not canonical (latencies are wall clock) and proves nothing; it stands in files
beside those of the decision log.
"""

from msgspec import Struct

ASIDE_PREFIX = "advisor-"


def aside_name(session_date: str) -> str:
    """The name of the file that holds what was said to the advisor's model, and by it, in one session."""
    return f"{ASIDE_PREFIX}{session_date}.jsonl"


class ExchangeRecord(Struct, frozen=True, kw_only=True):
    """One exchange with a model, in the advisor log: not canonical, its latency is wall clock in milliseconds.

    `messages` are (role, content) as they went out, `reply` the model's text where it wrote any. `probabilities` are
    the model's own over the valid actions; the other figures are those of the decision log's `llm`, `confidence` before
    reuse and rounding.
    """

    seq: int
    close_utc: str
    backend: str
    prompt_sha256: str | None
    valid: tuple[str, ...]
    messages: tuple[tuple[str, str], ...]
    reply: str | None
    probabilities: dict[str, float] | None
    legal_mass: float | None
    is_batched: bool
    status: str
    action: str | None
    confidence: float | None
    raw: float | None
    calibrated: float | None
    base_rate: float | None
    verbal: float | None
    reason: str | None
    latency_ms: float | None
    error: str | None


class ReasonRecord(Struct, frozen=True, kw_only=True):
    """A reason that the model wrote after its scored answer to the prompt of this hash, in the advisor log."""

    prompt_sha256: str
    text: str


class AsideLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the advisor log: one of the two."""

    exchange: ExchangeRecord | None = None
    reason: ReasonRecord | None = None
