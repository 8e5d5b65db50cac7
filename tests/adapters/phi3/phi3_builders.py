"""Prompts and options of the tests of the language model."""

import hashlib
from pathlib import Path
from typing import Any

from trader.adapters.phi3.options import ModelOptions
from trader.advisor.prompt import Message, Prompt

SYSTEM = (
    "You are a professional futures trader.\nAvailable actions: HOLD, BUY, SELL\nRespond format: ACTION | confidence"
)
ALL = 0b111111
FLAT = 0b000111


def a_prompt(price: float = 15_000.25, system: str = SYSTEM, user: str | None = None) -> Prompt:
    """One question, whose price is the part that changes."""
    asked = user or f"Market: E-mini Nasdaq-100\n\nPrice: ${price:.2f}\nRSI: {price % 100:.1f}\n\nValid now: HOLD, BUY"
    return made_of(Message("system", system), Message("user", asked))


def made_of(*messages: Message) -> Prompt:
    """A prompt of these messages."""
    return Prompt(messages=messages, sha256=hashlib.sha256(repr(messages).encode()).hexdigest())


def options(folder: Path, **changes: Any) -> ModelOptions:
    """The tiny model in full precision on the CPU, but for `changes`."""
    return ModelOptions(**{"name": str(folder), "quantization": "none", "device": "cpu", **changes})


def never() -> bool:
    """Nobody stops the writing."""
    return False
