"""What the simulated broker did long ago is not kept for ever."""

from pathlib import Path

from broker_builders import a_bracket
from live_builders import ME, bars
from msgspec.structs import replace

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import IntentState
from trader.domain.bars import Bar
from trader.domain.orders import Fill, Order, Unfilled
from trader.domain.units import DAY_NS
from trader.live.paper_ledger import KEPT_NS, PaperLedger


class Deaf:
    """A broker that does nothing, and a listener to whom nothing is said."""

    def submit(self, order: Order) -> None:
        """Take it."""

    def on_bar(self, bar: Bar) -> None:
        """Let it pass."""

    def on_session_end(self) -> None:
        """Let it pass."""

    def on_roll(self) -> None:
        """Let it pass."""

    def on_fill(self, fill: Fill) -> None:
        """Take it."""

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """Take it."""


def test_the_first_entry_of_a_day_drops_what_ended_long_ago(tmp_path: Path) -> None:
    """Three entries that were refused, four days apart: by the last one the first is gone."""
    ledger, state = PaperLedger(Deaf()), StateDb(tmp_path, ME)
    ledger.connect(Deaf())
    left = []
    for number in (1, 2, 3, 4):
        bar = bars()[0]
        ledger.on_bar(replace(bar, ts_close_ns=bar.ts_close_ns + number * KEPT_NS // 2 + number * DAY_NS // 4))
        ledger.submit(a_bracket(f"NQ-{number}"))
        ledger.on_unfilled(f"NQ-{number}", Unfilled.REJECTED)
        for note in ledger.drain():
            note(state)
        left.append([each.order_ref for each in state.snapshot().intents])
    assert left == [["NQ-1"], ["NQ-1", "NQ-2"], ["NQ-2", "NQ-3"], ["NQ-3", "NQ-4"]]
    assert {each.state for each in state.snapshot().intents} == {IntentState.REJECTED}
    state.close()
