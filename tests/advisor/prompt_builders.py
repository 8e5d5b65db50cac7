"""The shipped prompt, and sections that say what they are told to."""

from functools import cache
from typing import Any

from msgspec.structs import replace

from trader.advisor.prompt import Example, PromptRules, SectionFacts
from trader.advisor.question import Question
from trader.settings import load_settings
from trader.settings.advice import PromptSettings


def shipped_rules(template_name: str = "context_template", **changes: Any) -> PromptRules:
    """The rules of the shipped configuration with one of its two templates."""
    prompt = _shipped()
    rules = PromptRules(
        system=prompt.system,
        template=getattr(prompt, template_name),
        template_name=template_name,
        examples=tuple(Example(question=example.question, reply=example.reply) for example in prompt.examples),
        chain_of_thought=prompt.chain_of_thought,
        anonymise=prompt.anonymise,
    )
    return replace(rules, **changes)


@cache
def _shipped() -> PromptSettings:
    return load_settings(environ={}).prompt


class Said:
    """A section with lines that a test gives."""

    def __init__(self, *lines: str, **facts: Any) -> None:
        plain = SectionFacts(
            key="prompt.some_file", title="Said:", identity="1", is_quoted=False, is_steady=True, tells_dates=False
        )
        self.facts = replace(plain, **facts)
        self._lines = lines

    def lines(self, question: Question) -> tuple[str, ...]:
        return self._lines
