"""Proposal and advice become one decision: the fusion table of spec decision.md, first rule that fits. Pure."""

from msgspec import Struct

from trader.domain.actions import Action
from trader.domain.decisions import Advice, Decision, FusionMethod, Proposal

_HOLD = Action.HOLD
_RL_ONLY, _AGREEMENT, _WEIGHTED = FusionMethod.RL_ONLY, FusionMethod.AGREEMENT, FusionMethod.WEIGHTED
_RL_OVERRIDE, _LLM_OVERRIDE = FusionMethod.RL_OVERRIDE, FusionMethod.LLM_OVERRIDE
_UNCERTAIN_HOLD = FusionMethod.UNCERTAIN_HOLD


# 0.24 x 0.7 and 0.56 x 0.3 are a tie on paper, and differ by one bit in floats.
TIE = 1e-12


class FusionRules(Struct, frozen=True, kw_only=True):
    """The advisor's weight and the bounds of the table, all 0..1; the bounds are strict."""

    llm_weight: float
    override_high: float
    override_low: float
    uncertain_below: float


def fuse(proposal: Proposal, advice: Advice | None, mask: int, rules: FusionRules) -> Decision:
    """The fused choice. Missing advice, or advice outside `mask`, leaves the proposal as it is.

    A forced choice (one bit in `mask`) is the proposal's too: there is nothing to agree on.
    """
    weight = rules.llm_weight
    rl = proposal.confidence
    if advice is None or not mask & (mask - 1) or not mask >> advice.action & 1:
        return Decision(_RL_ONLY, proposal.action, rl, weight)
    if advice.action is proposal.action:
        return Decision(_AGREEMENT, proposal.action, 1 - (1 - rl) * (1 - advice.confidence), weight)
    return _settle(proposal, advice, rules)


def _settle(proposal: Proposal, advice: Advice, rules: FusionRules) -> Decision:
    """Rows 2 to 4: the two disagree."""
    rl, llm, weight = proposal.confidence, advice.confidence, rules.llm_weight
    if rl > rules.override_high and llm < rules.override_low:
        return Decision(_RL_OVERRIDE, proposal.action, rl, weight)
    if llm > rules.override_high and rl < rules.override_low:
        return Decision(_LLM_OVERRIDE, advice.action, llm, weight)
    if rl < rules.uncertain_below and llm < rules.uncertain_below:
        return Decision(_UNCERTAIN_HOLD, _HOLD, max(rl, llm), weight)
    if llm * weight - rl * (1 - weight) <= TIE:
        return Decision(_WEIGHTED, proposal.action, rl, weight)
    return Decision(_WEIGHTED, advice.action, llm, weight)
