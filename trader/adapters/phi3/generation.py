"""Writes a reply token by token: freely, or inside the format; stops within a token when told to."""

import hashlib
import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from msgspec import Struct
from torch import Tensor

from trader.adapters.phi3.constrained import Constraint
from trader.adapters.phi3.static import TokenSequence

Stop = Callable[[], bool]


class GenerationStoppedError(RuntimeError):
    """Nobody waits for the text any more."""


class Sampling(Struct, frozen=True, kw_only=True):
    """How a token is drawn: the likeliest at temperature 0, else from the `top_p` likeliest (Holtzman et al., 2020)."""

    temperature: float
    top_p: float
    seed: int

    def generator(self, prompt_sha256: str) -> torch.Generator:
        """The random numbers of one prompt: the same again, whatever was asked before."""
        digest = hashlib.sha256(f"{self.seed}:{prompt_sha256}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

    def draw(self, logits: Tensor, generator: torch.Generator) -> int:
        """A token of `logits`, shape (vocabulary,); those of -inf never. ArithmeticError where any is not a number."""
        if not math.isfinite(float(logits.max())):
            msg = "the model's logits are not finite: it has no next token"
            raise ArithmeticError(msg)
        if self.temperature == 0:
            return int(logits.argmax())
        probabilities = (logits.double() / self.temperature).softmax(-1)
        ordered, tokens = probabilities.sort(descending=True, stable=True)
        kept = ordered.masked_fill(ordered.cumsum(0) - ordered >= self.top_p, 0.0)
        return int(tokens[torch.multinomial(kept, 1, generator=generator)])


class Writer:
    """Continues what a sequence holds. `logits` are those of the next token; `limit` counts tokens."""

    def __init__(self, sequence: TokenSequence, sampling: Sampling, prompt_sha256: str, should_stop: Stop) -> None:
        self._sequence = sequence
        self._sampling = sampling
        self._generator = sampling.generator(prompt_sha256)
        self._should_stop = should_stop

    def free(self, logits: Tensor, limit: int, ends: Iterable[int], never: Iterable[int]) -> list[int]:
        """Tokens up to one of `ends`, which is not read, or to `limit`; none of `never`."""
        final, banned = frozenset(ends), torch.tensor(sorted(never), dtype=torch.long)
        written: list[int] = []
        while len(written) < limit:
            token = self._next(logits.cpu().index_fill(0, banned, -torch.inf))
            if token in final:
                break
            written.append(token)
            logits = self._sequence.extend([token])
        return written

    def constrained(self, logits: Tensor, constraint: Constraint, limit: int) -> list[int]:
        """The tokens of a reply in the format; cut at `limit`, which leaves it whole once its reason has begun."""
        state, written = constraint.start, list[int]()
        while True:
            forbidden = torch.from_numpy(np.logical_not(constraint.allowed(state)))
            token = self._next(logits.cpu().masked_fill(forbidden, -torch.inf))
            following = constraint.advance(state, token)
            if following is None:
                return written
            state = following
            written.append(token)
            if len(written) >= limit:
                return written
            logits = self._sequence.extend([token])

    def _next(self, logits: Tensor) -> int:
        if self._should_stop():
            msg = "the text is not wanted any more"
            raise GenerationStoppedError(msg)
        return self._sampling.draw(logits, self._generator)
