"""What an advisor is told."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from builders import MINUTE_NS, a_bar, a_question, an_account
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, fields, replace

from trader.advisor.question import Answer, Question, ask_about, time_et, to_step
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus, Proposal
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.outlook import Outlook, Reading

READING = Reading(
    adx=31.5,
    rsi=62.0,
    atr=12.25,
    vwap=11_990.0,
    vwap_distance=0.000834,
    momentum=21.5,
    sma_20=11_995.0,
    sma_50=11_980.0,
    regime=1,
)


def an_outlook(**account: object) -> Outlook:
    session = Calendar.load().at(a_bar().ts_open_ns)
    assert session is not None
    return Outlook(a_bar(930), session, np.zeros(261, np.float32), READING, 0b001001, True, an_account(**account))


def test_ask_about_a_long_position_tells_raw_readings_and_account() -> None:
    """Every field in the unit that a prompt prints."""
    outlook = an_outlook(
        position_qty=1,
        entry_ticks=47_960,
        stop_ticks=47_900,
        equity_cents=5_020_000,
        initial_risk_cents=30_000,
        win_rate=0.4,
        streak=2,
        trades_closed=12,
    )
    assert asdict(ask_about(outlook, 77, instrument("NQ"))) == {
        "seq": 77,
        "ts_close_ns": outlook.bar.ts_open_ns + MINUTE_NS,
        "session_open_ns": outlook.session.open_ns,
        "market": "NQ",
        "symbol": "NQM23",
        "market_name": "E-mini Nasdaq-100",
        "time_et": "2023-03-15 09:31",
        "price": 12_000.0,
        "atr": 12.25,
        "adx": 31.5,
        "rsi": 62.0,
        "vwap": 11_990.0,
        "vwap_distance": 0.000834,
        "momentum": 21.5,
        "regime": 1,
        "mask": 0b001001,
        "position_qty": 1,
        "entry_price": 11_990.0,
        "stop_price": 11_975.0,
        "trailing": False,
        "unrealized_cents": 20_000,
        "initial_risk_cents": 30_000,
        "win_rate": 0.4,
        "streak": 2,
        "balance_cents": 5_000_000,
        "trades_closed": 12,
    }


def test_ask_about_a_flat_account_has_no_entry_and_no_stop() -> None:
    """Flat is None, not a price of zero."""
    question = ask_about(an_outlook(), 1, instrument("NQ"))
    assert (question.entry_price, question.stop_price, question.unrealized_cents) == (None, None, 0)


def test_question_has_no_room_for_what_the_strategy_chose() -> None:
    """Neither the proposal nor the trigger, which would give it away."""
    names = {field.name for field in fields(Question)}
    assert not names & ({field.name for field in fields(Proposal)} | {"triggers", "proposal", "rl"})


@given(st.integers(1_450_000_000, 2_050_000_000))
def test_time_et_is_what_the_time_zone_database_says(ts_s: int) -> None:
    """Formatted from the session's offset, equal to the zone's own."""
    local = datetime.fromtimestamp(ts_s, tz=UTC).astimezone(ZoneInfo("America/New_York"))
    offset = local.utcoffset()
    assert offset is not None
    assert time_et(ts_s * 1_000_000_000, int(offset.total_seconds())) == local.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize("status", list(AdviceStatus))
def test_answer_is_usable_only_when_used_or_cached(status: AdviceStatus) -> None:
    """An answer may carry advice for the record that fusion must not see."""
    advice = Advice(action=Action.BUY, confidence=0.5, reason="")
    answer = Answer(status=status, advice=advice)
    expected = advice if status in {AdviceStatus.USED, AdviceStatus.CACHED} else None
    assert answer.usable is expected


@given(st.floats(0, 1))
def test_to_step_survives_being_written_with_six_decimals(confidence: float) -> None:
    """A record's decimal names the number exactly."""
    step = to_step(confidence)
    assert abs(step - confidence) <= 1 / 2048
    assert to_step(round(step, 6)) == step


def test_question_is_frozen() -> None:
    """A back end cannot change what it was told."""
    with pytest.raises(AttributeError):
        a_question().seq = 3  # type: ignore[misc]
    assert replace(a_question(), seq=3).seq == 3
