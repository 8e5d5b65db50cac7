"""The closed bar: the only market event that decisions are made of."""

from msgspec import Struct


class Bar(Struct, frozen=True, gc=False):
    """One closed bar of one contract.

    Prices are points on the contract's tick grid; `volume` is contracts, None where the source has no volume
    (a real zero is 0). Times are nanoseconds since 1970 UTC and whole minutes apart. `roll_offset` is zero but on
    the first bar of a new contract: new minus old close in points, at the last minute that both traded.
    """

    ts_open_ns: int
    ts_close_ns: int
    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: int | None
    roll_offset: float = 0.0
