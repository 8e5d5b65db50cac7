"""An order's last steps: recorded first, checked once more, and then out."""

from line_builders import Drive, record_of
from line_fakes import FakeAdvisor, MemoryJournal

from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.orders import Order
from trader.domain.sessions import MINUTE_NS


class Witness:
    """A broker that looks into the journal at the moment an order arrives, and does nothing else."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self.orders: list[Order] = []
        self.last_lines: list[bytes] = []

    def submit(self, order: Order) -> None:
        """Keep the order and the journal's last line."""
        self.orders.append(order)
        self.last_lines.append(self._journal.lines[-1])

    def on_bar(self, bar: Bar) -> None:
        """Nothing is filled."""

    def on_session_end(self) -> None:
        """Nothing is closed."""

    def on_roll(self) -> None:
        """Nothing is closed."""


def test_engine_records_an_order_before_it_leaves() -> None:
    """When the broker hears of it, the line of its bar is already in the journal."""
    drive = Drive().warm()
    witness = Witness(drive.journal)
    drive.parts.router.connect(witness)
    record = drive.bar(Action.BUY)

    assert [record_of(line) for line in witness.last_lines] == [record]
    assert [order.order_ref for order in witness.orders] == [order.ref for order in record.orders]


def test_engine_records_an_order_that_the_last_gate_refused() -> None:
    """The advisor took eleven seconds, the price is too old: approved, refused, told so, and nothing is left behind."""
    advisor = FakeAdvisor()
    settings = ("advisor.backend=rules", "fusion.use_selective_querying=false", "fusion.llm_weight=0")
    drive = Drive(*settings, advisor=advisor).warm()
    advisor.meddle = lambda: drive.parts.router.pass_time(drive.now_ns + MINUTE_NS + 11_000_000_000)
    refused = drive.bar(Action.BUY)
    (event,) = drive.event_records()
    advisor.meddle = lambda: None
    after = drive.bar(Action.BUY)

    assert (refused.risk.verdict, refused.orders, after.fills) == ("approved", (), ())
    assert (event.kind, event.from_bar, event.detail["why"]) == ("order_refused", refused.seq, "stale_price")
    assert [order.kind for order in after.orders] == ["bracket"]
