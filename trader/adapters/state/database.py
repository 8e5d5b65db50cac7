"""`state.db`: what a daemon must know again after a crash, and the verbs by which it changes. Each is a transaction.

One thread at a time; nothing here waits for another process. `StateWriter` calls it from a thread of its own.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import structlog
from msgspec.structs import replace

from trader.adapters.state.connection import Connect, connect
from trader.adapters.state.intents import ENDED, NEXT
from trader.adapters.state.opening import REMEDY, STATE_FILE, open_store
from trader.adapters.state.records import (
    AccountIdentity,
    BookRow,
    Execution,
    GoodConfiguration,
    Intent,
    IntentState,
    Kept,
    KeptAnswers,
    KeptLearned,
    Leg,
    LineMemory,
    LogHead,
    PaperOrders,
    Position,
    Progress,
    RuleCounters,
    Section,
    State,
    Switches,
    WorkingOrder,
)
from trader.adapters.state.schema import CURRENT, Schema
from trader.adapters.state.shapes import KINDS, MAY_BE_LOST, ONLY, RECORDS, Kind, decoded, encoded
from trader.adapters.state.store import SealedStore
from trader.domain.masking import masked as masked  # noqa: PLC0414 -- adapters take it from here
from trader.domain.orders import Order
from trader.errors import AccessError, InvariantError, StateDamagedError, TraderError

log = structlog.get_logger(__name__)
K = TypeVar("K", bound=Kept)


class Noted(StrEnum):
    """What an execution turned out to be: new, told before, or told before with other numbers (the first is kept)."""

    NEW = "new"
    KNOWN = "known"
    DIFFERENT = "different"


class StateDb:
    """The state of one account in one folder, proved whole at opening.

    Every verb raises StateFailedError once the disk has refused anything, and then nothing half of it is there.
    """

    def __init__(
        self, folder: Path, identity: AccountIdentity, *, schema: Schema = CURRENT, connect: Connect = connect
    ) -> None:
        self._store, remarks = open_store(folder, schema, connect)
        try:
            remarks = (*remarks, *_claim(self._store, identity))
        except TraderError:
            self._store.close()
            raise
        self._identity = identity
        self._remarks = remarks
        for remark in remarks:
            log.warning("state_repaired", file=str(self._store.path), remark=remark)

    @property
    def generation(self) -> int:
        """How many transactions have been committed since the file was made."""
        return self._store.generation

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of several verbs; one that raises takes back its own part, or all if it is let through.

        State on the disk therefore never shows a fill without the book that it made.
        """
        return self._store.transaction()

    def intend(self, order_ref: str, decision_id: str, order: Order, ts_ns: int) -> None:
        """An order is going to be sent under this `order_ref`; InvariantError if that was used before."""
        with self._store.transaction():
            if self._store.get(Kind.INTENT, order_ref) is not None:
                msg = f"order {order_ref!r} was meant to be sent before: it would be sent twice"
                raise InvariantError(msg)
            self._put(
                order_ref,
                Intent(
                    order_ref=order_ref,
                    decision_id=decision_id,
                    order=order,
                    state=IntentState.INTENDED,
                    ts_intended_ns=ts_ns,
                    ts_changed_ns=ts_ns,
                    why=None,
                ),
            )

    def moved(self, order_ref: str, state: IntentState, ts_ns: int, why: str | None = None) -> None:
        """The order has come this far; the same again changes nothing. InvariantError for a way that there is not."""
        with self._store.transaction():
            row = self._store.get(Kind.INTENT, order_ref)
            if row is None:
                msg = f"order {order_ref!r} became {state.value} without having been intended"
                raise InvariantError(msg)
            intent = decoded(row, Intent)
            if state is intent.state:
                return
            if state not in NEXT[intent.state]:
                msg = f"order {order_ref!r} cannot become {state.value}: it is {intent.state.value}"
                raise InvariantError(msg)
            self._put(order_ref, replace(intent, state=state, ts_changed_ns=ts_ns, why=why))

    def rests(self, order: WorkingOrder) -> None:
        """The order works at the broker, as described; in place of what was known of it."""
        with self._store.transaction():
            self._put(_place(order.order_ref, order.leg), order)

    def gone(self, order_ref: str, leg: Leg) -> bool:
        """The order works at the broker no more; whether it was known to."""
        with self._store.transaction():
            return self._store.drop(Kind.WORKING, _place(order_ref, leg))

    def executed(self, execution: Execution) -> Noted:
        """Take an execution; told again, it changes nothing but a commission that was not known yet."""
        with self._store.transaction():
            row = self._store.get(Kind.EXECUTION, execution.exec_id)
            if row is None:
                self._put(execution.exec_id, execution)
                return Noted.NEW
            known = decoded(row, Execution)
            commission_cents = known.commission_cents
            if commission_cents is None and execution.commission_cents is not None:
                commission_cents = execution.commission_cents
                known = replace(known, commission_cents=commission_cents)
                self._put(execution.exec_id, known)
            if execution.commission_cents is None:
                execution = replace(execution, commission_cents=commission_cents)
            return Noted.KNOWN if execution == known else Noted.DIFFERENT

    def keep(self, *sections: Section) -> None:
        """Replace what there is one of, all of these or none."""
        with self._store.transaction():
            for section in sections:
                self._store.put(KINDS[type(section)], ONLY, encoded(section))

    def forget_ended(self, before_ns: int) -> int:
        """Drop intents that ended before this time, and executions from before it whose order is not kept; how many.

        A dropped `order_ref` could be used again: to be called for sessions that are over and compared.
        """
        with self._store.transaction():
            intents = [decoded(row, Intent) for row in self._store.rows(Kind.INTENT)]
            old = {each.order_ref for each in intents if each.state in ENDED and each.ts_changed_ns < before_ns}
            open_refs = {each.order_ref for each in intents} - old
            executions = (decoded(row, Execution) for row in self._store.rows(Kind.EXECUTION))
            told = [each.exec_id for each in executions if each.ts_ns < before_ns and each.order_ref not in open_refs]
            for order_ref in old:
                self._store.drop(Kind.INTENT, order_ref)
            for exec_id in told:
                self._store.drop(Kind.EXECUTION, exec_id)
            return len(old) + len(told)

    def snapshot(self) -> State:
        """All that is kept."""
        return State(
            identity=self._identity,
            generation=self._store.generation,
            intents=self._all(Intent),
            working=self._all(WorkingOrder),
            executions=self._all(Execution),
            position=self._only(Position),
            progress=self._only(Progress),
            book=self._only(BookRow),
            paper=self._only(PaperOrders),
            line=self._only(LineMemory),
            rules=self._only(RuleCounters),
            switches=self._only(Switches),
            answers=self._only(KeptAnswers),
            learned=self._only(KeptLearned),
            log_head=self._only(LogHead),
            configuration=self._only(GoodConfiguration),
            remarks=self._remarks,
        )

    def _put(self, name: str, record: Kept) -> None:
        self._store.put(KINDS[type(record)], name, encoded(record))

    def _all(self, record: type[K]) -> tuple[K, ...]:
        return tuple(decoded(row, record) for row in self._store.rows(KINDS[record]))

    def _only(self, record: type[K]) -> K | None:
        row = self._store.get(KINDS[record], ONLY)
        return None if row is None else decoded(row, record)


