"""A function in a process of its own, which dies with all that it saw.

A strategy is anybody's code: it may keep what one run showed it for the next one, or look through the memory of its
process. So each run has its own process, in which no bar exists but those that the run is about.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Generic, TypeVar

from trader.errors import InvariantError, StrategyError, TraderError

OTHER_HASH_SEED = "4242"
AT_ONCE = 2
"""Processes at a time, where there are as many cores."""

Given = TypeVar("Given")
Made = TypeVar("Made")


class Apart(Generic[Made]):
    """`work(given)` on its way in another process; `result` waits for it.

    The process is a copy of this one, in which the kernels are loaded already, where the platform has that. With
    `elsewhere` it is a new one, of another hash seed.
    """

    def __init__(self, work: Callable[[Given], Made], given: Given, *, elsewhere: bool = False) -> None:
        self._answers, theirs = multiprocessing.Pipe(duplex=False)
        self._process = _process_type(elsewhere=elsewhere)(target=_main, args=(work, given, theirs), daemon=True)
        _start(self._process, elsewhere=elsewhere)
        theirs.close()

    def result(self) -> Made:
        """What the function returned; TraderError that it raised, or StrategyError where the process was ended."""
        try:
            is_made, answer = self._answers.recv()
        except EOFError:
            self._process.join()
            msg = f"the strategy ended its process (exit code {self._process.exitcode}); it must return a Proposal"
            raise StrategyError(msg) from None
        finally:
            self._answers.close()
        self._process.join()
        if is_made:
            made: Made = answer
            return made
        if isinstance(answer, TraderError):
            raise answer
        raise InvariantError(str(answer))


def each(work: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """`work` of each of `given`, in their order, a few at a time."""
    waiting: deque[Apart[Made]] = deque()
    for one in given:
        waiting.append(Apart(work, one))
        if len(waiting) >= min(AT_ONCE, os.cpu_count() or 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _process_type(*, elsewhere: bool) -> type[BaseProcess]:
    if not elsewhere and "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork").Process
    return multiprocessing.get_context("spawn").Process


def _start(process: BaseProcess, *, elsewhere: bool) -> None:
    if not elsewhere:
        process.start()
        return
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = OTHER_HASH_SEED
    try:
        process.start()
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def _main(work: Callable[[Given], Made], given: Given, answers: Connection) -> None:
    """The child's whole life."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere  # a strategy that prints would print for every run
        try:
            answers.send((True, work(given)))
        except TraderError as error:
            answers.send((False, error))
        except SystemExit as error:
            answers.send(
                (False, StrategyError(f"the strategy ended the program: {error!r}; it must return a Proposal"))
            )
        except BaseException as error:  # noqa: BLE001 - it belongs to the parent, which raises it
            answers.send((False, f"a run ended on {error!r}"))
