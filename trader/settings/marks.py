"""What else is known of a key, beside its type and range; and the section that all sections are."""

from enum import Enum

from pydantic import BaseModel, ConfigDict


class Mark(Enum):
    """What else is known of a field, beside its type and range."""

    LIMIT = "a safety limit"
    ASIDE = "changes no decision"


LIMIT = Mark.LIMIT
ASIDE = Mark.ASIDE


class Section(BaseModel):
    """A group of keys: frozen, strict, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
