"""The default strategy: what the network chooses, as a proposal."""

import numpy as np
import pytest
from builders import a_bar, an_account
from bundle_builders import a_bundle, load

from strategies.ppo import Ppo
from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.domain.sessions import Calendar
from trader.outlook import Outlook, Reading

READING = Reading(20.0, 50.0, 10.0, 12_000.0, 0.0, 0.0, 12_000.0, 12_000.0, 0)


def an_outlook(obs: np.ndarray, mask: int) -> Outlook:
    session = Calendar.load().on("2023-03-15")
    assert session is not None
    return Outlook(a_bar(960), session, obs, READING, mask, True, an_account())


@pytest.mark.parametrize("mask", [0b000111, 0b111111, 0b101001])
def test_ppo_proposes_what_the_network_chooses_under_the_mask(tmp_path, mask):
    """Action, its probability as the confidence, and all six probabilities."""
    bundle = load(a_bundle(tmp_path / "model"))
    strategy = Ppo(bundle)
    for obs in np.random.default_rng(3).normal(0, 2, (30, 261)).astype(np.float32):
        action, probs = bundle.network.choose(obs, mask)
        proposal = strategy.propose(an_outlook(obs, mask))
        assert proposal == Proposal(Action(action), probs[action], probs)
        assert mask >> proposal.action & 1
        assert proposal.confidence == max(probs)


def test_ppo_with_one_valid_action_is_certain(tmp_path):
    """A forced HOLD has confidence one."""
    proposal = Ppo(load(a_bundle(tmp_path / "model"))).propose(an_outlook(np.ones(261, np.float32), 1))
    assert (proposal.action, proposal.confidence) == (Action.HOLD, 1.0)
