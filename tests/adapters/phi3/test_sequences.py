"""What was read, in both kinds of cache: the same logits, however it was read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from phi3_builders import options

from trader.adapters.phi3.loading import load_weights
from trader.adapters.phi3.sequence import GrowingSequence
from trader.adapters.phi3.static import LENGTHS, FixedSequence

TOKENS = [3 + (7 * at) % 900 for at in range(300)]


@pytest.fixture(scope="module")
def weights(tiny_phi3: Path) -> Any:
    """The tiny model without its tokenizer."""
    model, _ = load_weights(options(tiny_phi3))
    return model


@pytest.fixture(params=["growing", "fixed"])
def make(request: pytest.FixtureRequest, weights: Any) -> Callable[[], GrowingSequence | FixedSequence]:
    """An empty sequence of either kind."""
    if request.param == "growing":
        return lambda: GrowingSequence(weights)
    return lambda: FixedSequence(weights, 320, captures=False)


def test_reading_in_pieces_equals_reading_at_once(
    make: Callable[[], GrowingSequence | FixedSequence], weights: Any
) -> None:
    """Whatever the pieces: single tokens, whole lengths, and lengths that are padded."""
    with torch.no_grad():
        expected = weights(input_ids=torch.tensor([TOKENS])).logits[0]
    for pieces in ((1, 2, 3), (32, 1, 31, 33), (100, 64, 96, 1, 1), (257,)):
        sequence, end = make(), 0
        for piece in pieces:
            logits = sequence.extend(TOKENS[end : end + piece])
            end += piece
            assert sequence.length == end
            torch.testing.assert_close(logits, expected[end - 1], atol=1e-4, rtol=0)


def test_forgotten_tokens_leave_no_trace(make: Callable[[], GrowingSequence | FixedSequence]) -> None:
    """After going back, to the bit as if they had never been read."""
    sequence, other = make(), make()
    sequence.extend(TOKENS[:50])
    other.extend(TOKENS[:50])
    other.extend(TOKENS[150:280])
    other.truncate(50)
    assert other.length == 50
    assert torch.equal(sequence.extend(TOKENS[50:70]), other.extend(TOKENS[50:70]))
    other.truncate(0)
    assert other.length == 0
    assert torch.equal(other.extend(TOKENS[:50]), make().extend(TOKENS[:50]))


def test_fixed_cache_ends_where_it_is_full(weights: Any) -> None:
    """The last tokens fit without padding; one more is an error that leaves the cache as it was."""
    sequence, growing = FixedSequence(weights, 128, captures=False), GrowingSequence(weights)
    sequence.extend(TOKENS[:100])
    growing.extend(TOKENS[:100])
    torch.testing.assert_close(sequence.extend(TOKENS[100:125]), growing.extend(TOKENS[100:125]), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="125 \\+ 4 tokens do not fit a cache of 128"):
        sequence.extend(TOKENS[:4])
    assert sequence.length == 125


def test_warming_up_changes_nothing(weights: Any) -> None:
    """Every length is run once behind what is held."""
    warm, cold = (FixedSequence(weights, 320, captures=False) for _ in range(2))
    for sequence in (warm, cold):
        sequence.extend(TOKENS[:40])
    warm.warm_up(max(LENGTHS))
    assert warm.length == 40
    assert torch.equal(warm.extend(TOKENS[40:90]), cold.extend(TOKENS[40:90]))
