"""What a language model is told, as text. Pure: no tokenizer, no clock, no file.

The order of a prompt, what never changes first, so that its beginning can be computed once:

1. system: the system text verbatim; below it, where they are on, the note on anonymised figures and the invitation to
   think first (generate only).
2. examples: a turn of the user and one of the assistant each.
3. user: the sections that rarely change (calendar, headlines); the context template; before its last paragraph the
   sections that change every bar (correlated market); and last the line `Valid now: HOLD, BUY, SELL`.

A section is a title and lines. Lines that others have written stand in a fence, as data; all lines are made harmless
(harmless.py), so that none can close the fence or begin a turn.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from trader.advisor.figures import ANONYMOUS_NOTE, Figures, anonymous_figures_of, figures_of
from trader.advisor.harmless import harmless, special_token_in
from trader.advisor.parse import Refused, parse_reply
from trader.advisor.question import Question
from trader.advisor.template import Template, sample_figures
from trader.domain.actions import ACTION_COUNT, HOLD_ONLY, actions_in
from trader.errors import ConfigurationError

VERSION = 1
"""Of the way in which prompts are put together; part of the identity."""

MAX_SECTION_LINES = 20
FENCE = "```"
THINK_FIRST = (
    "Think it through step by step first, in a few short sentences. Then end with one line that holds nothing but the "
    "answer in the format above."
)
_VALID_NOW = tuple(
    f"Valid now: {', '.join(action.name for action in actions_in(mask))}" for mask in range(1 << ACTION_COUNT)
)


class Message(Struct, frozen=True):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Struct, frozen=True, kw_only=True):
    """The conversation that asks one question. `sha256` (hex) is that of the messages."""

    messages: tuple[Message, ...]
    sha256: str


class Example(Struct, frozen=True, kw_only=True):
    """One worked example: a context as it would be rendered, and the reply that it should have had."""

    question: str
    reply: str


class PromptRules(Struct, frozen=True, kw_only=True):
    """What the model is told. `template` is the text of the context template, `template_name` its key in `prompt`.

    `chain_of_thought` is for generate only. `anonymise` hides dates and price levels (figures.py).
    """

    system: str
    template: str
    template_name: str
    examples: tuple[Example, ...]
    chain_of_thought: bool
    anonymise: bool


class SectionFacts(Struct, frozen=True, kw_only=True):
    """What is constant of a section: the settings' key of its source, its title, what identifies its contents.

    `is_quoted`: others wrote the lines. `is_steady`: they rarely change. `tells_dates`: they show when or at what price
    level the question is asked, and are refused where that must be hidden.
    """

    key: str
    title: str
    identity: str
    is_quoted: bool
    is_steady: bool
    tells_dates: bool


class ContextSource(Protocol):
    """Where the lines of an optional section come from. Pure once it is made; tells nothing later than the question."""

    @property
    def facts(self) -> SectionFacts: ...

    def lines(self, question: Question) -> tuple[str, ...]: ...


class PromptMaker:
    """Renders questions. `identity` (hex) is the sha256 of all that is constant: rules, version, sources."""

    def __init__(self, rules: PromptRules, sources: Sequence[ContextSource] = ()) -> None:
        """ConfigurationError, with the key and the remedy, where a text or a source cannot be used."""
        self._template = Template(rules.template, f"prompt.{rules.template_name}")
        self._figures = anonymous_figures_of if rules.anonymise else figures_of
        self._steady = tuple(source for source in sources if source.facts.is_steady)
        self._moving = tuple(source for source in sources if not source.facts.is_steady)
        self.constant = (Message("system", _system(rules)), *_example_turns(rules.examples))
        _check_sources(sources, is_anonymous=rules.anonymise)
        parts = msgspec.to_builtins((VERSION, rules, [source.facts for source in sources]))
        self.identity = _sha256(json.dumps(parts))

    def render(self, question: Question) -> Prompt:
        """The prompt of one question; the same for the same question, always."""
        steady = [_section(source.facts, source.lines(question)) for source in self._steady]
        moving = [_section(source.facts, source.lines(question)) for source in self._moving]
        return self._prompt(self._figures(question), question.mask, steady, moving)

    def sample(self, mask: int = HOLD_ONLY) -> Prompt:
        """A prompt of made-up figures and without sections, to warm up and to check a model with."""
        return self._prompt(sample_figures(), mask, [], [])

    def _prompt(self, figures: Figures, mask: int, steady: list[str], moving: list[str]) -> Prompt:
        context = self._template.fill(figures, "\n\n".join(filter(None, moving)))
        told = "\n\n".join(filter(None, (*steady, context)))
        return prompt_of((*self.constant, Message("user", f"{told}\n{_VALID_NOW[mask]}")))


def prompt_of(messages: tuple[Message, ...]) -> Prompt:
    """The messages with their hash: of role, number of characters and content, one after another."""
    text = "".join(f"{message.role}:{len(message.content)}:{message.content}" for message in messages)
    return Prompt(messages=messages, sha256=_sha256(text))


def _sha256(text: str) -> str:
    """Also of text that is no Unicode, such as half a surrogate pair out of a YAML escape."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _system(rules: PromptRules) -> str:
    if not rules.system.strip():
        msg = "prompt.system is empty; restore the one of config/llm_config.yaml"
        raise ConfigurationError(msg)
    _refuse_special(rules.system, "prompt.system")
    notes = [ANONYMOUS_NOTE] if rules.anonymise else []
    return "\n".join([rules.system, *notes, *([THINK_FIRST] if rules.chain_of_thought else [])])


def _example_turns(examples: tuple[Example, ...]) -> list[Message]:
    turns: list[Message] = []
    for place, example in enumerate(examples):
        key = f"prompt.examples[{place}]"
        _refuse_special(example.question, f"{key}.question")
        _refuse_special(example.reply, f"{key}.reply")
        parsed = parse_reply(example.reply, is_last_line=True)
        if isinstance(parsed, Refused):
            msg = f"{key}.reply {example.reply!r} is no reply ({parsed.why.value}); write such as BUY | 0.70 | trend up"
            raise ConfigurationError(msg)
        turns += [Message("user", example.question), Message("assistant", example.reply)]
    return turns


def _check_sources(sources: Sequence[ContextSource], *, is_anonymous: bool) -> None:
    telling = [source.facts.key for source in sources if source.facts.tells_dates]
    if is_anonymous and telling:
        msg = f"prompt.anonymise hides dates, and {' and '.join(telling)} would tell them; set it to null"
        raise ConfigurationError(msg)


def _refuse_special(text: str, key: str) -> None:
    token = special_token_in(text)
    if token is not None:
        msg = f"{key} holds {token}, which would end the model's turn; remove it, the chat template adds its own"
        raise ConfigurationError(msg)


def _section(facts: SectionFacts, lines: tuple[str, ...]) -> str:
    """A title and its lines, fenced where others wrote them; nothing where there is no line."""
    plain = [harmless(line) for line in lines[:MAX_SECTION_LINES]]
    if not plain:
        return ""
    fence = [FENCE] if facts.is_quoted else []
    return "\n".join([harmless(facts.title), *fence, *plain, *fence])
