"""The verbs of the state: what each keeps, what it refuses, and what comes back after a restart."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from state_builders import (
    BRACKET,
    ENTRY_FILL,
    HELD,
    LEARNED,
    ME,
    RESTING_STOP,
    SECTIONS,
    SWITCHES,
    content_of,
    reopened,
)

from trader.adapters.state.connection import Connection, connect
from trader.adapters.state.database import Noted, StateDb, masked
from trader.adapters.state.intents import ENDED, NEXT
from trader.adapters.state.records import BookRow, IntentState, Leg, State
from trader.adapters.state.schema import VERSION
from trader.adapters.state.shapes import KINDS, RECORDS, Kind, fingerprint
from trader.errors import InvariantError, StateDamagedError
from trader.kernels import book as book_kernel

SHAPES_OF_VERSION = {1: "4fe62cdf3312644061a9106eec0fd07959faaa22406012d7c53483dc94be3849"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the state is kept; not there yet."""
    return tmp_path / "state"


def test_every_section_comes_back_as_it_was_kept(folder: Path) -> None:
    """To the last bit of a float and an integer; the newest of each, and nothing else."""
    state = StateDb(folder, ME)
    before = state.snapshot()
    state.keep(replace(HELD, position_qty=-7), replace(SWITCHES, killed=False))
    state.keep(*SECTIONS)
    state.close()
    found = reopened(folder)
    told = [getattr(found, name) for name in State.__struct_fields__]
    assert [section for section in told if type(section) in {type(each) for each in SECTIONS}] == list(SECTIONS)
    assert (before.position, before.executions, before.intents, before.working) == (None, (), (), ())
    assert found.generation == before.generation + 2


def test_every_kind_of_row_has_a_record_and_every_record_one_kind() -> None:
    """What can be written can be read."""
    assert set(RECORDS) == set(Kind)
    assert len(KINDS) == len(RECORDS)
    assert {type(section) for section in SECTIONS} == set(KINDS) - {
        RECORDS[kind] for kind in (Kind.IDENTITY, Kind.INTENT, Kind.WORKING, Kind.EXECUTION)
    }


def test_shapes_of_records_are_those_of_the_schema_version() -> None:
    """Another shape would refuse every older state: raise `schema.VERSION`, add its migration, pin the new shapes.

    (As long as no release has written the version, pinning the new shapes alone is enough.)
    """
    assert fingerprint() == SHAPES_OF_VERSION[VERSION]
    assert (book_kernel.SIZE, book_kernel.OUTCOMES, book_kernel.REALIZED) == (36, 26, 25)


def test_book_row_of_the_kernel_is_kept_whole() -> None:
    """What the book holds is integers, each of which JSON carries exactly."""
    row = np.array([2**63 - 1, -(2**63), 0, 5], dtype=np.int64)
    kept = BookRow(row=tuple(row.tolist()), accounts_used=1)
    again = msgspec.json.decode(msgspec.json.encode(kept), type=BookRow)
    assert np.array_equal(np.array(again.row, dtype=np.int64), row)


def test_commits_wait_for_the_disk(folder: Path) -> None:
    """A write-ahead log, synced at each commit: 2 is FULL."""
    opened: list[Connection] = []

    def kept(path: Path) -> Connection:
        opened.append(connect(path))
        return opened[-1]

    state = StateDb(folder, ME, connect=kept)
    (connection,) = opened
    told = [connection.execute(f"PRAGMA {name}").fetchall() for name in ("synchronous", "journal_mode", "locking_mode")]
    assert told == [[(2,)], [("wal",)], [("exclusive",)]]
    state.close()


def test_order_ref_is_never_intended_twice(folder: Path) -> None:
    """Neither in this process nor in the next: it would be sent twice."""
    state = StateDb(folder, ME)
    state.intend("d1", "d1", BRACKET, 60)
    state.close()
    state = StateDb(folder, ME)
    with pytest.raises(InvariantError, match="sent twice"):
        state.intend("d1", "d1", BRACKET, 61)
    (intent,) = state.snapshot().intents
    assert (intent.order, intent.state, intent.ts_intended_ns) == (BRACKET, IntentState.INTENDED, 60)
    state.close()


@pytest.mark.parametrize("state_before", list(IntentState))
@pytest.mark.parametrize("state_after", list(IntentState))
def test_order_goes_only_the_ways_that_there_are(state_before: IntentState, state_after: IntentState) -> None:
    """A late fill after a cancel counts; a fill or a denial is the end; nothing goes back to where it began."""
    may = state_after in NEXT[state_before]
    if state_after in {IntentState.INTENDED, IntentState.SENT, IntentState.DENIED}:
        assert may == (state_before is IntentState.INTENDED and state_after is not IntentState.INTENDED) or (
            state_before is state_after
        )
    elif state_before in {IntentState.FILLED, IntentState.DENIED}:
        assert may == (state_before is state_after)
    else:
        assert may
    assert set(NEXT) >= ENDED


def test_impossible_way_of_an_order_changes_nothing(folder: Path) -> None:
    """Also where the order was never intended; a state told again is no change."""
    state = StateDb(folder, ME)
    state.intend("d1", "d1", BRACKET, 60)
    state.moved("d1", IntentState.FILLED, 61)
    lived = state.snapshot()
    state.moved("d1", IntentState.FILLED, 62, "again")
    for order_ref, wanted in (("d1", IntentState.CANCELLED), ("d2", IntentState.SENT)):
        with pytest.raises(InvariantError, match=order_ref):
            state.moved(order_ref, wanted, 63)
    assert state.snapshot() == lived
    state.close()


