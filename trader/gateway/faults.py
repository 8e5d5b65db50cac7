"""A script of faults: what goes wrong, and when. YAML (a list) or JSON lines, one fault each; a seed makes it repeat.

- {do: reject, nth: 2, code: 201}
- {do: reset, bar: 30}
- {do: drop, message: 59, rate: 0.1}
"""

import random
from enum import StrEnum
from pathlib import Path

import msgspec
import yaml
from msgspec import Struct

from trader.errors import InputError

FAULTS_MAX = 10_000


class Verb(StrEnum):
    """What can go wrong."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    TRUNCATE = "truncate"
    RESET = "reset"
    HALF_OPEN = "half_open"
    REFUSE = "refuse"
    HOLD_ID = "hold_id"
    ERROR = "error"
    OUTAGE = "outage"
    NIGHTLY_RESET = "nightly_reset"
    ROLL_BACK_IDS = "roll_back_ids"
    REJECT = "reject"
    PARTIAL = "partial"
    FILL_BEFORE_CANCEL = "fill_before_cancel"
    MANUAL_TRADE = "manual_trade"
    MISSING_BAR = "missing_bar"
    DUPLICATE_BAR = "duplicate_bar"
    LATE_BAR = "late_bar"
    REVISED_BAR = "revised_bar"
    FROZEN = "frozen"
    DELAYED_DATA = "delayed_data"


FRAME_VERBS = frozenset({Verb.DROP, Verb.DELAY, Verb.DUPLICATE, Verb.REORDER, Verb.TRUNCATE})
ORDER_VERBS = frozenset({Verb.REJECT, Verb.PARTIAL, Verb.FILL_BEFORE_CANCEL})
BAR_VERBS = frozenset(Verb) - FRAME_VERBS - ORDER_VERBS


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. When: `bar`, so many bars after the start (0 is the first that is played); or `nth`, counted from 1
    among what the verb is about (frames of `message`, new orders, cancels); or each time with probability `rate`.

    `message` is the number of the frames that are meant, 0 any. `bars` is how long it lasts, `seconds` how long a frame
    is held back. `code` and `text` are an error's; of an outage the code that ends it (1101: subscriptions are lost).
    `qty` is signed, `portions` are contracts, `ticks` a revision's, `client` a client id, `ids` how far ids roll back.
    `tells` says that what happens during an outage is told at once, and not when it ends.
    """

    do: Verb
    bar: int | None = None
    nth: int | None = None
    rate: float = 0.0
    message: int = 0
    bars: int = 1
    seconds: float = 0.0
    code: int = 0
    text: str = ""
    qty: int = 0
    portions: tuple[int, ...] = ()
    ticks: int = 4
    client: int = 1
    ids: int = 4
    tells: bool = False


class Chance:
    """Says when a fault is due; its random numbers are its own, so that another line of a script changes nothing."""

    def __init__(self, fault: Fault, seed: int, place: int) -> None:
        self.fault = fault
        self._random = random.Random(f"{seed}:{place}")  # noqa: S311 -- a script repeats itself, it keeps no secret
        self._count = 0

    def is_due(self) -> bool:
        """Whether it happens to the next one of its kind; each call is the next one."""
        self._count += 1
        if self.fault.nth is not None:
            return self._count == self.fault.nth
        return self._random.random() < self.fault.rate


def read_faults(path: Path) -> list[Fault]:
    """The script at `path`; InputError names what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            faults = msgspec.json.Decoder(Fault).decode_lines(text)
        else:
            faults = msgspec.convert(yaml.safe_load(text), list[Fault])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.MsgspecError) as error:
        msg = f"--faults {path}: {error}"
        raise InputError(msg) from None
    if len(faults) > FAULTS_MAX:
        msg = f"--faults {path}: {len(faults)} faults; {FAULTS_MAX} are the most"
        raise InputError(msg)
    for place, fault in enumerate(faults, 1):
        wrong = _wrong(fault)
        if wrong:
            msg = f"--faults {path}: fault {place} ({fault.do}): {wrong}"
            raise InputError(msg)
    return faults


def _wrong(fault: Fault) -> str:
    """What is wrong with one fault, empty if nothing is."""
    when = (fault.bar is not None) + (fault.nth is not None) + (fault.rate > 0)
    rules = (
        (when != 1, "say when, by exactly one of bar, nth and rate"),
        (fault.bar is not None and fault.do not in BAR_VERBS, "happens by nth or rate, not at a bar"),
        (not 0 <= fault.rate <= 1, "a rate is 0 to 1"),
        (fault.bars < 1 or (fault.nth or 1) < 1, "bars and nth are at least 1"),
        (fault.seconds < 0, "seconds are not below 0"),
        (fault.do in {Verb.REJECT, Verb.ERROR} and not fault.code, "needs a code"),
        (fault.do is Verb.MANUAL_TRADE and not fault.qty, "needs a qty"),
        (fault.do is Verb.PARTIAL and min(fault.portions, default=0) < 1, "needs portions, each at least 1"),
    )
    return next((why for is_wrong, why in rules if is_wrong), "")
