"""The library's numbers, times and statuses as records of ours: made by hand, of both libraries' shapes."""

import math
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace as Told
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.adapters.ib.facts import BrokerOrder, Funds, OrderKind
from trader.adapters.ib.readings import (
    cents_of,
    execution_of,
    funds_of,
    number,
    order_of,
    time_ns_of,
    whole,
    wire_status,
)
from trader.adapters.state.records import Execution
from trader.domain.actions import Side
from trader.domain.instruments import instrument

NQ = instrument("NQ")
UNSET = 1.7976931348623157e308


def a_trade(*notes: tuple[str, str, int], status: str = "PreSubmitted", why_held: str = "", **changes: Any) -> Any:
    """An order of the library's; `notes` are (status, message, error code), oldest first."""
    order = {
        "orderRef": "NQ-1",
        "orderId": 7,
        "permId": 900,
        "clientId": 3,
        "parentId": 0,
        "account": "DU1234567",
        "action": "SELL",
        "orderType": "STP",
        "totalQuantity": 2.0,
        "lmtPrice": UNSET,
        "auxPrice": 7_990.25,
        "tif": "GTC",
        "outsideRth": True,
        "ocaGroup": "NQ-1",
    }
    return Told(
        contract=Told(conId=11),
        order=Told(**{**order, **changes}),
        orderStatus=Told(status=status, filled=1.0, whyHeld=why_held),
        log=[Told(status=word, message=message, errorCode=code) for word, message, code in notes],
    )


def a_fill(moment: datetime, commission: float = 2.25, report_of: str = "e.1", **changes: Any) -> Any:
    """An execution of the library's."""
    execution = {
        "execId": "e.1",
        "orderRef": "NQ-1",
        "permId": 900,
        "side": "SLD",
        "shares": 2.0,
        "price": 8_000.5,
        "time": moment,
    }
    return Told(
        execution=Told(**{**execution, **changes}), commissionReport=Told(execId=report_of, commission=commission)
    )


def test_an_order_is_read_in_ticks() -> None:
    """The stop's price is the auxiliary one; the limit's largest double is no price."""
    assert order_of(a_trade(), NQ) == BrokerOrder(
        order_ref="NQ-1",
        order_id=7,
        perm_id=900,
        client_id=3,
        parent_id=0,
        account="DU1234567",
        con_id=11,
        side=Side.SELL,
        kind=OrderKind.STOP,
        qty=2,
        filled_qty=1,
        price_ticks=31_961,
        is_working=True,
        is_held=False,
        tif="GTC",
        outside_rth=True,
        oca_group="NQ-1",
    )


@pytest.mark.parametrize(
    ("kind", "changes", "price"),
    [
        (OrderKind.MARKET, {"orderType": "MKT", "auxPrice": 0.0}, None),
        (OrderKind.LIMIT, {"orderType": "LMT", "lmtPrice": 8_030.0}, 32_120),
        (OrderKind.STOP, {"auxPrice": UNSET}, None),
        (OrderKind.OTHER, {"orderType": "TRAIL"}, None),
    ],
)
def test_only_a_limit_and_a_stop_have_a_price(kind: OrderKind, changes: dict[str, Any], price: int | None) -> None:
    """Each in its own place."""
    told = order_of(a_trade(**changes), NQ)
    assert (told.kind, told.price_ticks) == (kind, price)


@pytest.mark.parametrize(
    ("notes", "status", "expected"),
    [
        ((), "Submitted", "Submitted"),
        ((("PendingSubmit", "", 0), ("Submitted", "", 0)), "Submitted", "Submitted"),
        ((("Submitted", "", 0), ("Cancelled", "Error 161", 161)), "Cancelled", "Submitted"),
        ((("Submitted", "", 0), ("ValidationError", "Warning 110", 110)), "ValidationError", "Submitted"),
        ((("Submitted", "", 0), ("Cancelled", "Error 104", 104), ("Submitted", "", 0)), "Submitted", "Submitted"),
        ((("Submitted", "", 0), ("Cancelled", "", 0)), "Cancelled", "Cancelled"),
        ((("Submitted", "", 0), ("Cancelled", "Error 202", 202)), "Cancelled", "Cancelled"),
        (
            (("Submitted", "", 0), ("Cancelled", "Error 103", 103), ("Cancelled", "Fill 1@8000", 0)),
            "Filled",
            "Submitted",
        ),
        ((("Cancelled", "Error 10349", 10349),), "Cancelled", ""),
        ((("Submitted", "", 0), ("Cancelled", "Modify", 0)), "Cancelled", "Submitted"),
        ((("PreSubmitted", "", 0), ("Submitted", "Modified", 0)), "Submitted", "Submitted"),
    ],
)
def test_what_the_library_concludes_from_an_error_is_no_status(
    notes: tuple[tuple[str, str, int], ...], status: str, expected: str
) -> None:
    """The wire's last word stands."""
    assert wire_status(a_trade(*notes, status=status)) == expected


