"""The futures that can be traded: tick, tick value, commission, first day, and the names of their contracts."""

from msgspec import Struct

from trader.errors import ConfigurationError, InputError

MONTH_CODES = "FGHJKMNQUVXZ"


class Instrument(Struct, frozen=True, kw_only=True):
    """One futures market. Prices are multiples of `tick` points; one tick of one contract is `tick_value_cents`."""

    symbol: str
    name: str
    tick: float
    ticks_per_point: int
    tick_value_cents: int
    commission_side_cents: int
    months: str = "HMUZ"
    first_session: str = "2015-09-21"

    def to_ticks(self, price: float) -> int:
        """Price in points as whole ticks; the caller has made sure that it is on the grid."""
        return round(price * self.ticks_per_point)

    def to_points(self, ticks: int) -> float:
        """Whole ticks as points: the double nearest to the decimal price."""
        return ticks / self.ticks_per_point


def _market(symbol: str, name: str, ticks_per_point: int, tick_value_cents: int, side_cents: int) -> Instrument:
    return Instrument(
        symbol=symbol,
        name=name,
        tick=1 / ticks_per_point,
        ticks_per_point=ticks_per_point,
        tick_value_cents=tick_value_cents,
        commission_side_cents=side_cents,
    )


INSTRUMENTS: dict[str, Instrument] = {
    market.symbol: market
    for market in (
        _market("ES", "E-mini S&P 500", 4, 12_50, 2_25),
        _market("NQ", "E-mini Nasdaq-100", 4, 5_00, 2_25),
        _market("YM", "E-mini Dow", 1, 5_00, 2_25),
        _market("RTY", "E-mini Russell 2000", 10, 5_00, 2_25),
        _market("MES", "Micro E-mini S&P 500", 4, 1_25, 62),
        _market("MNQ", "Micro E-mini Nasdaq-100", 4, 50, 62),
        _market("MYM", "Micro E-mini Dow", 1, 50, 62),
        _market("M2K", "Micro E-mini Russell 2000", 10, 50, 62),
    )
}


def instrument(symbol: str) -> Instrument:
    """The market called `symbol`; ConfigurationError with the known names otherwise."""
    try:
        return INSTRUMENTS[symbol]
    except KeyError:
        msg = f"market {symbol!r} is not known; one of: {', '.join(INSTRUMENTS)}"
        raise ConfigurationError(msg) from None


def index_symbol(symbol: str) -> str:
    """The E-mini on the same index: NQ for MNQ and for NQ itself. Whoever has seen one has seen the other.

    ConfigurationError on an unknown market.
    """
    index = instrument(symbol).name.removeprefix("Micro ")
    return next(market.symbol for market in INSTRUMENTS.values() if market.name == index)


def contract_year_month(contract: str) -> tuple[int, int]:
    """Expiry year and month of a contract code such as NQZ3, NQZ23 or NQZ2023; a one-digit year is of 2015..2024.

    InputError where the text is no contract code.
    """
    body = contract.rstrip("0123456789")
    digits = contract[len(body) :]
    if not digits or not body or body[-1] not in MONTH_CODES or len(digits) not in {1, 2, 4}:
        msg = f"{contract!r} is no contract code; expected a market, a month letter and a year, such as NQZ23"
        raise InputError(msg)
    year = int(digits)
    if len(digits) == 1:
        year += 2020 if year < 5 else 2010
    elif len(digits) == 2:
        year += 2000
    return year, MONTH_CODES.index(body[-1]) + 1
