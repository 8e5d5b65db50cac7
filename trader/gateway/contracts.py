"""The contract months that the gateway knows: those of its bars and the one after, each with a conId of its own."""

import datetime

from msgspec import Struct

from trader.domain.instruments import INSTRUMENTS, MONTH_CODES, Instrument, contract_year_month
from trader.domain.rolls import front_contract, roll_date
from trader.errors import InputError

FIRST_CON_ID = 600_000_000
EXCHANGE, CURRENCY = "CME", "USD"


class Contract(Struct, frozen=True, kw_only=True):
    """One month. `code` names it in bar files (NQZ19); `local_symbol` is the broker's name (NQZ9).

    `expiry` is YYYYMMDD; `multiplier` is dollars a point. Prices on the wire are points.
    """

    con_id: int
    symbol: str
    code: str
    local_symbol: str
    expiry: str
    multiplier: int
    ticks_per_point: int
    tick_value_cents: int
    name: str

    def ticks(self, price: float) -> int | None:
        """Points as whole ticks, None for a price that is not on the grid."""
        exact = price * self.ticks_per_point
        return round(exact) if abs(exact - round(exact)) < 1e-6 else None

    def points(self, ticks: float) -> float:
        """Ticks as points."""
        return ticks / self.ticks_per_point


class Wanted(Struct, frozen=True, kw_only=True):
    """A contract as a request describes it; what is empty or 0 is not asked for."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    exchange: str = ""
    local_symbol: str = ""
    includes_expired: bool = False


class ContractTable:
    """All months, found by what a request says of them."""

    def __init__(self, market: Instrument, codes: list[str]) -> None:
        names = sorted(set(codes), key=contract_year_month)
        self.market = market
        self._months = [month(market, code) for code in [*names, after(market, names[-1])]]
        self._by_code = {each.code: each for each in self._months}

    def of_code(self, code: str) -> Contract:
        """The month of a bar; InputError for one that is not in the table."""
        if code not in self._by_code:
            msg = f"contract {code!r} is not among the gateway's: {', '.join(self._by_code)}"
            raise InputError(msg)
        return self._by_code[code]

    def find(self, wanted: Wanted, date: str, front: Contract) -> list[Contract]:
        """The months that fit on `date` (YYYYMMDD); the front month for CONTFUT. Empty: there is no such contract."""
        if wanted.sec_type == "CONTFUT":
            return [front] if wanted.symbol == front.symbol else []
        if wanted.sec_type not in {"FUT", ""} or wanted.exchange not in {EXCHANGE, ""}:
            return []
        return [each for each in self._months if _fits(each, wanted, date)]


def _fits(contract: Contract, wanted: Wanted, date: str) -> bool:
    if wanted.con_id:
        return contract.con_id == wanted.con_id
    return (
        (bool(wanted.symbol) or bool(wanted.local_symbol))
        and wanted.symbol in {contract.symbol, ""}
        and wanted.local_symbol in {contract.local_symbol, contract.code, ""}
        and contract.expiry.startswith(wanted.expiry)
        and (wanted.includes_expired or contract.expiry >= date)
    )


def month(market: Instrument, code: str) -> Contract:
    """The contract of a code such as NQZ19."""
    year, number = contract_year_month(code)
    expiry = roll_date(year, number) + datetime.timedelta(days=4)
    letter = MONTH_CODES[number - 1]
    return Contract(
        con_id=FIRST_CON_ID + list(INSTRUMENTS).index(market.symbol) * 100_000 + year * 12 + number,
        symbol=market.symbol,
        code=code,
        local_symbol=f"{market.symbol}{letter}{year % 10}",
        expiry=f"{expiry:%Y%m%d}",
        multiplier=market.tick_value_cents * market.ticks_per_point // 100,
        ticks_per_point=market.ticks_per_point,
        tick_value_cents=market.tick_value_cents,
        name=market.name,
    )


def after(market: Instrument, code: str) -> str:
    """The code of the next month in the market's cycle."""
    year, number = contract_year_month(code)
    place = market.months.index(MONTH_CODES[number - 1]) + 1
    year += place // len(market.months)
    return f"{market.symbol}{market.months[place % len(market.months)]}{year % 100:02d}"


def code_on(symbol: str, market: Instrument, date: str) -> str:
    """The month that a bar of `symbol` belongs to: the symbol itself, or by the calendar where it names none."""
    return front_contract(market, date) if symbol == market.symbol else symbol
