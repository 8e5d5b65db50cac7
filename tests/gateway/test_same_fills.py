"""The gateway's exchange and the paper broker fill the same brackets at the same prices, bar for bar."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from builders import some_terms
from gateway_builders import TERMS, some_bars
from msgspec.structs import replace

from trader.adapters.paper_broker import PaperBroker
from trader.book import TermsOfTrade
from trader.domain.actions import Side
from trader.domain.instruments import instrument
from trader.domain.orders import Bracket, ExitReason, Fill
from trader.domain.sessions import Calendar
from trader.gateway.contracts import Wanted
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway
from trader.gateway.orders import OrderSpec

BARS = 3_000
RICH = replace(TERMS.account, start_cents=10**12)
Told = list[tuple[int, int, int]]
"""Bar, signed quantity, price in ticks."""


class Listener:
    """Writes down what the paper broker fills.

    `limit_holds`: what is past its own target is booked as an exchange does it, which fills a limit order and never
    worse than its limit; the paper broker leaves at the market, slipped.
    """

    def __init__(self, *, limit_holds: bool) -> None:
        self.bar = 0
        self.target = 0
        self.limit_holds = limit_holds
        self.past_target = 0
        self.fills: Told = []

    def on_fill(self, fill: Fill) -> None:
        price, side = fill.price_ticks, -int(fill.side)
        if fill.reason is ExitReason.ENTRY_BEYOND_STOP and side * self.fills[-1][2] >= side * self.target:
            self.past_target += price != side * max(side * price, side * self.target)
            if self.limit_holds:
                price = side * max(side * price, side * self.target)
        self.fills.append((self.bar, int(fill.side) * fill.qty, price))

    def on_unfilled(self, order_ref: str, outcome: object) -> None:
        raise AssertionError(order_ref)


def wild_prices(seed: int) -> list[tuple[float, float, float, float]]:
    """Bars that gap and swing by as much as the brackets are wide."""
    rng, price, rows = np.random.default_rng(seed), 32_000, []
    for _ in range(BARS):
        open_ = price + int(rng.integers(-12, 13))
        close = open_ + int(rng.integers(-12, 13))
        high, low = max(open_, close) + int(rng.integers(0, 9)), min(open_, close) - int(rng.integers(0, 9))
        rows.append((open_ / 4, high / 4, low / 4, close / 4))
        price = close
    return rows


def spec(order_id: int, side: Side, qty: int, kind: str, price: float | None, parent: int) -> OrderSpec:
    """An order as the client sends it."""
    wanted = Wanted(symbol="NQ", sec_type="FUT", expiry="202003", exchange="CME")
    prices: dict[str, Any] = {"limit": price if kind == "LMT" else None, "aux": price if kind == "STP" else None}
    return OrderSpec(
        order_id=order_id,
        contract=wanted,
        action=side.name,
        qty=qty,
        kind=kind,
        tif="GTC",
        oca_group="",
        oca_type=3,
        account="",
        order_ref="",
        transmit=kind == "STP",
        parent_id=parent,
        outside_rth=True,
        good_till="",
        trail_stop=None,
        trail_percent=None,
        what_if=False,
        **prices,
    )


def brackets(seed: int) -> Iterator[tuple[Side, int, int, int]]:
    """Side, quantity, stop and target distance in ticks."""
    rng = np.random.default_rng(seed + 1_000)
    while True:
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        yield side, int(rng.integers(1, 4)), int(rng.integers(4, 24)), int(rng.integers(6, 60))


def by_paper(gateway: Gateway, terms: TermsOfTrade, seed: int, listener: Listener, bars: int = BARS) -> Told:
    """A bracket at each close at which nothing is open, at the paper broker."""
    broker = PaperBroker(instrument("NQ"), terms.as_row(instrument("NQ")), listener)
    orders = brackets(seed)
    for at in range(20, 20 + bars):
        if not sum(qty for _, qty, _ in listener.fills):
            side, qty, stop, target = next(orders)
            close = round(gateway.market.bar_at(at - 1).close * 4)
            listener.target = close + side * target
            broker.submit(
                Bracket(
                    order_ref=str(at),
                    side=side,
                    qty=qty,
                    stop_distance_ticks=stop,
                    target_distance_ticks=target,
                    stop_ticks=close - side * stop,
                    target_ticks=close + side * target,
                )
            )
        listener.bar = at
        broker.on_bar(gateway.market.bar_at(at))
    return listener.fills


def by_gateway(gateway: Gateway, seed: int) -> Told:
    """The same ones as three orders at the gateway, which fills market orders at the next open."""
    exchange, orders, order_id, fills = gateway.exchange, brackets(seed), 1, []
    exchange.fills_at_once = False
    for at in range(20, 20 + BARS):
        if not gateway.account.qty(gateway.market.front):
            side, qty, stop, target = next(orders)
            close, other = gateway.market.last, Side(-side)
            exchange.place(1, spec(order_id, side, qty, "MKT", None, 0))
            exchange.place(1, spec(order_id + 1, other, qty, "LMT", close + side * target / 4, order_id))
            exchange.place(1, spec(order_id + 2, other, qty, "STP", close - side * stop / 4, order_id))
            order_id += 3
        known = len(exchange.executions)
        gateway.open_bar()
        exchange.matcher.match_market()
        gateway.finish_bar()
        fills += [
            (at, fill.qty if fill.side == "BOT" else -fill.qty, round(fill.price * 4))
            for fill in exchange.executions[known:]
        ]
    return fills


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("through", [0, 1])
@pytest.mark.parametrize("limit_holds", [True, False], ids=["exchange", "lockstep"])
def test_brackets_fill_as_at_the_paper_broker(seed: int, through: int, limit_holds: bool) -> None:
    """Thousands of fills: gaps through stop and target, bars that reach both, entries past their own bracket."""
    terms = some_terms(target_through_ticks=through)
    gateway = Gateway(
        some_bars(*wild_prices(seed), after=1),
        Calendar.load(),
        replace(TERMS, account=RICH, costs=Costs(slippage_ticks=1, through_ticks=through)),
    )
    gateway.exchange.matcher.limit_holds = limit_holds
    listener = Listener(limit_holds=limit_holds)
    paper = by_paper(gateway, terms, seed, listener)
    assert len(paper) > 1_000
    assert listener.past_target
    assert by_gateway(gateway, seed) == paper
