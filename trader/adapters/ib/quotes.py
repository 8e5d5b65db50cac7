"""The quotes of one month: they say whether the account gets live data, and what the last price is."""

import math
from collections.abc import Callable

from trader.adapters.ib.contract import Pinned, as_contract
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.foreign import IbContract, IbTicker
from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.library import Library

LIVE, FROZEN = 1, 2
_KINDS = {3: "delayed", 4: "delayed and frozen"}


class Quotes:
    """`on_right` is told with each quote why it is none to trade on, None where it is; `on_price` of live last prices,
    in points."""

    def __init__(
        self,
        link: DataLink,
        library: Library,
        on_right: Callable[[str | None], None],
        on_price: Callable[[float], None],
    ) -> None:
        self._link = link
        self._library = library
        self._on_right = on_right
        self._on_price = on_price
        self._asked: tuple[IB, IbContract, IbTicker] | None = None

    def ask(self, month: Pinned) -> None:
        """Ask for live quotes, and for nothing else; LinkError without a connection."""
        ib = self._link.ib
        contract: IbContract = as_contract(self._library, month)
        self._cancel(ib)
        ib.reqMarketDataType(LIVE)
        ticker = ib.reqMktData(contract)
        ticker.updateEvent.connect(self._quoted)
        self._asked = ib, contract, ticker

    def _cancel(self, ib: IB) -> None:
        """Each subscription takes one of the account's lines of market data."""
        if self._asked is None:
            return
        asked_of, contract, ticker = self._asked
        ticker.updateEvent.disconnect(self._quoted)
        if asked_of is ib:
            ib.cancelMktData(contract)

    def _quoted(self, ticker: IbTicker) -> None:
        kind = ticker.marketDataType
        if kind not in {LIVE, FROZEN}:
            self._on_right(f"the broker sends {_KINDS.get(kind, f'type {kind}')} quotes where live ones were asked for")
            return
        self._on_right(None)
        if kind == LIVE and math.isfinite(ticker.last) and ticker.last > 0:
            self._on_price(ticker.last)
