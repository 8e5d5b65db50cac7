"""The strict parser of a model's reply `ACTION | confidence | reason`. Pure: no reply makes it raise.

What is read: of the first MAX_CHARS characters the first line that is not blank (with `is_last_line`, of the last
MAX_CHARS the last such line: a reply that thinks aloud first). It must have three fields between `|`; each is
normalised by NFKC and stripped.

- action: a label, exact, or an alias: the label in lower case or capitalised, with spaces for underscores, and
  MOVE_TO_BREAKEVEN. Not LONG and SHORT, which name a position as well as a way.
- confidence: decimal digits from 0 to 1, or a percentage from 0 % to 100 %, taken at its word (0.7% is 0.007).
- reason: up to ten words; more are cut and flagged, as they change nothing of the advice. Unprintable characters
  become spaces.

Anything else is a Refused with the raw text: never HOLD by default, never a number clamped. Whether the action is
valid now is for the asker to judge.
"""

import re
import unicodedata
from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import ACTIONS, Action

MAX_CHARS = 2_000
MAX_WORDS = 10
MAX_REASON_CHARS = 200


class Refusal(StrEnum):
    """Why a reply is no advice; the first that holds, in this order."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_THREE_FIELDS = "not_three_fields"
    UNKNOWN_ACTION = "unknown_action"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    NO_REASON = "no_reason"


class Parsed(Struct, frozen=True, kw_only=True):
    """A reply in the format. `confidence` is 0..1 as written; `is_cut` says that the reason was longer."""

    action: Action
    confidence: float
    reason: str
    is_cut: bool


class Refused(Struct, frozen=True, kw_only=True):
    """A reply that is no advice; `raw` is its text, MAX_CHARS characters at most, fit to be written as UTF-8."""

    why: Refusal
    raw: str


def _spellings(action: Action) -> set[str]:
    names = {action.name, action.name.replace("_", " ")}
    if action is Action.MOVE_TO_BE:
        names |= {"MOVE_TO_BREAKEVEN", "MOVE TO BREAKEVEN"}
    return names | {name.lower() for name in names} | {name.capitalize() for name in names}


ALIASES: dict[str, Action] = {spelling: action for action in ACTIONS for spelling in sorted(_spellings(action))}
"""Every spelling of an action that is taken, the label itself included."""

_FULLWIDTH_BAR = "\N{FULLWIDTH VERTICAL LINE}"  # the one other character that NFKC makes a bar
_NUMBER = re.compile(r"([+-]?)([0-9]{1,3}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})( ?%)?")


def parse_reply(text: str, *, is_last_line: bool = False) -> Parsed | Refused:
    """What `text` advises, or why it is no advice."""
    read = text[-MAX_CHARS:] if is_last_line else text[:MAX_CHARS]
    found = _line(read, is_cut=len(text) > MAX_CHARS, is_last=is_last_line)
    parsed = found if isinstance(found, Refusal) else _parse_line(found)
    if isinstance(parsed, Refusal):
        return Refused(why=parsed, raw=legible(read))
    return parsed


def legible(text: str) -> str:
    """The first MAX_CHARS characters of a model's text, fit to be written as UTF-8."""
    return text[:MAX_CHARS].encode("utf-8", "replace").decode("utf-8")


def _line(read: str, *, is_cut: bool, is_last: bool) -> str | Refusal:
    """The line that counts; TOO_LONG where it reaches the place at which the text was cut."""
    lines = read.splitlines(keepends=True)
    places = [place for place, line in enumerate(lines) if line.strip()]
    if not places:
        return Refusal.TOO_LONG if is_cut else Refusal.EMPTY
    place = places[-1] if is_last else places[0]
    if is_cut and place == (0 if is_last else len(lines) - 1):
        return Refusal.TOO_LONG
    return lines[place]


def _parse_line(line: str) -> Parsed | Refusal:
    fields = line.replace(_FULLWIDTH_BAR, "|").split("|")
    if len(fields) != 3:
        return Refusal.NOT_THREE_FIELDS
    action = ALIASES.get(_normal(fields[0]))
    if action is None:
        return Refusal.UNKNOWN_ACTION
    confidence = _confidence(fields[1])
    if isinstance(confidence, Refusal):
        return confidence
    words = _words(fields[2])
    reason = " ".join(words[:MAX_WORDS])
    if not reason:
        return Refusal.NO_REASON
    is_cut = len(words) > MAX_WORDS or len(reason) > MAX_REASON_CHARS
    return Parsed(action=action, confidence=confidence, reason=reason[:MAX_REASON_CHARS].rstrip(), is_cut=is_cut)


def _confidence(field: str) -> float | Refusal:
    match = _NUMBER.fullmatch(_normal(field)) if _is_plain(field) else None
    if match is None:
        return Refusal.NOT_A_NUMBER
    sign, digits, percent = match.groups()
    number = float(f"{digits}e-2" if percent else digits)
    return Refusal.OUT_OF_RANGE if sign == "-" or number > 1 else number


def _is_plain(field: str) -> bool:
    """Whether NFKC changes no more than widths and spaces: it would read a raised 2 after 0.7 as 0.72."""
    return all(
        character.isascii() or unicodedata.decomposition(character).startswith(("<wide>", "<noBreak>"))
        for character in field
    )


def _normal(field: str) -> str:
    return unicodedata.normalize("NFKC", field).strip()


def _words(field: str) -> list[str]:
    normal = unicodedata.normalize("NFKC", field)
    return "".join(character if character.isprintable() else " " for character in normal).split()
