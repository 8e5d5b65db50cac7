"""How a server is asked to keep a reply to the format: each dialect's extra fields of a request. Pure.

Servers ignore fields that they do not know, so that no error tells which dialect works. A trial does: the reply is held
to a word that no model would answer.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from trader.advisor.grammar import REASON_WORDS, WORD_CHARS

TRIAL_WORD = "QUINCE"
_WORD = rf"[!-;=?-{{}}~]{{1,{WORD_CHARS}}}"  # printable ASCII but | < >, as in trader/advisor/grammar.py
_MORE_WORDS = f"{{0,{REASON_WORDS - 1}}}"
_REASON_CHARS = 120

Fields = dict[str, object]
"""Fields of a JSON object, about to be encoded."""


class Guide(StrEnum):
    """A dialect, in the order in which they are tried; the last is that of `trader advisor serve`, known by name."""

    STRUCTURED_OUTPUTS = "structured_outputs"  # vLLM
    GUIDED = "guided"  # vLLM before 0.12
    GRAMMAR = "grammar"  # llama.cpp
    JSON_SCHEMA = "json_schema"  # OpenAI, Ollama and most others
    VALID_ACTIONS = "valid_actions"


TRIED = (Guide.STRUCTURED_OUTPUTS, Guide.GUIDED, Guide.GRAMMAR, Guide.JSON_SCHEMA)


class _JsonAdvice(Struct, frozen=True):
    action: str
    confidence: float
    reason: str


class _JsonTrial(Struct, frozen=True):
    word: str


def trial(guide: Guide) -> Fields:
    """Fields that allow the reply TRIAL_WORD only."""
    word = {"type": "string", "enum": [TRIAL_WORD]}
    return _fields(guide, TRIAL_WORD, f'root ::= "{TRIAL_WORD}"', {"word": word}, [TRIAL_WORD])


def passed(guide: Guide, reply: str) -> bool:
    """Whether a trial's reply shows that the server knows the dialect."""
    if guide is not Guide.JSON_SCHEMA:
        return reply.strip() == TRIAL_WORD
    try:
        return msgspec.json.decode(reply, type=_JsonTrial).word == TRIAL_WORD
    except (msgspec.DecodeError, RecursionError):
        return False


def held_to_line(guide: Guide, labels: list[str]) -> Fields:
    """Fields that allow `ACTION | d.dd | one to ten words` only, or the same as a JSON object, for these actions."""
    regex = rf"({'|'.join(labels)}) \| (0\.[0-9][0-9]|1\.00) \| {_WORD}( {_WORD}){_MORE_WORDS}"
    actions = " | ".join(f'"{label}"' for label in labels)
    grammar = (
        f'root ::= ({actions}) " | " ("0." [0-9] [0-9] | "1.00") " | " word (" " word){_MORE_WORDS}\nword ::= {_WORD}\n'
    )
    properties: Fields = {
        "action": {"type": "string", "enum": labels},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "reason": {"type": "string", "maxLength": _REASON_CHARS},
    }
    return _fields(guide, regex, grammar, properties, labels)


def line_of(guide: Guide | None, reply: str) -> str:
    """The reply as the line that the parser reads; a text that is not in the guide's form stays as it is."""
    if guide is not Guide.JSON_SCHEMA:
        return reply
    try:
        advice = msgspec.json.decode(reply, type=_JsonAdvice)
    except (msgspec.DecodeError, RecursionError):
        return reply
    reason = " ".join(advice.reason.replace("|", "/").split())
    return f"{advice.action} | {advice.confidence:.6f} | {reason}"


def _fields(guide: Guide, regex: str, grammar: str, properties: Fields, labels: list[str]) -> Fields:
    match guide:
        case Guide.STRUCTURED_OUTPUTS:
            return {"structured_outputs": {"regex": regex}}
        case Guide.GUIDED:
            return {"guided_regex": regex}
        case Guide.GRAMMAR:
            return {"grammar": grammar}
        case Guide.JSON_SCHEMA:
            return {"response_format": {"type": "json_schema", "json_schema": _schema(properties)}}
        case Guide.VALID_ACTIONS:
            return {"valid_actions": labels}


def _schema(properties: Fields) -> Fields:
    return {
        "name": "reply",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
    }
