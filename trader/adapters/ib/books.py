"""Whether our books are the broker's, to the cent, and how far its fills were from those that a simulation would give.

Pure. Money is whole cents, prices are ticks.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from trader.adapters.ib.ours import execution_key
from trader.adapters.state.records import Execution, Leg
from trader.domain.actions import Side
from trader.domain.instruments import Instrument


class Mismatch(StrEnum):
    """In what an execution differs."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    SIDE = "side"
    QTY = "qty"
    PRICE = "price"
    COMMISSION = "commission"


class Difference(Struct, frozen=True, kw_only=True):
    """One difference; `here` and `there` are what each side says of it, None where it says nothing.

    A whole execution that is missing is told by its signed contracts.
    """

    what: Mismatch
    exec_id: str
    order_ref: str | None
    here: int | None
    there: int | None


class Account(Struct, frozen=True, kw_only=True):
    """What some executions come to. `cash_cents` is what they brought in before costs: a round trip's result."""

    executions: int
    contracts: int
    cash_cents: int
    commission_cents: int


class BooksReport(Struct, frozen=True, kw_only=True):
    """Both sides of a session, and every difference, oldest first."""

    here: Account
    there: Account
    differences: tuple[Difference, ...]

    @property
    def are_equal(self) -> bool:
        """To the cent."""
        return not self.differences

    def text(self) -> str:
        """For the log: one line where all is well, else one more for each difference."""
        here, there = self.here, self.there
        costs = _dollars(here.commission_cents)
        head = f"books of {here.executions} executions, {here.contracts} contracts, commission {costs}"
        if self.are_equal:
            return f"{head}: equal to the broker's"
        lines = [
            f"{head}: the broker has {there.executions}, {there.contracts}, {_dollars(there.commission_cents)};"
            f" {len(self.differences)} differences"
        ]
        lines += [
            f"  {each.exec_id} {each.order_ref or 'not ours'}: {each.what.value}: here {_said(each.here)},"
            f" there {_said(each.there)}"
            for each in self.differences
        ]
        return "\n".join(lines)


class Simulated(Struct, frozen=True, kw_only=True):
    """What the simulation would have paid for one order, written down when it was decided; see `simulated_ticks`."""

    order_ref: str
    leg: Leg
    price_ticks: int


class Slippage(Struct, frozen=True, kw_only=True):
    """How one order filled. `worse_ticks` is against us per contract, negative where it was better than simulated."""

    order_ref: str
    leg: Leg
    side: Side
    qty: int
    simulated_ticks: int
    filled_ticks: float
    worse_ticks: float
    worse_cents: int
    ts_ns: int


class SlippageReport(Struct, frozen=True, kw_only=True):
    """Every order that filled and had a simulated price, oldest first; `unmeasured` had none."""

    orders: tuple[Slippage, ...]
    unmeasured: tuple[str, ...]

    @property
    def worse_cents(self) -> int:
        """What it came to."""
        return sum(each.worse_cents for each in self.orders)

    def text(self) -> str:
        """A table for the log, one order a line, then a line for each kind of order."""
        lines = [f"{'order':<16} {'leg':<7} {'qty':>4} {'simulated':>10} {'filled':>10} {'worse':>7} {'cost':>11}"]
        lines += [
            f"{each.order_ref:<16} {each.leg.value:<7} {each.side * each.qty:>+4} {each.simulated_ticks:>10}"
            f" {each.filled_ticks:>10.2f} {each.worse_ticks:>+7.2f} {_dollars(each.worse_cents):>11}"
            for each in self.orders
        ]
        for leg in Leg:
            some = [each for each in self.orders if each.leg is leg]
            if some:
                contracts = sum(each.qty for each in some)
                mean = sum(each.worse_ticks * each.qty for each in some) / contracts
                cost = _dollars(sum(each.worse_cents for each in some))
                lines.append(f"{'all':<16} {leg.value:<7} {contracts:>4} {'':>10} {'':>10} {mean:>+7.2f} {cost:>11}")
        return "\n".join(lines)


def simulated_ticks(leg: Leg, side: Side, reference_ticks: int, slippage_ticks: int) -> int:
    """What the simulated fill pays: `reference_ticks` is the next bar's open (entry, close), or the order's own level.

    Everything but a limit slips, against us.
    """
    return reference_ticks if leg is Leg.TARGET else reference_ticks + side * slippage_ticks


