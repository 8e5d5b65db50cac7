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
from trader.gateway.orders import Kind, Leg, Step

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
    FILL_AFTER_CANCEL = "fill_after_cancel"
    ERROR_ON = "error_on"
    SWALLOW = "swallow"
    LOSE = "lose"
    CORRECTED_EXECUTION = "corrected_execution"
    MANUAL_TRADE = "manual_trade"
    MANUAL_ORDER = "manual_order"
    EXPIRY = "expiry"
    CLOCK_JUMP = "clock_jump"
    MISSING_BAR = "missing_bar"
    DUPLICATE_BAR = "duplicate_bar"
    LATE_BAR = "late_bar"
    REVISED_BAR = "revised_bar"
    FROZEN = "frozen"
    DELAYED_DATA = "delayed_data"


FRAME_VERBS = frozenset({Verb.DROP, Verb.DELAY, Verb.DUPLICATE, Verb.REORDER, Verb.TRUNCATE})
LEG_VERBS = frozenset(
    {
        Verb.REJECT,
        Verb.PARTIAL,
        Verb.FILL_BEFORE_CANCEL,
        Verb.FILL_AFTER_CANCEL,
        Verb.ERROR_ON,
        Verb.SWALLOW,
        Verb.LOSE,
    }
)
ORDER_VERBS = LEG_VERBS | {Verb.CORRECTED_EXECUTION}
BAR_VERBS = frozenset(Verb) - FRAME_VERBS - ORDER_VERBS


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. When: `bar`, so many bars after the start (0 is the first that is played); or `nth`, counted from 1
    among what the verb is about (frames of `message`, orders, cancels, executions); or each time with probability
    `rate`. Of orders and cancels only those count that are about `leg`, and of `error_on` and `reject` those that are
    `step`, where these are given: without a step, new and modified orders.

    `message` is the number of the frames that are meant, 0 any; of `error_on` the request that is answered by the
    error, 0 an order. `bars` is how long it lasts, `seconds` how long a frame is held back, or by how much the clock
    jumps. `code` and `text` are an error's; of an outage the code that ends it (1101: subscriptions are lost). `qty` is
    signed, `portions` are contracts, `ticks` a revision's, a correction's, or how far from the last price a manual
    order of type `kind` is; `client` is a client id, `ids` how far ids roll back.
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
    leg: Leg | None = None
    step: Step | None = None
    kind: Kind = Kind.LIMIT
    client: int = 1
    ids: int = 4
    tells: bool = False


class Chance:
    """Says when a fault is due, until it `is_over`; its random numbers are its own, so that another line of a script
    changes nothing.
    """

    def __init__(self, fault: Fault, seed: int, place: int) -> None:
        self.fault = fault
        self.is_over = False
        self._random = random.Random(f"{seed}:{place}")  # noqa: S311 -- a script repeats itself, it keeps no secret
        self._count = 0

    def is_due(self) -> bool:
        """Whether it happens to the next one of its kind; each call is the next one."""
        if self.is_over:
            return False
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
        (fault.seconds < 0 and fault.do is not Verb.CLOCK_JUMP, "seconds are not below 0"),
        (fault.do in {Verb.REJECT, Verb.ERROR, Verb.ERROR_ON} and not fault.code, "needs a code"),
        (fault.do in {Verb.MANUAL_TRADE, Verb.MANUAL_ORDER} and not fault.qty, "needs a qty"),
        (fault.do is Verb.MANUAL_ORDER and fault.kind not in {Kind.LIMIT, Kind.STOP}, "the kind is LMT or STP"),
        (fault.leg is not None and fault.do not in LEG_VERBS, "is not about an order: it has no leg"),
        (fault.step is not None and fault.do not in {Verb.REJECT, Verb.ERROR_ON}, "has no step"),
        (fault.do is Verb.REJECT and fault.step is Step.CANCEL, "a cancel is not rejected: use error_on"),
        (
            bool(fault.message) and fault.do is Verb.ERROR_ON and bool(fault.leg or fault.step),
            "a request has no leg and no step",
        ),
        (fault.do is Verb.PARTIAL and min(fault.portions, default=0) < 1, "needs portions, each at least 1"),
    )
    return next((why for is_wrong, why in rules if is_wrong), "")