def kept_identity(folder: Path, *, schema: Schema = CURRENT, connect: Connect = connect) -> AccountIdentity | None:
    """Whose state is in the folder; None where nobody's is. Errors as at opening."""
    if not (folder / STATE_FILE).exists():
        return None
    store, _ = open_store(folder, schema, connect)
    try:
        row = store.get(Kind.IDENTITY, ONLY)
        return None if row is None else decoded(row, AccountIdentity)
    finally:
        store.close()


def _claim(store: SealedStore, identity: AccountIdentity) -> tuple[str, ...]:
    """Make a new state this account's, or see that it is; then read all of it once. Remarks on what was left out."""
    row = store.get(Kind.IDENTITY, ONLY)
    if row is None and store.generation:
        msg = f"{store.path}: field identity: is missing, although {store.generation} commits were made; {REMEDY}"
        raise StateDamagedError(msg)
    if row is None:
        with store.transaction():
            store.put(Kind.IDENTITY, ONLY, encoded(identity))
        return ()
    try:
        _compare(store.path, decoded(row, AccountIdentity), identity)
        return tuple(_read_all(store))
    except StateDamagedError as error:
        msg = f"{store.path}: {error}; {REMEDY}"
        raise StateDamagedError(msg) from error


def _compare(path: Path, kept: AccountIdentity, wanted: AccountIdentity) -> None:
    for field in AccountIdentity.__struct_fields__:
        is_ = str(getattr(kept, field))
        asked = str(getattr(wanted, field))
        if is_ != asked:
            if field == "account":
                is_, asked = masked(is_), masked(asked)
            msg = (
                f"{path}: field {field}: is the state of {is_}, and {asked} is to be traded; name a state.dir of its"
                f" own for each, or trade what this one is of. {STATE_FILE} was not touched"
            )
            raise AccessError(msg)


def _read_all(store: SealedStore) -> Iterator[str]:
    """See that every row is a record of its kind; what may be lost and is none is dropped, with a remark."""
    for kind, record in RECORDS.items():
        for row in store.rows(kind):
            try:
                decoded(row, record)
            except StateDamagedError as error:
                if kind not in MAY_BE_LOST:
                    raise
                with store.transaction():
                    store.drop(kind, row.name)
                yield f"{error}: it has been left out"


def _place(order_ref: str, leg: Leg) -> str:
    return f"{leg.value} {order_ref}"
