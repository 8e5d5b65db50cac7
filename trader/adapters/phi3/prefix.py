"""What all prompts begin with, read once and kept: a query reads only what follows.

A query that found anything else in the cache would answer wrongly without any error, so its length is checked before
each; after any failure the beginning is read again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from trader.adapters.phi3.static import TokenSequence


class StaleCacheError(RuntimeError):
    """The cache did not hold just the prefix when a query began; the next query reads it anew."""


class PrefixCache:
    """One sequence that always goes back to its prefix."""

    def __init__(self, sequence: "TokenSequence") -> None:
        self._sequence = sequence
        self._held: tuple[int, ...] | None = None

    @property
    def sequence(self) -> "TokenSequence":
        """What holds the tokens."""
        return self._sequence

    def hold(self, prefix: tuple[int, ...]) -> None:
        """Read `prefix`, unless it is what the cache was left with. Raises StaleCacheError where that is not so."""
        if prefix == self._held:
            if self._sequence.length != len(prefix):
                found = self._sequence.length
                self._held = None
                msg = f"the key-value cache holds {found} tokens where a query needs the prefix's {len(prefix)}"
                raise StaleCacheError(msg)
            return
        self._held = None
        self._sequence.truncate(0)
        if prefix:
            self._sequence.extend(prefix)
        self._held = prefix

    @contextmanager
    def reading(self, prefix: tuple[int, ...], rest: Sequence[int]) -> Iterator["Tensor"]:
        """The logits behind `prefix` + `rest`; inside the block the sequence may be extended further."""
        self.hold(prefix)
        held, self._held = self._held, None  # until the block has ended well, nobody may rely on the cache
        yield self._sequence.extend(rest)
        self._sequence.truncate(len(prefix))
        self._held = held
