"""Which record is kept under which kind of row, and how rows become records again: strictly, or not at all."""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import TypeVar

import msgspec

from trader.adapters.state.records import (
    AccountIdentity,
    BookRow,
    Execution,
    GoodConfiguration,
    Intent,
    Kept,
    KeptAnswers,
    KeptLearned,
    LineMemory,
    LogHead,
    PaperOrders,
    Position,
    Progress,
    RuleCounters,
    Switches,
    WorkingOrder,
)
from trader.adapters.state.schema import Row
from trader.errors import InvariantError, StateDamagedError

K = TypeVar("K", bound=Kept)


class Kind(StrEnum):
    """The kinds of rows; what there is one of has the name ONLY."""

    IDENTITY = "identity"
    INTENT = "intent"
    WORKING = "working"
    EXECUTION = "execution"
    POSITION = "position"
    PROGRESS = "progress"
    BOOK = "book"
    PAPER = "paper"
    LINE = "line"
    RULES = "rules"
    SWITCHES = "switches"
    ANSWERS = "answers"
    LEARNED = "learned"
    LOG_HEAD = "log_head"
    CONFIGURATION = "configuration"


ONLY = ""

RECORDS: Mapping[Kind, type[Kept]] = {
    Kind.IDENTITY: AccountIdentity,
    Kind.INTENT: Intent,
    Kind.WORKING: WorkingOrder,
    Kind.EXECUTION: Execution,
    Kind.POSITION: Position,
    Kind.PROGRESS: Progress,
    Kind.BOOK: BookRow,
    Kind.PAPER: PaperOrders,
    Kind.LINE: LineMemory,
    Kind.RULES: RuleCounters,
    Kind.SWITCHES: Switches,
    Kind.ANSWERS: KeptAnswers,
    Kind.LEARNED: KeptLearned,
    Kind.LOG_HEAD: LogHead,
    Kind.CONFIGURATION: GoodConfiguration,
}
KINDS: Mapping[type[Kept], Kind] = {record: kind for kind, record in RECORDS.items()}

MAY_BE_LOST = frozenset({Kind.ANSWERS, Kind.LEARNED})
"""What only saves learning anew: where its shape has changed it is left out, and nothing is refused for it."""


def encoded(record: Kept) -> bytes:
    """The record's JSON; InvariantError for one that could not be read again (a float that is not finite)."""
    body = msgspec.json.encode(record)
    try:
        is_same = msgspec.json.decode(body, type=type(record)) == record
    except msgspec.ValidationError:
        is_same = False
    if not is_same:
        msg = f"{record!r} cannot be kept: it would not be read as it is"
        raise InvariantError(msg)
    return body


def decoded(row: Row, record: type[K]) -> K:
    """The record in a row; StateDamagedError names row and field where it is none."""
    try:
        return msgspec.json.decode(row.body, type=record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"the row {row.kind} {row.name!r} is no {record.__name__} ({error})"
        raise StateDamagedError(msg) from error


def fingerprint() -> str:
    """sha256 over the shapes of all records that may not be lost; another one needs another schema version."""
    needed = [record for kind, record in RECORDS.items() if kind not in MAY_BE_LOST]
    shapes = msgspec.json.schema_components(needed)
    bare = msgspec.json.encode(_without_words(shapes), order="sorted")
    return sha256(bare).hexdigest()


def _without_words(shape: object) -> object:
    """A JSON schema without its descriptions."""
    if isinstance(shape, dict):
        return {key: _without_words(value) for key, value in shape.items() if key != "description"}
    if isinstance(shape, (list, tuple)):
        return [_without_words(value) for value in shape]
    return shape
