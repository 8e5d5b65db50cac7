"""The one account: positions by contract month in whole cents, margin, and what the broker says of them."""

from msgspec import Struct

from trader.gateway.contracts import Contract
from trader.gateway.layouts import Holding


class AccountTerms(Struct, frozen=True, kw_only=True):
    """What the account is made of. Margins are cents a contract; `commission_cents` is a side's, a contract.

    The night's margins, told as those to come, are the day's times `night_factor`; orders are held to the day's.
    """

    name: str
    start_cents: int
    initial_margin_cents: int
    maintenance_margin_cents: int
    commission_cents: int
    night_factor: int = 1


class Position(Struct, kw_only=True):
    """Contracts held, signed, and `cost_ticks`: the sum of quantity times price of what is open, signed."""

    contract: Contract
    qty: int = 0
    cost_ticks: int = 0


class Account:
    """Books fills. Money is integer cents; commissions are in the cash, and not in the average cost."""

    def __init__(self, terms: AccountTerms) -> None:
        self.terms = terms
        self.cash_cents = terms.start_cents
        self.realized_cents = 0
        self.positions: dict[int, Position] = {}

    def qty(self, contract: Contract) -> int:
        """Signed position in `contract`."""
        held = self.positions.get(contract.con_id)
        return 0 if held is None else held.qty

    def book(self, contract: Contract, signed_qty: int, price_ticks: int) -> int | None:
        """Book a fill; cents realized by what it closes, before commission, or None where it closes nothing."""
        held = self.positions.setdefault(contract.con_id, Position(contract=contract))
        closing = min(abs(signed_qty), abs(held.qty)) if held.qty * signed_qty < 0 else 0
        realized = None
        if closing:
            share = held.cost_ticks * closing // abs(held.qty)
            sign = 1 if held.qty > 0 else -1
            realized = (sign * closing * price_ticks - share) * contract.tick_value_cents
            held.cost_ticks -= share
            held.qty -= sign * closing
            self.realized_cents += realized
            self.cash_cents += realized
        opening = abs(signed_qty) - closing
        if opening:
            side = 1 if signed_qty > 0 else -1
            held.qty += side * opening
            held.cost_ticks += side * opening * price_ticks
        commission = self.terms.commission_cents * abs(signed_qty)
        self.cash_cents -= commission
        self.realized_cents -= commission
        return realized

    def settle(self, contract: Contract, price_ticks: int) -> int:
        """The contract ends: its position is paid out at a price. The signed quantity that settles it."""
        held = self.positions.get(contract.con_id)
        if held is None or not held.qty:
            return 0
        gained = (held.qty * price_ticks - held.cost_ticks) * contract.tick_value_cents
        self.realized_cents += gained
        self.cash_cents += gained
        settling = -held.qty
        held.qty = held.cost_ticks = 0
        return settling

    def correct(self, contract: Contract, signed_ticks: int, *, has_closed: bool) -> None:
        """An execution had another price: quantity, signed, times the ticks between them."""
        if has_closed:
            self.realized_cents -= signed_ticks * contract.tick_value_cents
            self.cash_cents -= signed_ticks * contract.tick_value_cents
        else:
            self.positions[contract.con_id].cost_ticks += signed_ticks

    def average_cost(self, contract: Contract) -> float:
        """Dollars a contract, the multiplier in it; 0.0 when flat."""
        held = self.positions.get(contract.con_id)
        if held is None or not held.qty:
            return 0.0
        return held.cost_ticks / held.qty * contract.tick_value_cents / 100

    def unrealized_cents(self, price_ticks: int) -> int:
        """Of all positions at the one price that the market has."""
        return sum(
            (held.qty * price_ticks - held.cost_ticks) * held.contract.tick_value_cents
            for held in self.positions.values()
        )

    def values(self, price_ticks: int) -> dict[str, str]:
        """The figures of an account update, dollars with two digits."""
        open_cents = self.unrealized_cents(price_ticks)
        net = self.cash_cents + open_cents
        held = sum(abs(each.qty) for each in self.positions.values())
        initial, maintenance = held * self.terms.initial_margin_cents, held * self.terms.maintenance_margin_cents
        night = self.terms.night_factor
        cents = {
            "NetLiquidation": net,
            "TotalCashValue": self.cash_cents,
            "AvailableFunds": net - initial,
            "ExcessLiquidity": net - maintenance,
            "InitMarginReq": initial,
            "MaintMarginReq": maintenance,
            "LookAheadAvailableFunds": net - night * initial,
            "LookAheadExcessLiquidity": net - night * maintenance,
            "LookAheadInitMarginReq": night * initial,
            "LookAheadMaintMarginReq": night * maintenance,
            "FullInitMarginReq": initial,
            "FullMaintMarginReq": maintenance,
            "RealizedPnL": self.realized_cents,
            "UnrealizedPnL": open_cents,
        }
        return {tag: f"{value / 100:.2f}" for tag, value in cents.items()}

    def can_carry(self, contract: Contract, signed_qty: int, price_ticks: int) -> bool:
        """Whether the equity covers the initial margin after a fill; what makes the position smaller always may."""
        before, after = self.qty(contract), self.qty(contract) + signed_qty
        if abs(after) <= abs(before):
            return True
        others = sum(abs(each.qty) for each in self.positions.values()) - abs(before)
        equity = self.cash_cents + self.unrealized_cents(price_ticks)
        return (others + abs(after)) * self.terms.initial_margin_cents <= equity

    def holding(self, contract: Contract, price_ticks: int) -> Holding:
        """A line of the portfolio."""
        held = self.positions[contract.con_id]
        value = held.qty * price_ticks * contract.tick_value_cents
        cost = held.cost_ticks * contract.tick_value_cents
        return Holding(
            contract=contract,
            qty=held.qty,
            price=contract.points(price_ticks),
            value=value / 100,
            average_cost=self.average_cost(contract),
            unrealized=(value - cost) / 100,
            realized=self.realized_cents / 100,
        )
