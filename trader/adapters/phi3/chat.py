"""From messages to tokens, by the model's own chat template, with what must hold of both checked."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from trader.adapters.phi3.loading import Loaded
from trader.advisor.prompt import Message, Prompt
from trader.errors import ConfigurationError

CHAT_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
PROBES = ("0", "A")
PREFIXES_KEPT = 8


class Chat:
    """One model's way of writing a conversation down. `limit` is in tokens."""

    def __init__(self, loaded: Loaded, name: str, limit: int) -> None:
        self._tokenizer = loaded.tokenizer
        self._name = name
        self._limit = limit
        self._vocabulary = int(loaded.model.config.vocab_size)
        self._check_tokenizer()
        # Text of a special token inside a message would be read as that token: a headline could end the user's turn.
        specials = [str(token.content) for token in loaded.tokenizer.added_tokens_decoder.values()]
        self._defused = {text: f"{text[0]} {text[1:]}" for text in specials if len(text) > 1}
        self._own_prefix = lru_cache(maxsize=PREFIXES_KEPT)(self._prefix_of_turns)

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""
        named = {self._tokenizer.convert_tokens_to_ids("<|end|>"), self._tokenizer.eos_token_id}
        return frozenset(token for token in named if token is not None)

    @property
    def never(self) -> frozenset[int]:
        """The tokens that no free text holds: the special ones, and what a model has rows for but no text."""
        known = len(self._tokenizer)
        return frozenset(self._tokenizer.added_tokens_decoder) - self.ends | set(range(known, self._vocabulary))

    def check(self, system: str) -> None:
        """Render a conversation under `system`. Raises ConfigurationError where it would not reach the model."""
        self.encode((Message("system", system), Message("user", PROBES[0])))

    def encode(self, messages: tuple[Message, ...]) -> tuple[int, ...]:
        """The tokens of a conversation, up to where the model's turn begins."""
        tokens = self.tokens_of(self.render(messages))
        if len(tokens) > self._limit:
            msg = (
                f"a prompt of {len(tokens)} tokens is longer than the {self._limit} that are allowed; shorten "
                "prompt.system, prompt.examples or the headlines"
            )
            raise ConfigurationError(msg)
        return tokens

    def render(self, messages: tuple[Message, ...]) -> str:
        """The text of a conversation with each message whole in it."""
        safe = [{"role": message.role, "content": self._defuse(message.content)} for message in messages]
        text = str(self._tokenizer.apply_chat_template(safe, tokenize=False, add_generation_prompt=True))
        for message in safe:
            if message["content"].strip() not in text:
                msg = (
                    f"the chat template of {self._name} drops or changes the {message['role']} message; take a "
                    "revision of the model whose template has that role"
                )
                raise ConfigurationError(msg)
        return text

    def tokens_of(self, text: str) -> tuple[int, ...]:
        """The tokens of a text in which special tokens stand as such."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def text_of(self, tokens: Sequence[int]) -> str:
        """What a person reads; special tokens included."""
        return str(self._tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))

    def token_texts(self, anchor: str = ":") -> list[str | None]:
        """What each token adds to a text that goes on, by token; None for special tokens and single bytes."""
        [lead] = self._tokenizer(anchor, add_special_tokens=False)["input_ids"][-1:]
        pairs = [[lead, token] for token in range(len(self._tokenizer))]
        texts = self._tokenizer.batch_decode(pairs, clean_up_tokenization_spaces=False)
        start = len(self.text_of([lead]))
        special = set(self._tokenizer.added_tokens_decoder)
        return [
            None if token in special or "\ufffd" in text else str(text)[start:] or None
            for token, text in enumerate(texts)
        ]

    def own_prefix(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens that every prompt with the same turns before the last one begins with."""
        return self._own_prefix(prompt.messages[:-1], prompt.messages[-1].role)

    def _prefix_of_turns(self, turns: tuple[Message, ...], role: Any) -> tuple[int, ...]:
        return common_prefix([self.encode((*turns, Message(role, probe))) for probe in PROBES])

    def _defuse(self, content: str) -> str:
        for text, harmless in self._defused.items():
            if text in content:
                content = content.replace(text, harmless)
        return content

    def _check_tokenizer(self) -> None:
        if not self._tokenizer.chat_template:
            msg = f"the tokenizer of {self._name} has no chat template: take an instruct model, with all of its files"
            raise ConfigurationError(msg)
        known = self._tokenizer.get_vocab()
        missing = [token for token in CHAT_TOKENS if token not in known]
        if missing:
            msg = f"the tokenizer of {self._name} lacks {', '.join(missing)}: it is not that of a Phi-3 instruct model"
            raise ConfigurationError(msg)


def common_prefix(sequences: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest beginning that all have; of one sequence, itself."""
    first, last = min(sequences), max(sequences)  # in order, these two differ the earliest
    for at, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:at]
    return first
