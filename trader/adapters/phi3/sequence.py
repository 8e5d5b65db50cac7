"""The tokens that a model has read so far, held as its key-value cache; more can be read, and the last ones forgotten.

Two kinds with the same verbs: this one, of growing tensors, and that of fixed tensors in `static`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


class GrowingSequence:
    """A cache whose tensors grow as more is read."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)

    @property
    def length(self) -> int:
        """Tokens read so far, by the cache itself."""
        return int(self._cache.get_seq_length())

    @torch.inference_mode()
    def extend(self, tokens: Sequence[int]) -> Tensor:
        """Read `tokens`, at least one; the logits of what comes next, float32, shape (vocabulary,)."""
        ids = torch.tensor([tokens], device=self._model.device)
        # logits_to_keep: the vocabulary's 32,064 logits of every other position would cost more than they are worth.
        out = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        logits: Tensor = out.logits[0, -1].float()
        return logits

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if length == 0:
            self._cache.reset()
        elif length < self.length:
            self._cache.crop(length - self.length)  # takes a negative count only; a view, nothing is copied

    def repeated(self, count: int) -> DynamicCache:
        """A copy of the cache for `count` sequences that begin alike."""
        copy = DynamicCache(config=self._model.config)
        for at, layer in enumerate(self._cache.layers):
            rows = (layer.keys.expand(count, -1, -1, -1), layer.values.expand(count, -1, -1, -1))
            copy.update(*rows, at)
        return copy
