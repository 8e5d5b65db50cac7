"""Replies in the format, whatever the model would rather write."""

import re
from pathlib import Path

import pytest
import torch
from phi3_builders import ALL, FLAT, a_prompt, never, options

from trader.adapters.phi3.generation import GenerationStoppedError, Sampling
from trader.adapters.phi3.model import Phi3Model
from trader.advisor.parse import parse_reply
from trader.domain.actions import Action, actions_in
from trader.errors import ConfigurationError

MASKS = (ALL, FLAT, 0b001001, 0b110001, 0b000011)


@pytest.mark.parametrize("temperature", [0.7, 2.0])
def test_every_constrained_reply_parses(tiny_phi3: Path, temperature: float) -> None:
    """60 of 60, valid actions only, of a model that knows nothing of the format; most are cut within the reason."""
    drawn = {"sample": True, "temperature": temperature, "top_p": 1.0, "max_new_tokens": 30}
    model = Phi3Model(options(tiny_phi3, mode="generate", **drawn))
    actions = set()
    for number in range(60):
        mask = MASKS[number % len(MASKS)]
        reply = model.generate(a_prompt(10_000 + number), mask, never)
        parsed = parse_reply(reply)
        assert parsed.action in actions_in(mask)
        assert 0 <= parsed.confidence <= 1
        assert 1 <= len(parsed.reason.split()) <= 10
        actions.add(parsed.action)
    assert len(actions) > 3


def test_greedy_reply_is_the_same_again(tiny_model: Phi3Model) -> None:
    """And differs from prompt to prompt."""
    replies = [tiny_model.generate(a_prompt(price), ALL, never) for price in (1, 20_000, 1)]
    assert replies[0] == replies[2] != replies[1]


def test_drawn_reply_depends_on_seed_and_prompt_alone(tiny_phi3: Path) -> None:
    """Not on how many were drawn before it; the random numbers of two prompts are not the same ones either."""
    sampling = Sampling(temperature=1.0, top_p=1.0, seed=1)
    assert sampling.generator("one").initial_seed() != sampling.generator("other").initial_seed()
    drawn = {"mode": "generate", "sample": True, "temperature": 2.0}
    model, other = (Phi3Model(options(tiny_phi3, seed=seed, **drawn)) for seed in (1, 2))
    first, second, again = (model.generate(a_prompt(price), ALL, never) for price in (1, 2, 1))
    assert first == again != second
    assert other.generate(a_prompt(1), ALL, never) != first


def test_writing_leaves_the_prefix_as_it_was(tiny_model: Phi3Model) -> None:
    """A score after a reply, a thought or a reason is that of before, to the bit."""
    before = tiny_model.score(a_prompt(), ALL)
    tiny_model.generate(a_prompt(), ALL, never)
    assert tiny_model.score(a_prompt(), ALL) == before
    tiny_model.explain(a_prompt(), ALL, Action.BUY, never)
    assert tiny_model.score(a_prompt(), ALL) == before


def test_stopped_writing_ends_within_a_token(tiny_model: Phi3Model) -> None:
    """It raises, the text is lost, and the next query is right."""
    before = tiny_model.score(a_prompt(), ALL)
    asked = []

    def stops_at_the_fourth() -> bool:
        asked.append(None)
        return len(asked) == 4

    with pytest.raises(GenerationStoppedError):
        tiny_model.generate(a_prompt(), ALL, stops_at_the_fourth)
    assert len(asked) == 4
    assert tiny_model.score(a_prompt(), ALL) == before


def test_reason_is_that_of_the_chosen_action(tiny_model: Phi3Model) -> None:
    """At most ten words, others for each action of the mask; another action is the caller's mistake."""
    reasons = [tiny_model.explain(a_prompt(), FLAT, action, never) for action in actions_in(FLAT)]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert 1 <= len(reason.split()) <= 10
        assert "|" not in reason
    with pytest.raises(ValueError, match="not in the mask"):
        tiny_model.explain(a_prompt(), FLAT, Action.MOVE_TO_BE, never)


def test_thought_comes_before_the_line(tiny_phi3: Path) -> None:
    """Without any special token in it, and the line behind it parses."""
    model = Phi3Model(options(tiny_phi3, mode="generate", chain_of_thought=True, cot_max_tokens=20))
    reply = model.generate(a_prompt(), ALL, never)
    thought, _, line = reply.rpartition("\n")
    assert thought.strip()
    assert "<|" not in reply
    assert parse_reply(reply, is_last_line=True) == parse_reply(line)
    assert parse_reply(line).action in actions_in(ALL)


def test_fixed_cache_writes_what_the_growing_one_does(tiny_phi3: Path, tiny_model: Phi3Model) -> None:
    """The same tokens: what is read behind padding overwrites it."""
    fixed = Phi3Model(options(tiny_phi3, graphs="on"))
    for price in (1, 300, 20_000):
        assert fixed.generate(a_prompt(price), ALL, never) == tiny_model.generate(a_prompt(price), ALL, never)


def test_shortest_limit_still_leaves_a_whole_reply(tiny_phi3: Path) -> None:
    """Fewer tokens than label, number and a letter may take are refused; as many as they may take are enough."""
    with pytest.raises(ConfigurationError, match=r"max_new_tokens: 10 .* set (\d+)") as refused:
        Phi3Model(options(tiny_phi3, mode="generate", max_new_tokens=10))
    least = int(re.findall(r"set (\d+)", str(refused.value))[0])
    model = Phi3Model(options(tiny_phi3, mode="generate", max_new_tokens=least, sample=True, temperature=2.0))
    for number in range(8):
        assert parse_reply(model.generate(a_prompt(number), 0b100000, never)).action is Action.DISABLE_TRAIL


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_numbers_write_nothing(temperature: float) -> None:
    """The likeliest of NaN would be a token like any other, and the format would make it advice."""
    sampling = Sampling(temperature=temperature, top_p=1.0, seed=1)
    for logits in ([0.0, torch.nan, -torch.inf], [-torch.inf] * 3, [torch.inf, 0.0, 0.0]):
        with pytest.raises(ArithmeticError, match="not finite"):
            sampling.draw(torch.tensor(logits), torch.Generator())


def test_sampling_draws_from_the_likeliest_only() -> None:
    """top_p keeps the fewest tokens that reach it; temperature 0 the one."""
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = {
        share: {
            Sampling(temperature=1.0, top_p=share, seed=seed).draw(logits, torch.Generator().manual_seed(seed))
            for seed in range(200)
        }
        for share in (0.4, 0.6, 0.9, 1.0)
    }
    assert drawn == {0.4: {0}, 0.6: {0, 1}, 0.9: {0, 1, 2}, 1.0: {0, 1, 2, 3}}
    assert Sampling(temperature=0, top_p=1.0, seed=1).draw(logits.flip(0), torch.Generator()) == 3
