"""Questions to warm a model up with: they differ in everything that may differ between two questions of one run."""

from msgspec.structs import replace

from trader.advisor.question import Question
from trader.domain.instruments import Instrument


def probe_questions(instrument: Instrument) -> tuple[Question, ...]:
    """Flat in the morning, long with a loss and short with a trail later on; no figure of one is another's."""
    flat = Question(
        seq=0,
        ts_close_ns=0,
        session_open_ns=0,
        market=instrument.symbol,
        symbol=instrument.symbol,
        market_name=instrument.name,
        time_et="2019-01-02 09:35",
        price=6_543.25,
        atr=12.5,
        adx=18.2,
        rsi=43.6,
        vwap=6_550.0,
        vwap_distance=-0.001,
        momentum=-7.5,
        regime=0,
        mask=0b000111,
        position_qty=0,
        entry_price=None,
        stop_price=None,
        trailing=False,
        unrealized_cents=0,
        initial_risk_cents=0,
        win_rate=0.5,
        streak=0,
        balance_cents=5_000_000,
        trades_closed=0,
    )
    long = replace(
        flat,
        time_et="2020-11-19 14:28",
        price=11_987.75,
        atr=21.0,
        adx=33.9,
        rsi=61.4,
        vwap=11_960.0,
        vwap_distance=0.0023,
        momentum=28.25,
        regime=1,
        mask=0b001001,
        position_qty=1,
        entry_price=12_001.5,
        stop_price=11_970.0,
        unrealized_cents=-27_500,
        initial_risk_cents=63_000,
        win_rate=0.4,
        streak=3,
        balance_cents=4_871_250,
        trades_closed=11,
    )
    short = replace(
        long,
        time_et="2021-07-28 10:51",
        price=14_832.0,
        adx=27.1,
        rsi=29.8,
        vwap=14_911.0,
        vwap_distance=-0.0053,
        momentum=-96.0,
        regime=-1,
        mask=0b100001,
        position_qty=-1,
        entry_price=14_899.25,
        stop_price=14_860.5,
        trailing=True,
        unrealized_cents=134_500,
        win_rate=0.7,
        streak=1,
        balance_cents=5_120_775,
        trades_closed=24,
    )
    return (flat, long, short)
