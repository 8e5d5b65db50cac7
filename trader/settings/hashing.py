"""What names a configuration: one hash of what changes decisions, one of everything."""

import hashlib
import json
from collections.abc import Iterable

from trader.settings.keys import decision_keys, marks_by_key
from trader.settings.schema import Settings


def decision_hash(settings: Settings) -> str:
    """sha256, in hex, of the keys that change decisions: equal wherever the same bars and advice decide the same."""
    return hash_of(settings, decision_keys())


def full_hash(settings: Settings) -> str:
    """sha256, in hex, of every key."""
    return hash_of(settings, marks_by_key())


def hash_of(settings: Settings, keys: Iterable[str]) -> str:
    """sha256, in hex, of these keys and their values."""
    values = settings.model_dump(mode="json")
    chosen = {key: _at(values, key) for key in keys}
    text = json.dumps(chosen, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _at(values: object, key: str) -> object:
    for name in key.split("."):
        values = values[name] if isinstance(values, dict) else None
    return values
