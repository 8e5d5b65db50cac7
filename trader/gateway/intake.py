"""What the exchange takes: an order as sent becomes one that can rest, or is refused with the broker's code."""

from msgspec import Struct

from trader.domain.actions import Side
from trader.gateway.contracts import Contract
from trader.gateway.orders import STOP_KINDS, Kind, OrderSpec, Resting

ORDERS_A_SIDE_MAX = 15
"""Working orders on one side of one contract: the broker's own limit for futures."""
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_TIFS = frozenset({"DAY", "GTC"})


class Refusal(Struct, frozen=True):
    """Why an order is not taken: the error's code and text."""

    code: int
    text: str


class Taker(Struct, frozen=True, kw_only=True):
    """Whose order it is, and what is the same for all orders of the moment; `price_ticks` is the last price."""

    client_id: int
    perm_id: int
    account: str
    session_date: str
    price_ticks: int


def refusal(spec: OrderSpec, account: str) -> Refusal | None:
    """What is wrong with an order, whatever the market."""
    kinds = {kind.value for kind in Kind}
    if spec.action not in _SIDES:
        return Refusal(321, f"Error validating request.-'bS' : cause - Invalid action {spec.action!r}")
    if spec.kind not in kinds:
        return Refusal(387, f"Unsupported order type for this exchange and security type: {spec.kind}")
    if spec.qty <= 0 or spec.qty != int(spec.qty):
        return Refusal(434, "The order size cannot be zero.")
    if spec.tif not in _TIFS:
        return Refusal(321, f"Error validating request.-'bS' : cause - Invalid time in force {spec.tif!r}")
    if spec.account not in {"", account}:
        return Refusal(321, "Error validating request.-'bS' : cause - Invalid account code")
    return None


def resting(spec: OrderSpec, contract: Contract, taker: Taker) -> Resting | Refusal:
    """The order as it will rest; refused where a price is missing or not on the grid."""
    kind, side = Kind(spec.kind), _SIDES[spec.action]
    limit = _grid(contract, spec.limit, wanted=kind in {Kind.LIMIT, Kind.STOP_LIMIT})
    stop = _grid(contract, spec.aux, wanted=kind in STOP_KINDS)
    start = _grid(contract, spec.trail_stop, wanted=kind is Kind.TRAIL and spec.trail_stop is not None)
    for price in (limit, stop, start):
        if isinstance(price, Refusal):
            return price
    order = Resting(
        spec=spec,
        contract=contract,
        client_id=taker.client_id,
        perm_id=taker.perm_id,
        account=taker.account,
        session_date=taker.session_date,
        side=side,
        kind=kind,
        qty=int(spec.qty),
        limit_ticks=limit if isinstance(limit, int) else None,
    )
    if isinstance(stop, int):
        _place_stop(order, stop, start if isinstance(start, int) else None, taker.price_ticks)
    return order


def _place_stop(order: Resting, stop: int, start: int | None, price_ticks: int) -> None:
    if order.kind is not Kind.TRAIL:
        order.stop_ticks = stop
        return
    order.trail_gap_ticks = stop
    order.trail_ticks = price_ticks + int(order.side) * stop if start is None else start


def _grid(contract: Contract, price: float | None, *, wanted: bool) -> int | Refusal | None:
    if not wanted:
        return None
    if price is None:
        return Refusal(321, "Error validating request.-'bS' : cause - A price is missing")
    ticks = contract.ticks(price)
    if ticks is None:
        return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    return ticks
