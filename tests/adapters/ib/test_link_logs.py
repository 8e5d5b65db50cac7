"""What is logged of the link, which library it uses, and the socket's own keepalive."""

import logging
import socket
import sys
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from gateway_builders import nq, running
from ib_builders import ACCOUNT, LIBRARY, linked, until
from structlog.testing import LogCapture

from trader.adapters.ib.dialing import DialTerms, wrong_account
from trader.adapters.ib.library import load_library
from trader.adapters.ib.logs import without_accounts
from trader.errors import ConfigurationError, InvariantError
from trader.gateway.layouts import error


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """Every line of the operational log, information too."""
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(**before)


class Root(logging.Handler):
    """Listens where lines go that nobody has taken; pytest's own capture listens at loggers that keep theirs too."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record)


@pytest.fixture
def root() -> Iterator[Root]:
    """The root of all loggers, every level of it."""
    logger, listener = logging.getLogger(), Root()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    yield listener
    logger.setLevel(level)
    logger.removeHandler(listener)


async def test_no_line_of_ours_or_of_the_library_shows_an_account(
    lines: list[MutableMapping[str, Any]], root: Root
) -> None:
    """Orders, fills, positions, a cancelled order, errors that name it; the library prints all of them in full."""
    told: list[str] = []
    async with running() as gateway, linked(gateway) as link:
        link.on_error(lambda request, code, text: told.append(text))
        trade = link.ib.placeOrder(nq(), LIBRARY.market_order("BUY", 1, account=ACCOUNT, orderRef="d1"))
        await until(lambda: trade.fills)
        link.ib.placeOrder(nq(), LIBRARY.limit_order("BUY", 1, 100.1, account=ACCOUNT))
        link.ib.placeOrder(nq(), LIBRARY.limit_order("BUY", 99, 100.0, account=ACCOUNT))
        for session in gateway.server.sessions:
            session.send(error(-1, 1_100, f"{ACCOUNT} is gone, U7654321 too"))
        await until(lambda: len(told) >= 3)
        assert "DU*****67 is gone, U7****21 too" in told
        assert "DU*****67 is gone" in link.why
    assert ACCOUNT not in root.text
    text = "\n".join(map(str, lines))
    assert "client_library" in text
    assert "DU*****67" in text
    assert ACCOUNT not in text
    assert "U7654321" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("account='DU1234567', conId=1", "account='DU*****67', conId=1"),
        ("U123456 F12345 DF1234567 I1234567", "U1***56 F1**45 DF*****67 I1****67"),
        ("NQH20 D20191203-000012 20191203", "NQH20 D20191203-000012 20191203"),
        ("paper1", "pa**r1"),
    ],
)
def test_accounts_are_masked_and_nothing_else(text: str, shown: str) -> None:
    """By their form, or by name where the form is another."""
    assert without_accounts(text, "paper1", "") == shown


async def test_the_system_watches_the_socket_too() -> None:
    """TCP keepalive, in seconds and not in hours."""
    async with running() as gateway, linked(gateway) as link:
        transport = link.ib.client.conn.transport
        held = transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_a_library_is_found_by_its_name_and_by_itself() -> None:
    """`auto` takes one that is there."""
    assert load_library(LIBRARY.name) == LIBRARY
    assert load_library().name in {"ib_insync", "ib_async"}


def test_a_library_that_is_not_there_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is forced, or either."""
    monkeypatch.setitem(sys.modules, "ib_insync", None)
    monkeypatch.setitem(sys.modules, "ib_async", None)
    with pytest.raises(
        ConfigurationError, match=r"pip install 'nq-trader\[ib\]'` or `pip install 'nq-trader\[ib-async\]'"
    ):
        load_library()
    with pytest.raises(ConfigurationError, match=r"ib_async.*pip install 'nq-trader\[ib-async\]'`$"):
        load_library("ib_async")


def test_the_library_is_not_imported_off_the_main_thread() -> None:
    """It would take that thread's loop."""
    caught: list[BaseException] = []

    def load() -> None:
        try:
            load_library()
        except InvariantError as error:
            caught.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("account", "is_live", "managed", "is_right"),
    [
        ("DU1234567", False, ["DU1234567"], True),
        ("DU1234567", False, ["DF7654321", "DU1234567"], True),
        ("U1234567", True, ["U1234567"], True),
        ("U1234567", True, ["F1234567", "U1234567"], True),
        ("U1234567", True, ["U1234567", "DU1234567"], False),
        ("U1234567", False, ["U1234567"], False),
        ("DU1234567", True, ["DU1234567"], False),
        ("U1234567", True, [], False),
        ("", False, ["U1234567"], True),
    ],
)
def test_account_and_mode_have_to_agree(account: str, is_live: bool, managed: list[str], is_right: bool) -> None:
    """Paper accounts begin with DU, and no live login has any; bars need no account."""
    terms = DialTerms(client_id=1, fallback_client_id=None, in_use_tries=1, account=account, is_live=is_live)
    assert (wrong_account(terms, managed) == "") == is_right