@pytest.mark.parametrize(
    ("status", "why_held", "works", "held"),
    [
        ("Submitted", "", True, False),
        ("PreSubmitted", "trigger", True, False),
        ("PreSubmitted", "child,trigger", True, True),
        ("PendingSubmit", "", True, False),
        ("PendingCancel", "", True, False),
        ("ApiPending", "", True, True),
        ("Inactive", "", False, True),
        ("Filled", "", False, False),
        ("Cancelled", "", False, False),
        ("ApiCancelled", "", False, False),
    ],
)
def test_an_order_works_until_the_wire_says_that_it_has_ended(
    status: str, why_held: str, works: bool, held: bool
) -> None:
    """A cancel that is under way has not ended it."""
    told = order_of(a_trade(status=status, why_held=why_held), NQ)
    assert (told.is_working, told.is_held) == (works, held)


def test_the_largest_integer_is_no_order_id() -> None:
    """Manual orders carry it."""
    told = order_of(a_trade(orderId=2**31 - 1, clientId=0, orderRef=""), NQ)
    assert (told.order_id, told.order_ref) == (0, "")


CHICAGO = datetime(2019, 12, 3, 10, 0, tzinfo=ZoneInfo("US/Central"))
AT_NS = 1_575_388_800_000_000_000


@pytest.mark.parametrize(
    "moment",
    [
        CHICAGO,
        CHICAGO.astimezone(UTC),
        CHICAGO.astimezone(ZoneInfo("Asia/Tokyo")),
        CHICAGO.astimezone(timezone(timedelta(hours=-5))),
        datetime(2019, 12, 3, 16, 0),  # noqa: DTZ001 -- what is tested
    ],
)
def test_a_time_is_the_same_moment_in_every_zone(moment: datetime) -> None:
    """One without a zone is taken as UTC."""
    assert time_ns_of(moment) == AT_NS
    assert execution_of(a_fill(moment), NQ).ts_ns == AT_NS


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    """The clocks go back in Chicago on 2019-11-03 at 02:00."""
    first = datetime(2019, 11, 3, 1, 30, tzinfo=ZoneInfo("US/Central"))
    assert time_ns_of(first.replace(fold=1)) - time_ns_of(first) == 3_600 * 10**9


def test_an_execution_is_read_without_a_leg() -> None:
    """The wire does not say of which type its order was."""
    assert execution_of(a_fill(CHICAGO), NQ) == Execution(
        exec_id="e.1",
        order_ref="NQ-1",
        leg=None,
        perm_id=900,
        side=Side.SELL,
        qty=2,
        price_ticks=32_002,
        commission_cents=225,
        ts_ns=AT_NS,
    )


@pytest.mark.parametrize(
    ("fill", "report", "cents"),
    [
        (a_fill(CHICAGO, 0.0, report_of=""), None, None),
        (a_fill(CHICAGO, 0.0, report_of=""), Told(execId="e.1", commission=4.5), 450),
        (a_fill(CHICAGO, UNSET), None, None),
        (a_fill(CHICAGO, math.nan), None, None),
        (a_fill(CHICAGO, 0.0), None, 0),
        (a_fill(CHICAGO, 2.25), Told(execId="", commission=0.0), 225),
    ],
)
def test_a_commission_is_known_once_a_report_has_come(fill: Any, report: Any, cents: int | None) -> None:
    """An empty report says nothing, a reported zero is zero."""
    assert execution_of(fill, NQ, report).commission_cents == cents


def test_an_execution_without_a_reference_is_nobodys() -> None:
    """Empty is none."""
    assert execution_of(a_fill(CHICAGO, orderRef="", side="BOT"), NQ).order_ref is None


def test_funds_are_the_accounts_own_dollars() -> None:
    """Other accounts, currencies and tags are left out; what is no number is None."""
    values = [
        Told(account="A", tag="NetLiquidation", value="100000.505", currency="USD"),
        Told(account="A", tag="NetLiquidation", value="92000.00", currency="EUR"),
        Told(account="B", tag="AvailableFunds", value="1.00", currency="USD"),
        Told(account="A", tag="InitMarginReq", value="1.7976931348623157E308", currency="USD"),
        Told(account="A", tag="MaintMarginReq", value="18000", currency="USD"),
        Told(account="A", tag="Cushion", value="1", currency="USD"),
    ]
    assert funds_of(values, "A") == Funds(
        net_liquidation_cents=10_000_050,
        available_cents=None,
        excess_cents=None,
        initial_margin_cents=None,
        maintenance_margin_cents=1_800_000,
        ahead_available_cents=None,
        ahead_excess_cents=None,
        ahead_initial_margin_cents=None,
        ahead_maintenance_margin_cents=None,
    )


@pytest.mark.parametrize("text", ["", "n/a", "nan", "inf", "1.7976931348623157E308"])
def test_a_figure_that_is_no_number_is_none(text: str) -> None:
    """Nothing is made up."""
    assert cents_of(text) is None


@given(st.floats())
def test_a_number_is_finite_and_sane_or_none(value: float) -> None:
    """Whatever the library gives."""
    told = number(value)
    assert told is None or (math.isfinite(told) and abs(told) < 1e300 and told == value)
    assert isinstance(whole(value), int)
