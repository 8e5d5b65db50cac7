"""What a server offers, found by asking it: its model, and the way of asking that works."""

from collections.abc import Callable

from msgspec.structs import replace

from trader.adapters.openai.asking import Scoring, Way, complete, decoded, fields_for, scores_of
from trader.adapters.openai.client import AwayError, Client
from trader.adapters.openai.guides import TRIED, Guide, passed, trial
from trader.adapters.openai.options import OpenAiOptions
from trader.adapters.openai.wire import ModelCard, ModelList
from trader.advisor.probes import probe_questions
from trader.advisor.prompt import Message, Prompt, prompt_of
from trader.advisor.question import Question
from trader.domain.instruments import instrument
from trader.errors import ConfigurationError, InputError

OURS = "nq-trader"
"""`owned_by` of the model that `trader advisor serve` lists: it knows the field `valid_actions`."""

TRIAL_TOKENS = 24
PATIENT_POSITIONS = 3
"""Tokens that are read where a server's replies begin with blank ones."""
BLANK_BELOW = 0.02
"""Legal mass at the first token below which it is tried whether the replies begin with blank ones."""
MODELS_SHOWN = 5
NAME_CHARS = 200

_TRIAL = prompt_of((Message("user", "Reply with one word: the capital of France."),))

EXAMPLE = probe_questions(instrument("NQ"))[0]
"""A question about no market in particular, to try a server with."""


def find_way(client: Client, options: OpenAiOptions, render: Callable[[Question], Prompt]) -> Way:
    """The model and the first of the ways that `options` allow which works; ConfigurationError where there is none."""
    card = _card(client, options.model)
    failure = "it is not offered"
    for scoring in _ways(options):
        try:
            way = _tried(client, options, render, scoring, card)
        except AwayError as error:
            msg = f"advisor.openai: {error}"
            raise ConfigurationError(msg) from None
        except InputError as error:
            failure = str(error)
            continue
        if way is not None:
            return way
    msg = f"advisor.openai.scoring: {options.scoring}: cannot be had from {client.place} for {card.id!r}: {failure}"
    raise ConfigurationError(msg)


def _card(client: Client, wanted: str | None) -> ModelCard:
    """The model to ask; ConfigurationError where the server cannot be reached or does not have it."""
    try:
        cards = decoded(client.get("models"), ModelList, client.place).data or ()
    except InputError as error:
        msg = f"advisor.openai: {error}; is the server running, and does advisor.openai.url end in its /v1?"
        raise ConfigurationError(msg) from None
    for card in cards:
        if card.id == wanted or (wanted is None and _is_name(client, card.id)):
            return card
    listed = client.hide(", ".join(repr(card.id[:80]) for card in cards[:MODELS_SHOWN])) or "none"
    what = "a model" if wanted is None else repr(wanted)
    msg = f"advisor.openai.model: {client.place} does not have {what}; it lists {listed}"
    raise ConfigurationError(msg)


def _is_name(client: Client, text: str) -> bool:
    """Whether a server's text may stand for a model in every log: it may have sent back the token, or a page."""
    return 0 < len(text) <= NAME_CHARS and text.isprintable() and client.hide(text) == text


def _ways(options: OpenAiOptions) -> list[Scoring]:
    if options.scoring != "auto":
        return [Scoring(options.scoring)]
    return [way for way in Scoring if way is not Scoring.LOGPROBS or options.mode == "score"]


def _tried(
    client: Client, options: OpenAiOptions, render: Callable[[Question], Prompt], scoring: Scoring, card: ModelCard
) -> Way | None:
    """How `scoring` works with this server, None where it is not offered; InputError where the server refuses."""
    way = Way(card.id, scoring, Guide.VALID_ACTIONS if card.owned_by == OURS else None)
    match scoring:
        case Scoring.LOGPROBS:
            return _tried_logprobs(client, options, render(EXAMPLE), way)
        case Scoring.GUIDED_CHOICE if way.guide is None:
            return None if options.thinks else _tried_guides(client, way)  # a guide would hold the thought as well
        case Scoring.GUIDED_CHOICE | Scoring.NONE:
            prompt = render(EXAMPLE)
            complete(client, way.model, prompt, fields_for(way, options, EXAMPLE.mask, prompt))
            return way


def _tried_logprobs(client: Client, options: OpenAiOptions, prompt: Prompt, way: Way) -> Way:
    def mass(asked: Way) -> float:
        fields = fields_for(asked, options, EXAMPLE.mask, prompt)
        return scores_of(complete(client, asked.model, prompt, fields), asked, EXAMPLE.mask).legal_mass

    first = mass(way)
    if way.guide is not None or first >= BLANK_BELOW:
        return way
    patient = replace(way, positions=PATIENT_POSITIONS)
    return patient if mass(patient) > first else way


def _tried_guides(client: Client, way: Way) -> Way | None:
    refusals: list[InputError] = []
    for guide in TRIED:
        fields = {"max_tokens": TRIAL_TOKENS, "temperature": 0} | trial(guide)
        try:
            choice = complete(client, way.model, _TRIAL, fields)
        except AwayError:
            raise
        except InputError as error:
            refusals.append(error)
            continue
        if passed(guide, choice.message.content or ""):
            return replace(way, guide=guide)
    if len(refusals) == len(TRIED):
        raise refusals[-1]
    return None
