"""Whether a language model may have known the dates that it was tested on: hindsight, told in the report."""

from datetime import date

from msgspec import Struct

MODEL_BACKENDS = frozenset({"phi3", "openai", "ensemble"})
CONTAMINATED = "contaminated"


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known of the advisor. Of a recording the facts are those of what was recorded.

    `backend` is `advisor.backend`. `knowledge_until` is the last day that the model's training data cover, None where
    nobody knows. `anonymised` says that its prompts hid dates and price levels.
    """

    backend: str
    knowledge_until: date | None
    anonymised: bool


def contamination(first_session: str | None, model: ModelFacts, *, is_synthetic: bool) -> str | None:
    """`contaminated` where a run from `first_session` (YYYY-MM-DD) on lies, at least in part, in what a model knows.

    Data of unknown end may cover every date. None where there is no language model, no session, prompts that hid what
    could be remembered, or bars that nobody ever traded.
    """
    if model.backend not in MODEL_BACKENDS or model.anonymised or is_synthetic or first_session is None:
        return None
    until = model.knowledge_until
    return CONTAMINATED if until is None or first_session <= until.isoformat() else None
