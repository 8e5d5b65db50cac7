"""The back end `phi3` with `isolation: process`: the model lives in a process of its own. Imports no torch.

Whatever that process does (hangs, dies, keeps its interpreter's lock, talks nonsense, eats its memory), this one sees a
socket on which the right bytes come in time, or do not. Then the process is killed, the question ends in ERROR, and
another process loads the model meanwhile; questions until then end in ERROR at once, or wait for it in a replay.
"""

import sys
import time
from collections.abc import Callable

from msgspec import Struct

from trader.adapters.phi3.answering import answer_of, identity_of
from trader.adapters.phi3.keeper import Keeper, WorkerDownError, WorkerRules
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import Reason, Reply
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question
from trader.domain.actions import ACTIONS
from trader.errors import ConfigurationError

COMMAND = (sys.executable, "-m", "trader.adapters.phi3.worker")
"""What is started; the number of a file descriptor follows."""
LOST_IN_A_ROW = 3
"""A replay whose questions have lost so many workers, one after another, waits for no more of them."""


class Prompts(Struct, frozen=True, kw_only=True):
    """What makes a question's prompt, and what this is known by.

    `probes` are prompts to warm up with, different in everything that may differ: what all of them begin with is what
    the model keeps. Without them it keeps less, and the first questions are slow.
    """

    render: Callable[[Question], Prompt]
    identity: str
    probes: tuple[Prompt, ...] = ()


def ignore_reason(prompt_sha256: str, text: str) -> None:
    """For who wants no reasons."""


class WorkerBackend:
    """One model in one worker process.

    `on_reason(prompt_sha256, text)` is called in another thread, once a reason is written: `BUY: above a rising VWAP`
    says why the model found BUY likeliest, which after calibration need not be what was advised.
    """

    is_instant = False
    is_calibrated = True

    def __init__(  # noqa: PLR0913 -- four of them, by name only, have a default
        self,
        options: ModelOptions,
        prompts: Prompts,
        rules: WorkerRules,
        *,
        command: tuple[str, ...] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_reason: Callable[[str, str], None] = ignore_reason,
        waits_s: float = 0.0,
    ) -> None:
        """Nothing runs before `start`. `clock` gives seconds and never goes back.

        `waits_s` is for replays, whose bars can wait: how long a question does so for a worker that is replaced.
        """
        self.identity = identity_of(options, prompts.identity)
        self._options = options
        self._render = prompts.render
        self._clock = clock
        self._tell = on_reason
        self._waits_s = waits_s
        self._lost_in_a_row = 0
        chosen = COMMAND if command is None else command
        self._keeper = Keeper(chosen, options, rules, clock, self._on_reason, prompts.probes)

    @property
    def is_ready(self) -> bool:
        """Whether a worker with the model loaded is there."""
        return self._keeper.is_ready

    @property
    def pid(self) -> int | None:
        """The ready worker's process id."""
        return self._keeper.pid

    @property
    def model_identity(self) -> str:
        """The loaded model's own: weights, precision, device. Empty before `start`."""
        return self._keeper.identity

    @property
    def starts(self) -> int:
        """Workers started so far."""
        return self._keeper.starts

    def start(self) -> None:
        """Start the worker and load the model; ConfigurationError, in the worker's own words, where that fails."""
        try:
            self._keeper.start()
        except WorkerDownError as error:
            msg = f"the language model did not start: {error}"
            self._keeper.close(msg)
            raise ConfigurationError(msg) from error
        except BaseException:  # an interrupt while it waits: nothing may stay behind
            self.close()
            raise

    def ask(self, question: Question) -> Answer:
        """USED, INVALID or ERROR, within reply_timeout_s and a second; at once where no worker is ready, or `waits_s`
        later."""
        prompt = self._render(question)
        if self._waits_s and self._lost_in_a_row < LOST_IN_A_ROW:
            self._keeper.desk.wait_for_worker(self._waits_s)
        asked_s = self._clock()
        reply: Reply | str
        try:
            reply = self._keeper.ask(prompt, question.mask)
            self._lost_in_a_row = 0
        except WorkerDownError as error:
            reply = str(error)
            self._lost_in_a_row += 1
        return answer_of(self._options, question, prompt, reply, (self._clock() - asked_s) * 1_000)

    def close(self) -> None:
        """End worker and thread; a call in progress returns. From any thread, any number of times."""
        self._keeper.close()

    def _on_reason(self, prompt_sha256: str, reason: Reason) -> None:
        name = ACTIONS[reason.action].name if reason.action in ACTIONS else reason.action
        self._tell(prompt_sha256, f"{name}: {reason.text}")
