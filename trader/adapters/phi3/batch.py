"""Scores many prompts at once, for recordings made ahead of a backtest.

Wider matrix products add in another order: the last bits differ from those of one prompt alone, in bfloat16 the second
digit of a logit. Whoever keeps such scores marks them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trader.adapters.phi3.sequence import GrowingSequence

ROWS = 16


class BatchReader:
    """Reads prompts that begin alike, ROWS at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._start = GrowingSequence(model)
        self._prefix: tuple[int, ...] = ()

    @torch.inference_mode()
    def read(self, prefix: tuple[int, ...], rests: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """The logits behind `prefix` + each of `rests`, in their order, float32, shape (vocabulary,) each."""
        if prefix != self._prefix or self._start.length != len(prefix):
            self._prefix = ()
            self._start.truncate(0)
            if prefix:
                self._start.extend(prefix)
            self._prefix = prefix
        by_length = sorted(range(len(rests)), key=lambda at: len(rests[at]))
        found: dict[int, Tensor] = {}
        for first in range(0, len(by_length), ROWS):
            places = by_length[first : first + ROWS]
            found.update(zip(places, self._rows([rests[at] for at in places]), strict=True))
        return [found[at] for at in range(len(rests))]

    def _rows(self, rests: list[tuple[int, ...]]) -> list[Tensor]:
        longest = max(map(len, rests))
        # Padded behind: no real token sees what comes after it.
        ids = torch.tensor([[*rest, *[0] * (longest - len(rest))] for rest in rests], device=self._model.device)
        cache = self._start.repeated(len(rests))
        out = self._model.model(input_ids=ids, past_key_values=cache, use_cache=True)
        last = torch.tensor([len(rest) - 1 for rest in rests], device=ids.device)
        hidden = out.last_hidden_state[torch.arange(len(rests), device=ids.device), last]
        return list(self._model.lm_head(hidden).float().cpu())
