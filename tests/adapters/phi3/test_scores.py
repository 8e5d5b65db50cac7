"""Probabilities of labels in one pass, through the cached prefix."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from phi3_builders import ALL, FLAT, SYSTEM, a_prompt, made_of, options
from transformers import AutoModelForCausalLM, AutoTokenizer

from trader.adapters.phi3.labels import scores_of
from trader.adapters.phi3.model import Phi3Model
from trader.adapters.phi3.prefix import StaleCacheError
from trader.advisor.prompt import Message
from trader.advisor.question import Scores

LABELS = ("HOLD", "BUY", "SELL", "MOVE_TO_BE", "ENABLE_TRAIL", "DISABLE_TRAIL")
PRICES = (1.0, 99.5, 15_000.25, 20_123.0)


def largest_difference(one: Scores, other: Scores) -> float:
    """Of two scores over the same actions: in log-probability, and in legal mass."""
    pairs = zip(one.log_probs, other.log_probs, strict=True)
    apart = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return max(*apart, abs(one.legal_mass - other.legal_mass))


@pytest.fixture(scope="module")
def plain(tiny_phi3: Path) -> SimpleNamespace:
    """The libraries themselves, without anything of this project."""
    return SimpleNamespace(
        model=AutoModelForCausalLM.from_pretrained(tiny_phi3, local_files_only=True, sliding_window=None).eval(),
        tokenizer=AutoTokenizer.from_pretrained(tiny_phi3, local_files_only=True),
    )


def plain_scores(plain: SimpleNamespace, prompt_text: str, mask: int) -> Scores:
    """One uncached pass over the whole text, labels by what the tokenizer makes of them behind a space."""
    ids = plain.tokenizer(prompt_text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        probabilities = plain.model(input_ids=ids).logits[0, -1].double().softmax(-1)
    sums = []
    for label in LABELS:
        spaced = plain.tokenizer.tokenize(f"{label}")[0]
        firsts = plain.tokenizer.convert_tokens_to_ids([spaced, plain.tokenizer.tokenize(f"|{label}")[1]])
        sums.append(float(probabilities[sorted(set(firsts))].sum()))
    legal = sum(value for at, value in enumerate(sums) if mask >> at & 1)
    return Scores(
        tuple(math.log(value / legal) if mask >> at & 1 else None for at, value in enumerate(sums)),
        legal,
    )


@pytest.mark.parametrize("mask", [ALL, FLAT, 0b100001])
def test_scores_equal_those_of_an_uncached_pass(tiny_model: Phi3Model, plain: SimpleNamespace, mask: int) -> None:
    """The cached prefix changes nothing but rounding: 1e-5 in float32, for every query, whatever came before it."""
    for price in PRICES:
        prompt = a_prompt(price)
        text = f"<|system|>\n{SYSTEM}<|end|>\n<|user|>\n{prompt.messages[1].content}<|end|>\n<|assistant|>\n"
        assert largest_difference(tiny_model.score(prompt, mask), plain_scores(plain, text, mask)) < 1e-5


def test_scores_are_probabilities_of_the_valid_actions(tiny_model: Phi3Model) -> None:
    """They sum to one over the mask, nothing is said of the others, and the mass of fewer labels is smaller."""
    flat, all_of_them = (tiny_model.score(a_prompt(), mask) for mask in (FLAT, ALL))
    assert [value is None for value in flat.log_probs] == [False] * 3 + [True] * 3
    assert math.fsum(math.exp(value) for value in flat.log_probs if value is not None) == pytest.approx(1, abs=1e-12)
    assert 0.2 < flat.legal_mass < all_of_them.legal_mass <= 1


def test_most_of_a_prompt_is_read_from_the_cache(tiny_phi3: Path) -> None:
    """The turns before the last one at least; what all probes begin with, once the model has seen them."""
    model = Phi3Model(options(tiny_phi3))
    prompts = [a_prompt(price) for price in PRICES]
    cached, read = map(len, model.split(prompts[0]))
    unprepared = model.score(prompts[0], ALL)
    model.prepare(prompts[1:])
    longer, shorter = map(len, model.split(prompts[0]))
    assert longer + shorter == cached + read
    assert 0 < cached < longer
    assert largest_difference(model.score(prompts[0], ALL), unprepared) < 1e-5


def test_score_depends_on_the_prompt_alone(tiny_model: Phi3Model) -> None:
    """To the bit: another system prompt in between, with a prefix of its own, leaves no trace."""
    before = tiny_model.score(a_prompt(), ALL)
    tiny_model.score(a_prompt(system="Something else entirely."), ALL)
    tiny_model.score(made_of(Message("user", "No system prompt at all.")), ALL)
    assert tiny_model.score(a_prompt(), ALL) == before


def test_dirty_cache_is_noticed_before_it_answers(tiny_model: Phi3Model) -> None:
    """Tokens that somebody left in the cache would give wrong scores without any error; the next query is right."""
    clean = tiny_model.score(a_prompt(), ALL)
    tiny_model.prefix.sequence.extend([5, 6, 7])
    with pytest.raises(StaleCacheError):
        tiny_model.score(a_prompt(), ALL)
    assert tiny_model.score(a_prompt(), ALL) == clean


def test_prefix_is_read_again_after_an_error(tiny_model: Phi3Model) -> None:
    """A pass that failed halfway, tokens in the cache, costs its own answer only."""
    clean = tiny_model.score(a_prompt(), ALL)
    with pytest.raises(RuntimeError, match="halfway"), tiny_model.prefix.reading((1, 2, 3), (4, 5)):
        raise RuntimeError("halfway")  # noqa: EM101 -- what a library would raise
    assert tiny_model.score(a_prompt(), ALL) == clean


def test_batch_equals_one_by_one_but_for_rounding(tiny_model: Phi3Model) -> None:
    """In the order asked, whatever their lengths, masks and beginnings."""
    prompts = [a_prompt(price) for price in range(1, 40_000, 1_000)]
    prompts[3] = a_prompt(system="Another beginning.")
    masks = [ALL if at % 2 else FLAT for at in range(len(prompts))]
    alone = [tiny_model.score(prompt, mask) for prompt, mask in zip(prompts, masks, strict=True)]
    together = tiny_model.score_batch(prompts, masks)
    assert max(map(largest_difference, alone, together)) < 1e-5


def test_scores_that_are_not_finite_are_an_error() -> None:
    """A model of NaN answers nothing; it does not advise the first action."""
    with pytest.raises(ArithmeticError, match="HOLD, BUY"):
        scores_of(torch.full((10,), torch.nan), tuple(frozenset({at}) for at in range(6)), 0b11)


def test_fixed_cache_gives_the_scores_of_the_growing_one(tiny_phi3: Path, tiny_model: Phi3Model) -> None:
    """Padding to fixed lengths and a mask over a cache of fixed size change nothing but rounding."""
    fixed = Phi3Model(options(tiny_phi3, graphs="on"))
    assert fixed.identity.endswith(":fixed")
    for prompt in [*map(a_prompt, PRICES), a_prompt(user="Price: 1 " * 150), a_prompt(1.0)]:
        assert largest_difference(fixed.score(prompt, ALL), tiny_model.score(prompt, ALL)) < 1e-5


def test_identity_names_the_weights(tiny_model: Phi3Model, tiny_phi3: Path) -> None:
    """The same folder gives the same name; what it says of precision and device is there to read."""
    assert tiny_model.identity == Phi3Model(options(tiny_phi3)).identity
    assert tiny_model.identity.endswith(":none:float32:cpu:growing")
