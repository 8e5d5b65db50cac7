"""Back ends whose worker does what the question's `market_name` says, and what they must not leave behind."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from builders import a_question
from msgspec.structs import replace

from trader.adapters.phi3.keeper import THREAD_NAME, WorkerRules
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.worker_backend import Prompts, WorkerBackend, ignore_reason
from trader.advisor.prompt import Message, Prompt
from trader.advisor.question import Answer, Question

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_worker.py")))
RULES = {"start_timeout_s": 60.0, "reply_timeout_s": 20.0, "restart_pause_s": 0.0, "memory_limit_gib": None}
QUICK_S = 0.4  # for faults that end by this timeout; nothing honest is asked under it
PATIENCE_S = 60.0  # a guard against a test that hangs, never waited for


def render(question: Question) -> Prompt:
    return Prompt(messages=(Message("user", question.market_name),), sha256=f"{question.seq:064x}")


PROMPTS = Prompts(render=render, identity="p1", probes=())


def a_backend(
    *,
    name: str = "faulty",
    mode: str = "generate",
    wants_reason: bool = False,
    on_reason: Callable[[str, str], None] = ignore_reason,
    probes: tuple[Prompt, ...] = (),
    waits_s: float = 0.0,
    **rules: Any,
) -> WorkerBackend:
    """With the stand-in for a worker; not started."""
    options = ModelOptions(name=name, mode=mode, wants_reason=wants_reason)  # type: ignore[arg-type]
    prompts = replace(PROMPTS, probes=probes)
    made = WorkerRules(**RULES | rules)
    return WorkerBackend(options, prompts, made, command=FAULTY, on_reason=on_reason, waits_s=waits_s)


def tell(backend: WorkerBackend, what: str, seq: int = 1) -> Answer:
    """Ask a question that makes the worker do this."""
    return backend.ask(a_question(market_name=what, seq=seq))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let other threads run until it is so."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)  # another process sets no event here; how long it takes is not what is tested


def fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> set[int]:
    """Processes that this one has started and not reaped."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def keepers() -> int:
    return sum(thread.name == THREAD_NAME for thread in threading.enumerate())
