"""Which server is asked, and how. Imports no aiohttp: every command makes these."""

from typing import Literal

from msgspec import Struct


class OpenAiOptions(Struct, frozen=True, kw_only=True):
    """Which server, which model, how it is asked.

    `socket` is a unix socket's path, used in place of the url's host and port. `model` None takes the first that the
    server lists. `credential` is a file with the bearer token. `mode` score reads probabilities where the server has
    them; generate has the reply written, in `max_new_tokens`, after `cot_max_tokens` of free thought with
    `chain_of_thought`. `temperature`, `top_p` and `seed` count with `sample` only.
    """

    url: str
    socket: str | None
    model: str | None
    credential: str | None
    scoring: Literal["auto", "logprobs", "guided_choice", "none"]
    timeout_s: float
    mode: Literal["score", "generate"]
    max_new_tokens: int
    sample: bool
    temperature: float
    top_p: float
    seed: int
    chain_of_thought: bool = False
    cot_max_tokens: int = 200

    @property
    def thinks(self) -> bool:
        """Whether the reply's last line is the one that counts."""
        return self.chain_of_thought and self.mode == "generate"