def in_session(executions: Iterable[Execution], open_ns: int, close_ns: int) -> tuple[Execution, ...]:
    """Those of one session, its end excluded."""
    return tuple(each for each in executions if open_ns <= each.ts_ns < close_ns)


def compare_books(ours: Iterable[Execution], theirs: Iterable[Execution], market: Instrument) -> BooksReport:
    """Execution by execution, by id; of one that the broker has corrected the last revision counts on each side.

    A commission that only one side knows is a difference, one that neither knows is not.
    """
    here = {execution_key(each.exec_id): each for each in sorted(ours, key=_revision)}
    there = {execution_key(each.exec_id): each for each in sorted(theirs, key=_revision)}
    both = sorted(here.keys() | there.keys(), key=lambda key: ((here.get(key) or there[key]).ts_ns, key))
    differences: list[Difference] = []
    for key in both:
        differences += _differences(here.get(key), there.get(key))
    return BooksReport(
        here=_account(here.values(), market), there=_account(there.values(), market), differences=tuple(differences)
    )


def measure_slippage(
    simulated: Iterable[Simulated], executions: Iterable[Execution], market: Instrument
) -> SlippageReport:
    """How each order filled against its simulated price; executions have their legs."""
    expected = {(each.order_ref, each.leg): each.price_ticks for each in simulated}
    orders: dict[tuple[str, Leg], list[Execution]] = {}
    for each in sorted(executions, key=lambda execution: execution.ts_ns):
        if each.order_ref is not None and each.leg is not None:
            orders.setdefault((each.order_ref, each.leg), []).append(each)
    measured = [_slippage(name, expected[name], fills, market) for name, fills in orders.items() if name in expected]
    unmeasured = tuple(f"{ref} {leg.value}" for ref, leg in orders if (ref, leg) not in expected)
    return SlippageReport(orders=tuple(measured), unmeasured=unmeasured)


def _slippage(name: tuple[str, Leg], expected: int, fills: list[Execution], market: Instrument) -> Slippage:
    order_ref, leg = name
    side = fills[0].side
    qty = sum(each.qty for each in fills)
    worse = sum(side * (each.price_ticks - expected) * each.qty for each in fills)
    return Slippage(
        order_ref=order_ref,
        leg=leg,
        side=side,
        qty=qty,
        simulated_ticks=expected,
        filled_ticks=sum(each.price_ticks * each.qty for each in fills) / qty,
        worse_ticks=worse / qty,
        worse_cents=worse * market.tick_value_cents,
        ts_ns=fills[0].ts_ns,
    )


def _differences(here: Execution | None, there: Execution | None) -> list[Difference]:
    if here is None or there is None:
        only = here or there
        if only is None:
            return []
        what = Mismatch.MISSING_HERE if here is None else Mismatch.MISSING_THERE
        return [_difference(what, only, _signed(here), _signed(there))]
    pairs: list[tuple[Mismatch, int | None, int | None]] = [
        (Mismatch.SIDE, int(here.side), int(there.side)),
        (Mismatch.QTY, here.qty, there.qty),
        (Mismatch.PRICE, here.price_ticks, there.price_ticks),
        (Mismatch.COMMISSION, here.commission_cents, there.commission_cents),
    ]
    return [_difference(what, here, one, other) for what, one, other in pairs if one != other]


def _difference(what: Mismatch, execution: Execution, here: int | None, there: int | None) -> Difference:
    return Difference(what=what, exec_id=execution.exec_id, order_ref=execution.order_ref, here=here, there=there)


def _account(executions: Iterable[Execution], market: Instrument) -> Account:
    all_of_them = list(executions)
    return Account(
        executions=len(all_of_them),
        contracts=sum(each.qty for each in all_of_them),
        cash_cents=-sum(each.side * each.qty * each.price_ticks for each in all_of_them) * market.tick_value_cents,
        commission_cents=sum(each.commission_cents or 0 for each in all_of_them),
    )


def _revision(execution: Execution) -> str:
    return execution.exec_id


def _signed(execution: Execution | None) -> int | None:
    return None if execution is None else execution.side * execution.qty


def _said(value: int | None) -> str:
    return "nothing" if value is None else str(value)


def _dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02d} $"
