"""Figures with and without what dates them."""

import re

from builders import a_question
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prompt_builders import shipped_rules
from test_prompt import LONG, SYSTEM

from trader.advisor.figures import anonymous_figures_of
from trader.advisor.prompt import PromptMaker
from trader.advisor.question import Question


def anonymous(question: Question) -> str:
    return PromptMaker(shipped_rules(anonymise=True)).render(question).messages[-1].content


def test_an_anonymised_prompt_has_the_hour_and_relative_prices() -> None:
    """The whole text: VWAP is 100, momentum in ATR, profit as if the risk had been 100 dollars."""
    assert anonymous(LONG) == (
        "Market: E-mini Nasdaq-100\n"
        "Time: 10:31 ET\n"
        "Price: $100.09\n"
        "\n"
        "Trend Analysis:\n"
        "- ADX: 31.5 (trend strength)\n"
        "- Price vs VWAP: +0.09%\n"
        "- RSI: 62.0\n"
        "- Momentum: 2.1\n"
        "\n"
        "Position: LONG 1 @ 100.00, stop 99.88, trailing\n"
        "Unrealized P&L: $+64\n"
        "\n"
        "Recent Performance:\n"
        "- Win Rate: 37.5%\n"
        "- Consecutive Losses: 2\n"
        "- Account Balance: $50123\n"
        "\n"
        "What is your recommended action?\n"
        "Valid now: HOLD, MOVE_TO_BE, ENABLE_TRAIL"
    )


def test_the_model_is_told_what_the_anonymised_figures_are() -> None:
    """Below the system text, which stays whole."""
    system = PromptMaker(shipped_rules(anonymise=True)).constant[0].content
    assert system.startswith(f"{SYSTEM}\nAll figures are anonymised: prices are an index")


@given(scale=st.sampled_from([0.125, 0.25, 0.5, 2.0, 4.0]), day=st.dates().map(str), symbol=st.text(max_size=6))
def test_the_same_picture_at_another_level_and_day_is_the_same_prompt(scale: float, day: str, symbol: str) -> None:
    """Nothing is left from which level, day or contract could be told: whatever they are, the text is the same."""
    assert LONG.entry_price is not None
    assert LONG.stop_price is not None
    elsewhere = replace(
        LONG,
        seq=9,
        ts_close_ns=5,
        session_open_ns=1,
        symbol=symbol,
        time_et=f"{day} 10:31",
        price=LONG.price * scale,
        vwap=LONG.vwap * scale,
        atr=LONG.atr * scale,
        momentum=LONG.momentum * scale,
        entry_price=LONG.entry_price * scale,
        stop_price=LONG.stop_price * scale,
        unrealized_cents=int(LONG.unrealized_cents * 8 * scale),
        initial_risk_cents=int(LONG.initial_risk_cents * 8 * scale),
    )
    assert anonymous(elsewhere) == anonymous(LONG)
    assert not re.search(r"\d{4}-\d\d|20\d\d", anonymous(elsewhere))


def test_figures_without_a_vwap_an_atr_or_a_risk_are_still_numbers() -> None:
    """The first bar of a market without volume, and a flat account."""
    figures = anonymous_figures_of(a_question(vwap=0.0, atr=0.0, price=12_000.0))
    assert (figures.current_price, figures.momentum, figures.unrealized_pnl) == (100.0, 0.0, 0.0)
