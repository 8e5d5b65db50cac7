"""Random verbs, in and out of transactions, with restarts and kills between them: always what a plain model says."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace
from state_builders import BRACKET, ENTRY_FILL, FLATTEN, ME, RESTING_STOP, SECTIONS

from trader.adapters.state.database import StateDb
from trader.adapters.state.intents import ENDED, NEXT
from trader.adapters.state.records import Execution, Intent, IntentState, Leg, Section, State, WorkingOrder
from trader.errors import InvariantError

REFS = st.sampled_from([f"d{number}" for number in range(6)])
STATES = st.sampled_from(IntentState)
LEGS = st.sampled_from(Leg)
TIMES = st.integers(0, 9)
FIELDS = {
    type(section): name
    for section, name in zip(
        SECTIONS,
        (
            "position",
            "progress",
            "book",
            "paper",
            "line",
            "rules",
            "switches",
            "answers",
            "learned",
            "log_head",
            "configuration",
        ),
        strict=True,
    )
}


class KeptState(RuleBasedStateMachine):
    """The state beside dicts that are told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.lives = 0
        self.state = StateDb(self.root / "0", ME)
        self.intents: dict[str, Intent] = {}
        self.executions: dict[str, Execution] = {}
        self.working: dict[tuple[str, Leg], WorkingOrder] = {}
        self.sections: dict[str, Section] = {}

    def teardown(self) -> None:
        """Leave no folder behind."""
        self.state.close()
        shutil.rmtree(self.root)

    @rule(ref=REFS, order=st.sampled_from([BRACKET, FLATTEN]), ts_ns=TIMES, is_taken_back=st.booleans())
    def intend(self, ref: str, order: object, ts_ns: int, is_taken_back: bool) -> None:
        """A new order; a transaction around it may fail in the end."""
        try:
            with self.state.together():
                self.state.intend(ref, "d", order, ts_ns)
                assert 1 / (1 - is_taken_back) == 1
        except InvariantError:
            assert ref in self.intents
        except ZeroDivisionError:
            assert ref not in self.intents
        else:
            self.intents[ref] = Intent(
                order_ref=ref,
                decision_id="d",
                order=order,
                state=IntentState.INTENDED,
                ts_intended_ns=ts_ns,
                ts_changed_ns=ts_ns,
                why=None,
            )

    @rule(ref=REFS, to=STATES, ts_ns=TIMES)
    def move(self, ref: str, to: IntentState, ts_ns: int) -> None:
        """An order goes on, where there is a way."""
        known = self.intents.get(ref)
        try:
            self.state.moved(ref, to, ts_ns, "why")
        except InvariantError:
            assert known is None or (to is not known.state and to not in NEXT[known.state])
        else:
            assert known is not None
            if to is not known.state:
                assert to in NEXT[known.state]
                self.intents[ref] = replace(known, state=to, ts_changed_ns=ts_ns, why="why")

    @rule(exec_id=st.sampled_from("abc"), ref=st.none() | REFS, ts_ns=TIMES, paid=st.none() | st.integers(0, 2))
    def execute(self, exec_id: str, ref: str | None, ts_ns: int, paid: int | None) -> None:
        """The first numbers count, and a commission once it is known."""
        told = replace(ENTRY_FILL, exec_id=exec_id, order_ref=ref, ts_ns=ts_ns, commission_cents=paid)
        self.state.executed(told)
        known = self.executions.setdefault(exec_id, told)
        if known.commission_cents is None:
            self.executions[exec_id] = replace(known, commission_cents=paid)

    @rule(ref=REFS, leg=LEGS, price=st.none() | st.integers(0, 5))
    def rest(self, ref: str, leg: Leg, price: int | None) -> None:
        """An order works at the broker."""
        order = replace(RESTING_STOP, order_ref=ref, leg=leg, price_ticks=price)
        self.state.rests(order)
        self.working[ref, leg] = order

    @rule(ref=REFS, leg=LEGS)
    def end(self, ref: str, leg: Leg) -> None:
        """It works no more."""
        assert self.state.gone(ref, leg) == (self.working.pop((ref, leg), None) is not None)

    @rule(sections=st.lists(st.sampled_from(SECTIONS), max_size=3))
    def keep(self, sections: list[Section]) -> None:
        """What there is one of is replaced."""
        self.state.keep(*sections)
        self.sections |= {FIELDS[type(section)]: section for section in sections}

    @rule(sections=st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=3), ref=REFS)
    def keep_in_vain(self, sections: list[Section], ref: str) -> None:
        """A part that fails after it has written takes that back, and the transaction around it goes on."""
        with self.state.together():
            self.state.rests(replace(RESTING_STOP, order_ref=ref))
            with contextlib.suppress(InvariantError), self.state.together():
                self.state.keep(*sections)
                self.state.gone(ref, Leg.STOP)
                self.state.moved("never", IntentState.SENT, 1)
        self.working[ref, Leg.STOP] = replace(RESTING_STOP, order_ref=ref)

    @rule(before_ns=TIMES)
    def forget(self, before_ns: int) -> None:
        """Old and ended orders go."""
        self.state.forget_ended(before_ns)
        self.intents = {
            ref: each
            for ref, each in self.intents.items()
            if each.state not in ENDED or each.ts_changed_ns >= before_ns
        }
        self.executions = {
            exec_id: each
            for exec_id, each in self.executions.items()
            if each.ts_ns >= before_ns or each.order_ref in self.intents
        }

    @rule(is_killed=st.booleans())
    def restart(self, is_killed: bool) -> None:
        """After an orderly end, or from the files as they lie."""
        folder = self.root / f"{self.lives}"
        if is_killed:
            self.lives += 1
            shutil.copytree(folder, self.root / f"{self.lives}")
        self.state.close()
        self.state = StateDb(self.root / f"{self.lives}", ME)

    @invariant()
    def tells_what_the_model_tells(self) -> None:
        """All of it, in order."""
        told = self.state.snapshot()
        expected = State(
            identity=ME,
            generation=told.generation,
            intents=tuple(self.intents.values()),
            working=tuple(self.working.values()),
            executions=tuple(self.executions.values()),
            remarks=(),
            **{name: self.sections.get(name) for name in FIELDS.values()},
        )
        assert told == expected


TestKeptState = KeptState.TestCase
TestKeptState.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, derandomize=True)
