"""Connections: client ids, what a start is told, requests that nobody knows, bytes that are no protocol."""

import asyncio
import struct

import pytest
from gateway_builders import client_of, nq, running, until
from ib_insync import MarketOrder

from trader.gateway.wire import FRAME_MAX_BYTES, Frames, WireError, agreed_version, encode


async def test_a_client_is_told_of_position_orders_and_executions_when_it_connects() -> None:
    """Another client's fill is in the second one's positions and executions, dollars in its account."""
    async with running() as gateway, client_of(gateway, 1) as first:
        trade = first.placeOrder(nq(), MarketOrder("BUY", 2, orderRef="d1"))
        await until(lambda: trade.fills, first)
        async with client_of(gateway, 2) as second:
            (held,) = second.positions()
            assert (held.position, held.avgCost, held.contract.localSymbol) == (2, 8_000.25 * 20, "NQH0")
            assert [fill.execution.orderRef for fill in second.fills()] == ["d1"]
            values = {value.tag: value.value for value in second.accountValues()}
            assert (values["InitMarginReq"], values["NetLiquidation"]) == ("40000.00", "99985.50")


async def test_a_client_id_in_use_is_refused_with_326() -> None:
    """The first one goes on."""
    async with running() as gateway, client_of(gateway, 1) as first:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"API\0" + struct.pack(">I", 9) + b"v157..176")
        writer.write(encode([71, 2, 1, ""]))
        assert b"\x00326\x00" in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert await first.reqCurrentTimeAsync()


async def test_an_unknown_request_is_answered_by_an_error() -> None:
    """505 says which; the connection stays."""
    async with running() as gateway, client_of(gateway) as ib:
        texts: list[str] = []
        ib.errorEvent += lambda request, code, text, contract: texts.append(f"{code} {text}")
        ib.client.send(4_242, 1)
        await until(lambda: texts, ib)
        assert texts == ["505 Fatal Error: Unknown message id 4242."]
        assert await ib.reqCurrentTimeAsync()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"API\0" + struct.pack(">I", FRAME_MAX_BYTES + 1),
        b"API\0" + struct.pack(">I", 8) + b"v100..99",
        b"API\0" + struct.pack(">I", 9) + b"v157..176" + struct.pack(">I", 2) + b"71",
        b"API\0" + struct.pack(">I", 9) + b"v157..176" + encode(["61", "1"]),
        b"API\0" + struct.pack(">I", 9) + b"v157..176" + encode(["71", "2", "one", ""]),
    ],
    ids=["http", "too long", "versions", "no end", "no start", "no number"],
)
async def test_bytes_that_are_no_protocol_end_their_connection_only(sent: bytes) -> None:
    """Who speaks it is not disturbed."""
    async with running() as gateway, client_of(gateway) as ib:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(sent)
        assert b"Fatal Error" in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert await ib.reqCurrentTimeAsync()


def test_frames_come_whole_whatever_the_pieces() -> None:
    """One byte at a time."""
    frames, found = Frames(), []
    for byte in b"API\0" + encode(["71", "2"]) + encode([1.5, True, None]):
        found += list(frames.feed(bytes([byte])))
    assert found == [b"71\x002\x00", b"1.5\x001\x00\x00"]


def test_a_client_of_another_version_is_refused() -> None:
    """177 and above write other layouts."""
    assert agreed_version(b"v157..178 +PACEAPI") == 176
    with pytest.raises(WireError, match="178"):
        agreed_version(b"v178..190")
