"""A key-value cache of fixed tensors, read in a few fixed lengths, so that CUDA can replay a pass as one graph.

A pass over 200 tokens of Phi-3-mini is a thousand small kernels; launching them one by one costs a fast GPU more than
running them. What is read is padded to the next of LENGTHS: what stands behind the last real token is hidden from it by
causality, and overwritten by what is read next. On a CPU the same passes run without graphs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache

from trader.adapters.phi3.sequence import GrowingSequence
from trader.errors import ConfigurationError

LENGTHS = (1, 32, 64, 96, 128, 160, 192, 224, 256, 384, 512, 768, 1024, 1536)
WARM_UPS = 3


class FixedSequence:
    """Up to `capacity` tokens. With `captures` each of LENGTHS becomes a CUDA graph when it is first read."""

    def __init__(self, model: Any, capacity: int, *, captures: bool) -> None:
        self._model = model
        self._capacity = capacity
        self._captures = captures
        self._cache = StaticCache(config=model.config, max_cache_len=capacity)
        self._columns = torch.arange(capacity, device=model.device)
        self._length = 0
        self._passes: dict[int, Callable[[Sequence[int], int], Tensor]] = {}
        self._pool: Any = None

    @property
    def length(self) -> int:
        """Tokens that count; what stands behind them in the tensors is padding or forgotten."""
        return self._length

    @torch.inference_mode()
    def extend(self, tokens: Sequence[int]) -> Tensor:
        """Read `tokens`, at least one; the logits of what comes next, float32, shape (vocabulary,)."""
        if self._length + len(tokens) > self._capacity:
            msg = f"{self._length} + {len(tokens)} tokens do not fit a cache of {self._capacity}"
            raise ValueError(msg)
        logits = self._pass_of(len(tokens))(tokens, self._length)
        self._length += len(tokens)
        return logits

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self._length = min(self._length, length)

    @torch.inference_mode()
    def warm_up(self, longest: int) -> None:
        """Run, and capture, each of LENGTHS up to `longest` behind what is held, so that no question waits for it."""
        held = self._length
        for length in LENGTHS:
            if length <= min(longest, self._capacity - held):
                self.extend([0] * length)
                self.truncate(held)

    def _pass_of(self, count: int) -> Callable[[Sequence[int], int], Tensor]:
        """What reads `count` tokens: the pass of the next length, or an unpadded one where that would not fit."""
        room = self._capacity - self._length
        length = next((length for length in LENGTHS if count <= length <= room), None)
        if length is None:
            return _Pass(self._forward, count, self._model.device)
        if length not in self._passes:
            made = _Pass(self._forward, length, self._model.device)
            # The cache's tensors are made by the first pass of all, which therefore runs as it is.
            if self._captures and self._cache.is_initialized:
                self._pool = made.capture(self._length, self._pool)
            elif self._captures:
                return made
            self._passes[length] = made
        return self._passes[length]

    def _forward(self, ids: Tensor, start: Tensor, last: Tensor) -> Tensor:
        """One pass over `ids` (1, length) from position `start` (scalar); logits behind ids[0, last]."""
        for layer in self._cache.layers:
            layer.cumulative_length = layer.cumulative_length.to(start.device)
            layer.cumulative_length.copy_(start)
        rows = start + self._columns[: ids.shape[1]]
        visible = self._columns[None, :] <= rows[:, None]
        out = self._model(
            input_ids=ids,
            attention_mask=visible[None, None],
            position_ids=rows[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=last,
        )
        logits: Tensor = out.logits[0, 0].float()
        return logits


class _Pass:
    """A forward pass of one length, its inputs at fixed addresses."""

    def __init__(self, forward: Callable[[Tensor, Tensor, Tensor], Tensor], length: int, device: Any) -> None:
        self._forward = forward
        self._ids = torch.zeros((1, length), dtype=torch.long, device=device)
        self._start = torch.zeros((), dtype=torch.long, device=device)
        self._last = torch.zeros(1, dtype=torch.long, device=device)
        self._graph: Any = None
        self._logits: Tensor | None = None

    def __call__(self, tokens: Sequence[int], start: int) -> Tensor:
        """The logits behind the last of `tokens`, read from position `start`."""
        self._ids[0, : len(tokens)].copy_(torch.tensor(tokens))
        self._start.fill_(start)
        self._last.fill_(len(tokens) - 1)
        if self._graph is None or self._logits is None:
            return self._forward(self._ids, self._start, self._last)
        self._graph.replay()
        return self._logits.clone()

    def capture(self, start: int, pool: Any) -> Any:
        """Record the pass as a graph; returns the memory pool that graphs share. Writes behind `start` in the cache.

        Raises ConfigurationError where this GPU, model or library does not let it.
        """
        self._start.fill_(start)
        with torch.cuda.device(self._ids.device):
            try:
                self._warm_up()
                self._graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self._graph, pool=pool):
                    self._logits = self._forward(self._ids, self._start, self._last)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                msg = f"a pass of {self._ids.shape[1]} tokens cannot become a CUDA graph: {error}; set graphs to off"
                raise ConfigurationError(msg) from error
        return self._graph.pool()

    def _warm_up(self) -> None:
        """Run a few times on a stream of its own, as libraries allocate and choose their kernels on a first run."""
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._forward(self._ids, self._start, self._last)
        torch.cuda.current_stream().wait_stream(side)


TokenSequence = GrowingSequence | FixedSequence
