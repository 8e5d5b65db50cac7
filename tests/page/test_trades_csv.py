"""The trade list is what a journal imports, to the cent."""

import csv
import datetime
import io
from decimal import Decimal

import pytest
from evaluation_rows import a_trade
from evaluations import an_evaluation
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.domain.orders import ExitReason
from trader.page.trades_csv import COLUMNS, contract_name, price, trades_csv, us_money, us_time


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows under their column names."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def money(text: str) -> Decimal:
    """Dollars as a journal reads them."""
    amount = Decimal(text.strip("()").removeprefix("$"))
    return -amount if text.startswith("(") else amount


def test_a_trade_is_written_as_ninjatrader_does():
    """Every cell, a losing short with an excursion both ways."""
    trade = a_trade(
        3,
        pnl_usd=-204.5,
        side="short",
        qty=2,
        entry=15000.25,
        exit=15005.25,
        mae_points=5.0,
        mfe_points=1.25,
        commission_usd=9.0,
        reason="stop",
        method="rl_only",
        bars=12,
        account=2,
    )

    text = trades_csv(an_evaluation(1, (trade,)))

    assert text.split("\r\n") == [
        "Trade number,Instrument,Account,Strategy,Market pos.,Qty,Entry price,Exit price,Entry time,Exit time,"
        "Entry name,Exit name,Profit,Cum. net profit,Commission,MAE,MFE,ETD,Bars",
        "3,NQ 03-21,Account 2,ppo,Short,2,15000.25,15005.25,1/4/2021 11:31:00 AM,1/4/2021 12:01:00 PM,RL only,"
        "Stop loss,($204.50),($204.50),$9.00,$200.00,$50.00,$254.50,12",
        "",
    ]


@settings(max_examples=30)
@given(st.lists(st.integers(-500_000, 500_000), max_size=30))
def test_profits_add_up_to_the_cent(cents):
    """The running column is the sum of the profits, the last of them the run's."""
    trades = tuple(a_trade(number, pnl_usd=value / 100) for number, value in enumerate(cents, 1))

    rows = rows_of(
        trades_csv(replace(an_evaluation(1, ()), headline=replace(an_evaluation(1).headline, trades=trades)))
    )

    profits = [money(row["Profit"]) for row in rows]
    assert profits == [Decimal(value) / 100 for value in cents]
    assert [money(row["Cum. net profit"]) for row in rows] == [sum(profits[: n + 1]) for n in range(len(rows))]


def test_a_run_without_trades_is_a_head_alone():
    """The file still says what it is."""
    assert trades_csv(an_evaluation(2, ())) == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("reason", list(ExitReason))
def test_every_reason_for_an_exit_has_a_name(reason):
    """None is left empty."""
    row = rows_of(trades_csv(an_evaluation(1, (a_trade(reason=reason.value),))))[0]

    assert row["Exit name"][0].isupper()
    assert "_" not in row["Exit name"]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("NQH21", "NQ 03-21"), ("MNQZ2023", "MNQ 12-23"), ("M2KU9", "M2K 09-19"), ("NQ", "NQ"), ("", "")],
)
def test_contracts_are_named_by_month_and_year(symbol, name):
    """What is no contract keeps its name."""
    assert contract_name(symbol) == name


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "$0.00"), (-0.001, "$0.00"), (1234.5, "$1234.50"), (-2448.0, "($2448.00)")]
)
def test_money_has_no_separators_and_losses_stand_in_parentheses(value, text):
    """Separators would need quotes that some importers do not read."""
    assert us_money(value) == text


@pytest.mark.parametrize(
    ("hour", "text"),
    [
        (0, "1/4/2021 12:05:00 AM"),
        (9, "1/4/2021 9:05:00 AM"),
        (12, "1/4/2021 12:05:00 PM"),
        (23, "1/4/2021 11:05:00 PM"),
    ],
)
def test_times_are_twelve_hour_clocks(hour, text):
    """Midnight and noon are twelve."""
    at = datetime.datetime(2021, 1, 4, hour, 5, tzinfo=datetime.UTC)

    assert us_time(int(at.timestamp()) * 10**9, 0) == text


@pytest.mark.parametrize(("tick", "text"), [(0.25, "15000.50"), (0.1, "15000.5"), (1.0, "15000")])
def test_prices_have_the_decimals_of_their_tick(tick, text):
    """Two for a quarter."""
    assert price(15000.5, tick) == text


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@x"])
def test_no_name_is_a_formula(name):
    """A spreadsheet shows it instead of computing it."""
    evaluation = an_evaluation(1, (a_trade(symbol=name),))
    named = replace(evaluation, facts=replace(evaluation.facts, strategy=name))

    row = rows_of(trades_csv(named))[0]

    assert (row["Instrument"], row["Strategy"]) == (f"'{name}", f"'{name}")
