"""What keys there are: every leaf of the schema by its dotted name, its marks, and the nearest name to a wrong one."""

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trader.settings.marks import Mark
from trader.settings.schema import Settings

# Below this likeness a suggestion misleads more than it helps.
_ALIKE = 0.6


@cache
def marks_by_key() -> Mapping[str, frozenset[Mark]]:
    """Every key that takes a value, such as `fusion.llm_weight`, with its own marks and those of its sections."""
    return dict(_leaves(Settings, "", frozenset()))


@cache
def section_keys() -> frozenset[str]:
    """Every key that takes keys of its own, such as `fusion`."""
    return frozenset(key[:end] for key in marks_by_key() for end in range(len(key)) if key[end] == ".")


def limit_keys() -> tuple[str, ...]:
    """The safety limits, which `live.yaml` states itself."""
    return tuple(key for key, marks in marks_by_key().items() if Mark.LIMIT in marks)


def decision_keys() -> tuple[str, ...]:
    """The keys that change decisions."""
    return tuple(key for key, marks in marks_by_key().items() if Mark.ASIDE not in marks)


def leaf_of(key: str) -> str | None:
    """The key that takes a value and is `key` or holds it (`strategy.options` for `strategy.options.fast`)."""
    parts = key.split(".")
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in marks_by_key()), None)


def nearest(key: str) -> str | None:
    """The known key that is most like `key`, by its whole name or by its last word; None where nothing is near."""

    wrong = key.lower()

    def likeness(known: str) -> float:
        whole = SequenceMatcher(None, wrong, known).ratio()
        return max(whole, 0.95 * SequenceMatcher(None, _last(wrong), _last(known)).ratio() + 0.05 * whole)

    best = max((*marks_by_key(), *section_keys()), key=likeness)
    return best if likeness(best) >= _ALIKE else None


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _leaves(model: type[BaseModel], prefix: str, inherited: frozenset[Mark]) -> Iterator[tuple[str, frozenset[Mark]]]:
    for name, field in model.model_fields.items():
        marks = inherited | _marks_of(field)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, f"{prefix}{name}.", marks)
        else:
            yield f"{prefix}{name}", marks


def _marks_of(field: FieldInfo) -> frozenset[Mark]:
    return frozenset(mark for mark in field.metadata if isinstance(mark, Mark))
