"""What a language model is told, as text. Pure: no tokenizer, no clock, no file."""

from typing import Literal

from msgspec import Struct


class Message(Struct, frozen=True):
    """One turn of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Struct, frozen=True, kw_only=True):
    """The conversation that asks one question. `sha256` (hex) is that of the messages."""

    messages: tuple[Message, ...]
    sha256: str
