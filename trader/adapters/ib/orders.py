"""Our orders as the broker is sent them, and whether what it echoes is what was sent.

Entry MKT DAY, stop STP GTC outside regular hours too, target LMT GTC; every order carries account and reference. Stop,
target and whatever closes the position share one OCA group in which a fill reduces the others (type 2, with block).
"""

from collections.abc import Callable

from msgspec import Struct

from trader.adapters.ib.facts import BrokerOrder, OrderKind, close_ref, protect_ref
from trader.adapters.ib.foreign import IbOrder
from trader.adapters.state.records import Leg
from trader.domain.actions import Side
from trader.domain.instruments import Instrument
from trader.domain.orders import Bracket

REDUCE_WITH_BLOCK = 2
DAY, GTC = "DAY", "GTC"
_OTHER = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
_ACTIONS = {Side.BUY: "BUY", Side.SELL: "SELL"}


class Draft(Struct, frozen=True, kw_only=True):
    """One order as it is to stand at the broker. `price_ticks` is None at the market; `oca_group` "" for none."""

    order_ref: str
    leg: Leg
    side: Side
    kind: OrderKind
    qty: int
    price_ticks: int | None
    tif: str
    outside_rth: bool
    oca_group: str


class Sending(Struct, frozen=True, kw_only=True):
    """A draft with what is new in each message: its numbers, and whether the rest of a bracket follows."""

    draft: Draft
    order_id: int
    parent_id: int
    transmit: bool
    account: str


def entry_draft(bracket: Bracket) -> Draft:
    """The market order that opens the position."""
    return Draft(
        order_ref=bracket.order_ref,
        leg=Leg.ENTRY,
        side=bracket.side,
        kind=OrderKind.MARKET,
        qty=bracket.qty,
        price_ticks=None,
        tif=DAY,
        outside_rth=True,
        oca_group="",
    )


def stop_draft(decision: str, order_ref: str, side: Side, qty: int, stop_ticks: int) -> Draft:
    """A stop of a decision's position, the bracket's own or one laid behind it later; `side` is the stop's."""
    return Draft(
        order_ref=order_ref,
        leg=Leg.STOP,
        side=side,
        kind=OrderKind.STOP,
        qty=qty,
        price_ticks=stop_ticks,
        tif=GTC,
        outside_rth=True,
        oca_group=decision,
    )


def target_draft(bracket: Bracket) -> Draft:
    """The limit order that takes the profit."""
    return Draft(
        order_ref=bracket.order_ref,
        leg=Leg.TARGET,
        side=_OTHER[bracket.side],
        kind=OrderKind.LIMIT,
        qty=bracket.qty,
        price_ticks=bracket.target_ticks,
        tif=GTC,
        outside_rth=True,
        oca_group=bracket.order_ref,
    )


def bracket_drafts(bracket: Bracket) -> tuple[Draft, Draft, Draft]:
    """Entry, target, stop in the order of sending: a bracket whose stop, the last, is refused is never transmitted."""
    stop = stop_draft(bracket.order_ref, bracket.order_ref, _OTHER[bracket.side], bracket.qty, bracket.stop_ticks)
    return entry_draft(bracket), target_draft(bracket), stop


def close_draft(decision: str, nth: int, side: Side, qty: int, *, in_group: bool) -> Draft:
    """The n-th market order that closes a decision's position; outside the group where stop and target are gone."""
    return Draft(
        order_ref=close_ref(decision, nth),
        leg=Leg.CLOSE,
        side=side,
        kind=OrderKind.MARKET,
        qty=qty,
        price_ticks=None,
        tif=DAY,
        outside_rth=True,
        oca_group=decision if in_group else "",
    )


def protect_draft(decision: str, nth: int, side: Side, qty: int, stop_ticks: int) -> Draft:
    """The n-th stop laid behind a position that has none; `side` is the stop's own."""
    return stop_draft(decision, protect_ref(decision, nth), side, qty, stop_ticks)


def library_order(make: Callable[..., IbOrder], sending: Sending, instrument: Instrument) -> IbOrder:
    """The client library's order; a price of whole ticks is on the grid, whatever was computed with."""
    draft = sending.draft
    fields: dict[str, object] = {
        "orderId": sending.order_id,
        "parentId": sending.parent_id,
        "transmit": sending.transmit,
        "account": sending.account,
        "action": _ACTIONS[draft.side],
        "totalQuantity": draft.qty,
        "orderType": draft.kind.value,
        "tif": draft.tif,
        "outsideRth": draft.outside_rth,
        "orderRef": draft.order_ref,
        "ocaGroup": draft.oca_group,
        "ocaType": REDUCE_WITH_BLOCK if draft.oca_group else 0,
    }
    if draft.price_ticks is not None:
        name = "lmtPrice" if draft.kind is OrderKind.LIMIT else "auxPrice"
        fields[name] = instrument.to_points(draft.price_ticks)
    return make(**fields)


def mismatch(draft: Draft, account: str, seen: BrokerOrder) -> str | None:
    """What the broker has otherwise than it was sent, by field; None where all is the same.

    Quantity and price are left out: partial fills and modifications on their way change them. A market order waits for
    no hours: what the broker makes of its `outsideRth` is the same (2109: ignored).
    """
    wrong = [
        f"{name} {is_!r} instead of {asked!r}"
        for name, is_, asked in (
            ("account", seen.account == account, True),
            ("orderRef", seen.order_ref, draft.order_ref),
            ("tif", seen.tif, draft.tif),
            ("outsideRth", seen.outside_rth or seen.kind is OrderKind.MARKET, draft.outside_rth),
            ("side", seen.side.name, draft.side.name),
            ("type", seen.kind.value, draft.kind.value),
        )
        if is_ != asked
    ]
    return ", ".join(wrong) or None
