"""One month is pinned by its number, and what the broker says of it has to be what is known here."""

from typing import Any

import pytest
from feed_builders import FRONT_NS, front_bars
from gateway_builders import OPEN_NS, running
from hypothesis import given
from hypothesis import strategies as st
from ib_builders import LIBRARY, linked
from msgspec.structs import replace

from trader.adapters.ib.contract import (
    Pinned,
    as_contract,
    exchange_of,
    front_at,
    of_root,
    require_alive,
    resolve,
    resolve_month,
    roll_from_ns,
)
from trader.domain.instruments import INSTRUMENTS, Instrument, instrument
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS, MINUTE_NS
from trader.errors import ConfigurationError, LinkError
from trader.gateway import layouts
from trader.gateway.contracts import month
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Message, Request
from trader.gateway.session import Session

NQ = instrument("NQ")
CALENDAR = Calendar.load()


async def pinned_at(gateway: Gateway, now_ns: int, market: Instrument = NQ) -> Pinned:
    """What the feed would trade at a moment."""
    async with linked(gateway) as link:
        return await resolve(link, LIBRARY, market, CALENDAR, now_ns)


async def test_the_front_month_is_pinned_by_its_number() -> None:
    """Its name is the project's, with two digits of the year, whatever the broker calls it."""
    async with running(front_bars()) as gateway:
        assert await pinned_at(gateway, FRONT_NS) == Pinned(
            con_id=month(NQ, "NQH20").con_id,
            market="NQ",
            symbol="NQH20",
            local_symbol="NQH0",
            trading_class="NQ",
            exchange="CME",
            expiry="2020-03-20",
            multiplier=20,
        )


async def test_what_is_pinned_is_a_month_that_can_be_asked_for_by_its_number() -> None:
    """And never the continuous contract."""
    async with running(front_bars()) as gateway, linked(gateway) as link:
        pinned = await resolve(link, LIBRARY, NQ, CALENDAR, FRONT_NS)
        contract = as_contract(LIBRARY, pinned)
        (found,) = await link.ask("the contract", link.ib.reqContractDetailsAsync(contract))
        assert (found.contract.conId, contract.secType) == (pinned.con_id, "FUT")


async def test_a_month_that_the_broker_does_not_know_is_a_configuration_error() -> None:
    """The gateway has no month before its bars'."""
    async with running(front_bars()) as gateway:
        with pytest.raises(ConfigurationError, match="knows no NQZ19 at CME"):
            await pinned_at(gateway, OPEN_NS)


@pytest.mark.parametrize(
    ("market", "what"),
    [
        (replace(NQ, ticks_per_point=10, tick=0.1, tick_value_cents=2_00), "tick is 0.25, here it is 0.1"),
        (replace(NQ, tick_value_cents=50), "multiplier is 20, here it is 2"),
    ],
    ids=["tick", "multiplier"],
)
async def test_a_contract_of_other_money_is_never_traded(market: Instrument, what: str) -> None:
    """The micro's multiplier would be a tenth of the money."""
    async with running(front_bars()) as gateway:
        with pytest.raises(ConfigurationError, match=what):
            await pinned_at(gateway, FRONT_NS, market)


def answered_with(gateway: Gateway, *contracts: Any) -> None:
    """Let the gateway answer every question for contract details with these."""

    def answer(session: Session, fields: list[str]) -> None:
        request = int(fields[2])
        for contract in contracts:
            session.send(layouts.contract_details(request, contract, "FUT", ("", "")))
        session.send([Message.CONTRACT_DETAILS_END, 1, request])

    gateway.server.serve({Request.CONTRACT_DETAILS: answer})


async def test_an_answer_without_a_contract_is_asked_for_again_and_ends_nothing() -> None:
    """What the broker does not know it refuses by 200; an end alone is an answer that has lost its beginning."""
    async with running() as gateway, linked(gateway) as link:
        gateway.server.tap = lambda session, fields, frame: (
            None if fields[0] == Message.CONTRACT_DETAILS else session.write(frame)
        )
        with pytest.raises(LinkError, match="told nothing of NQH20"):
            await resolve_month(link, LIBRARY, NQ, "NQH20")


async def test_two_contracts_of_one_month_are_ambiguous() -> None:
    """None of them is traded."""
    ours = month(NQ, "NQH20")
    async with running(front_bars()) as gateway:
        answered_with(gateway, ours, replace(ours, con_id=ours.con_id + 1))
        with pytest.raises(ConfigurationError, match="more than one NQH20"):
            await pinned_at(gateway, FRONT_NS)


async def test_one_contract_that_is_told_twice_is_one() -> None:
    """A frame that came twice."""
    ours = month(NQ, "NQH20")
    async with running(front_bars()) as gateway:
        answered_with(gateway, ours, ours)
        assert (await pinned_at(gateway, FRONT_NS)).con_id == ours.con_id


async def test_other_months_and_other_classes_in_the_answer_are_not_taken() -> None:
    """A broker may answer with more than was asked for."""
    ours = month(NQ, "NQH20")
    async with running(front_bars()) as gateway:
        answered_with(gateway, month(NQ, "NQM20"), ours, replace(month(instrument("MNQ"), "MNQH20"), con_id=1))
        assert (await pinned_at(gateway, FRONT_NS)).con_id == ours.con_id


async def test_an_expired_month_is_found_and_not_alive() -> None:
    """For its history, and not to trade it."""
    async with running(front_bars()) as gateway, linked(gateway) as link:
        pinned = await resolve_month(link, LIBRARY, NQ, "NQH20")
    require_alive(pinned, CALENDAR, FRONT_NS)
    with pytest.raises(ConfigurationError, match="NQH20 has expired on 2020-03-20"):
        require_alive(pinned, CALENDAR, FRONT_NS + 120 * DAY_NS)


@pytest.mark.parametrize("market", INSTRUMENTS.values(), ids=INSTRUMENTS.keys())
def test_a_contract_is_of_its_root_whatever_its_month(market: Instrument) -> None:
    """A micro's is none of the E-mini's."""
    own = LIBRARY.contract(symbol=market.symbol, secType="FUT", lastTradeDateOrContractMonth="20300621")
    assert [each.symbol for each in INSTRUMENTS.values() if of_root(own, each)] == [market.symbol]
    assert not of_root(LIBRARY.contract(symbol=market.symbol, secType="CONTFUT"), market)
    assert exchange_of(market) == ("CBOT" if market.symbol in {"YM", "MYM"} else "CME")


@given(st.integers(min_value=CALENDAR.first_ns, max_value=CALENDAR.last_ns - 200 * DAY_NS))
def test_a_month_is_the_front_until_its_last_session_has_closed(now_ns: int) -> None:
    """From the close on, the next session's month is meant."""
    front = front_at(NQ, CALENDAR, now_ns)
    until_ns = roll_from_ns(CALENDAR, front)
    assert now_ns < until_ns
    assert front_at(NQ, CALENDAR, until_ns - MINUTE_NS) == front
    assert front_at(NQ, CALENDAR, until_ns) != front