def test_execution_told_again_is_counted_once(folder: Path) -> None:
    """With its commission, which comes later; other numbers under the same id are said, and the first stay."""
    state = StateDb(folder, ME)
    paid = replace(ENTRY_FILL, commission_cents=450)
    assert [state.executed(each) for each in (ENTRY_FILL, ENTRY_FILL, paid, paid, ENTRY_FILL)] == [
        Noted.NEW,
        *[Noted.KNOWN] * 4,
    ]
    assert state.executed(replace(paid, commission_cents=451)) is Noted.DIFFERENT
    assert state.executed(replace(ENTRY_FILL, qty=1)) is Noted.DIFFERENT
    assert state.snapshot().executions == (paid,)
    state.close()


def test_working_order_is_known_by_its_own_ref_and_leg(folder: Path) -> None:
    """The broker's order id, used again after a restart of its counter, replaces nothing."""
    state = StateDb(folder, ME)
    target = replace(RESTING_STOP, leg=Leg.TARGET)
    moved = replace(RESTING_STOP, price_ticks=47_990)
    for order in (RESTING_STOP, target, moved):
        state.rests(order)
    assert state.snapshot().working == (moved, target)
    assert state.gone("d1", Leg.STOP)
    assert not state.gone("d1", Leg.STOP)
    assert state.snapshot().working == (target,)
    state.close()


def test_verbs_together_are_kept_all_or_none(folder: Path) -> None:
    """Inside, an error that is caught takes back its own verb only."""
    state = StateDb(folder, ME)
    state.intend("d1", "d1", BRACKET, 60)
    lived = state.snapshot()
    with pytest.raises(InvariantError), state.together():  # noqa: PT012 - what comes before the error is the point
        state.executed(ENTRY_FILL)
        state.moved("d2", IntentState.FILLED, 70)
    assert state.snapshot() == lived
    with state.together():
        state.executed(ENTRY_FILL)
        with pytest.raises(InvariantError), state.together():  # noqa: PT012 - what comes before the error is the point
            state.keep(replace(HELD, position_qty=9), SWITCHES)
            state.intend("d2", "d2", BRACKET, 60)
            state.intend("d1", "d1", BRACKET, 60)
        state.keep(HELD)
    state.close()
    found = reopened(folder)
    assert (found.executions, found.position, found.generation) == ((ENTRY_FILL,), HELD, lived.generation + 1)
    assert (found.intents, found.switches) == (lived.intents, None)


def test_forgetting_keeps_what_is_open_and_its_executions(folder: Path) -> None:
    """Ended orders of earlier sessions go, with what was executed of them and what was never ours."""
    state = StateDb(folder, ME)
    for order_ref, ended in (("old", IntentState.FILLED), ("open", IntentState.UNRESOLVED), ("new", None)):
        state.intend(order_ref, "d", BRACKET, 10)
        if ended is not None:
            state.moved(order_ref, ended, 20)
    state.moved("new", IntentState.CANCELLED, 40)
    for exec_id, order_ref, ts_ns in (
        ("1", "old", 15),
        ("2", "open", 15),
        ("3", None, 15),
        ("4", None, 35),
        ("5", "new", 15),
    ):
        state.executed(replace(ENTRY_FILL, exec_id=exec_id, order_ref=order_ref, ts_ns=ts_ns))
    assert state.forget_ended(30) == 3
    found = state.snapshot()
    assert [intent.order_ref for intent in found.intents] == ["open", "new"]
    assert [execution.exec_id for execution in found.executions] == ["2", "4", "5"]
    assert state.forget_ended(30) == 0
    state.close()
    assert content_of(reopened(folder)) == content_of(found)


def test_what_could_not_be_read_again_is_not_written(folder: Path) -> None:
    """A float that is not finite has no JSON."""
    state = StateDb(folder, ME)
    broken = replace(LEARNED.learned, weights=replace(LEARNED.learned.weights, log_weights=((float("nan"),),)))
    with pytest.raises(InvariantError, match="cannot be kept"):
        state.keep(HELD, replace(LEARNED, learned=broken))
    assert state.snapshot().position is None
    state.close()


def test_learned_state_of_another_shape_is_left_out_and_said(folder: Path) -> None:
    """It only saves learning anew; a position of another shape is refused."""
    state = StateDb(folder, ME)
    state.keep(HELD, LEARNED)
    with state.together():
        state._store.put("learned", "", b'{"advisor":"rules@1"}')
    state.close()
    found = reopened(folder)
    assert (found.learned, found.position) == (None, HELD)
    assert [remark.partition(":")[0] for remark in found.remarks] == [
        "the row learned '' is no KeptLearned (Object missing required field `learned`)"
    ]
    assert reopened(folder).remarks == ()
    state = StateDb(folder, ME)
    with state.together():
        state._store.put("position", "", b'{"symbol":"NQH9"}')
    state.close()
    with pytest.raises(StateDamagedError, match=r"row position '' is no Position \(.*con_id"):
        reopened(folder)


def test_account_number_is_shown_in_part_only() -> None:
    """Enough to know one's own by."""
    assert [masked(account) for account in ("DU1234567", "U123", "")] == ["DU*****67", "****", ""]
