"""What a person meets who starts the daemon on something that is not as it should be: the words, the exit code, and
that nothing was sent. Each with the command itself, in front of a gateway."""

import datetime
import socket
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from daemon_runs import ACCOUNT, Market, daemon, market, options
from feed_builders import front_bars
from msgspec.structs import replace

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.gateway.data_answers import DELAYED
from trader.gateway.gateway import Gateway
from trader.gateway.ledger import Event

OTHER = "DU7654321"
REAL = "U1234567"
ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account=ACCOUNT, instrument="NQ")


@pytest.mark.parametrize(
    ("account", "changes", "code", "words"),
    [
        (OTHER, (), 77, "account DU*****21 is not among those of this login (DU*****67): log TWS or IB Gateway in"),
        (ACCOUNT, ("market=ES",), 78, "the broker knows no ESH20 at CME: see that the account may trade"),
    ],
)
def test_what_the_broker_has_not_ends_the_start(
    tmp_path: Path, account: str, changes: tuple[str, ...], code: int, words: str
) -> None:
    """Another login's account; a market that is not there."""
    with market(front_bars()) as broker, daemon(tmp_path, options(broker.port, *changes, account=account)) as run:
        ended = run.ended()
        assert (ended[0], broker.traded) == (code, [])
    assert ended[1].startswith("error: ")
    assert words in ended[1]
    assert account not in ended[1] + str(run.lines)


def test_login_of_another_kind_than_the_configured_account_ends_the_start(tmp_path: Path) -> None:
    """The application is logged in to real money, the configuration means practice."""
    with market(front_bars()) as broker:
        broker.rename(REAL)
        with daemon(tmp_path, options(broker.port)) as run:
            code, said = run.ended()
            assert (code, broker.traded) == (77, [])
    assert "account DU*****67 is not among those of this login (U1****67)" in said


def live(folder: Path, account: str) -> list[str]:
    """A configuration file that says live: true."""
    path = folder / "live.yaml"
    path.write_text(f"live: true\nib:\n  account: {account}\n")
    return ["--config", str(path), "--profile", "live"]


@pytest.mark.parametrize(
    ("account", "is_live", "code", "words"),
    [
        (REAL, False, 77, "ib.account U1****67 holds real money, and live is false; name the paper account (DU...)"),
        (ACCOUNT, True, 77, "live: true, but ib.account DU*****67 is a paper account; set live: false"),
        (None, False, 78, "ib.account is not set: orders need the account named, such as ib.account: DU1234567"),
    ],
)
def test_account_that_does_not_fit_the_mode_is_told_before_anything_is_connected(
    tmp_path: Path, account: str | None, is_live: bool, code: int, words: str
) -> None:
    """Nothing listens at the port, and nobody finds out."""
    arguments = options(1, account=account) + (live(tmp_path, account or "") if is_live else [])
    with daemon(tmp_path, arguments) as run:
        ended = run.ended()
    assert (ended[0], run.lines) == (code, [])
    assert words in ended[1]


def test_library_that_is_not_installed_is_named_with_its_command(tmp_path: Path) -> None:
    """This environment has the other one."""
    with daemon(tmp_path, options(1, "ib.library=ib_async")) as run:
        code, said = run.ended()
    assert (code, "ib.library: ib_async" in said, "pip install 'nq-trader[ib-async]'" in said) == (78, True, True)


@pytest.mark.parametrize(
    ("listens", "words"), [(False, "nothing listens there"), (True, "something listens there, and does not answer in")]
)
def test_gateway_that_is_not_up_is_told_at_once_waited_for_and_alarmed_of_once(
    tmp_path: Path, listens: bool, words: str
) -> None:
    """Nothing at the port, or something that says nothing: host, port and remedy; SIGTERM ends with 0."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        changes = ("ib.connect_timeout_s=0.2", "ib.down_alert_s=1", "ib.backoff_first_s=0.1")
        with daemon(tmp_path, options(port, *changes, *quiet_nights())) as run:
            first = run.until("link_state")
            alert = run.until("link_down")
            assert run.end() == (0, "")
    assert words in first["why"]
    assert f"127.0.0.1:{port}" in first["why"]
    assert "IB Gateway 4002 paper" in first["remedy"]
    assert f"127.0.0.1:{port}" in alert["why"]
    assert "TWS 7497 paper" in alert["effect"]
    assert len(run.said("link_down")) == 1


def quiet_nights() -> tuple[str, ...]:
    """The servers' nightly reset as far away as can be from the time at which the test runs, the weekend's too."""
    now = datetime.datetime.now(ZoneInfo("America/New_York"))  # noqa: TID251 -- the daemon goes by it
    begins, ends = (f"{(now + datetime.timedelta(hours=hours)):%H:%M}" for hours in (11, 12))
    keys = ("reset_start", begins), ("reset_end", ends), ("weekend_start", begins), ("weekend_end", ends)
    return tuple(f'ib.outages.{key}="{value}"' for key, value in keys)


def test_bars_need_no_account(tmp_path: Path) -> None:
    """Paper trading on live bars of whichever login; fills are simulated, and the broker sees no order."""
    with market(front_bars()) as broker:
        broker.rename(REAL)
        with daemon(tmp_path, options(broker.port, account=None), broker="paper") as run:
            run.until("started")
            steps(broker, 12)
            assert run.when(lambda status: status.bars >= 8).state == "enabled"
            assert (run.end()[0], broker.traded) == (0, [])
    assert run.said("connecting")[0]["account"] == "any, for bars only"


def test_data_that_may_not_be_had_is_not_traded_on(tmp_path: Path) -> None:
    """354: one alert, which says what to subscribe to."""
    with market(front_bars()) as broker:
        broker.do(lambda gateway: setattr(gateway.data, "data_type", DELAYED))
        with daemon(tmp_path, options(broker.port)) as run:
            run.until("stale_bars")
            steps(broker, 12)
            status = run.when(lambda status: status.bars >= 8)
            assert (status.vetoes, status.may_enter) == (("stale_data",), False)
            assert (run.end()[0], broker.traded) == (0, [])
    (alert,) = run.said("stale_bars")
    assert "no right to live data (354" in alert["why"]
    assert "subscribe to the exchange's data" in alert["why"]


def steps(broker: Market, bars: int) -> None:
    """So many bars."""
    for _ in range(bars):
        broker.step()


def test_position_in_another_month_is_not_traded_beside(tmp_path: Path) -> None:
    """It can be neither protected nor closed in this one."""
    with market(front_bars()) as broker:
        broker.do(hold_the_next_month)
        with daemon(tmp_path, options(broker.port)) as run:
            code, said = run.ended()
            assert (code, broker.traded) == (78, [])
    assert "the account holds +2 NQM0, and NQH20 is to be traded: close that position by hand" in said


def hold_the_next_month(gateway: Gateway) -> None:
    """Two contracts of the month that the bars are not of."""
    gateway.account.book(gateway.market.contracts.of_code("NQM20"), 2, 32_000)


@pytest.mark.parametrize(
    ("policy", "state", "sent"),
    [("refuse", "paused", [Event.PLACED]), ("adopt", "enabled", [Event.PLACED])],
)
def test_position_of_somebody_else_is_protected_and_told(
    tmp_path: Path, policy: str, state: str, sent: list[Event]
) -> None:
    """A stop, and nothing but a stop; under `refuse` nothing is entered until a person says so."""
    with market(front_bars()) as broker:
        broker.do(lambda gateway: gateway.exchange.trade_by_hand(1))
        with daemon(tmp_path, options(broker.port, f"ib.foreign={policy}")) as run:
            run.until("started")
            steps(broker, 12)
            status = run.when(lambda status: status.bars >= 8)
            assert status.position is not None
            assert (status.state, status.position.qty, status.position.stop) == (state, 1, None)
            assert (run.end()[0], broker.traded) == (0, sent)
            assert broker.resting == [("STP", -1)]
    assert "+1 contracts were traded on this account by somebody else" in run.said("foreign_trade")[0]["why"]


def test_position_of_somebody_else_is_left_alone_if_so_configured(tmp_path: Path) -> None:
    """Ours is what our own executions say."""
    with market(front_bars()) as broker:
        broker.do(lambda gateway: gateway.exchange.trade_by_hand(1))
        with daemon(tmp_path, options(broker.port, "ib.foreign=ignore")) as run:
            run.until("started")
            assert (run.status().position, run.status().state) == (None, "enabled")
            assert (run.end()[0], broker.traded) == (0, [])
    assert [line["remark"] for line in run.said("reconciled")] == ["+1 contracts are left to others"]


def test_second_daemon_is_refused_in_the_same_folder_and_on_the_same_account(tmp_path: Path) -> None:
    """With the first one's process and run; the first goes on."""
    with market(front_bars()) as broker, daemon(tmp_path, options(broker.port)) as first:
        run_id = first.until("started")["run_id"]
        for changes, what in (((), "trades this state folder"), (("state.dir=other",), "trades this account; end it")):
            with daemon(tmp_path, options(broker.port, *changes)) as second:
                code, said = second.ended()
            assert (code, second.lines) == (77, [])
            assert f"pid {first.pid}, run {run_id}, {what}" in said
        assert (first.end()[0], broker.traded) == (0, [])


def test_state_of_another_account_is_not_opened(tmp_path: Path) -> None:
    """Whoever changes the account wants another folder."""
    StateDb(tmp_path / "state", replace(ME, account=OTHER)).close()
    with daemon(tmp_path, options(1)) as run:
        code, said = run.ended()
    assert (code, run.lines) == (77, [])
    assert "DU*****21" in said
    assert "state.dir" in said


def test_state_of_a_later_version_is_not_opened(tmp_path: Path) -> None:
    """This program does not know what stands there."""
    StateDb(tmp_path / "state", ME).close()
    with sqlite3.connect(tmp_path / "state" / "state.db") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with daemon(tmp_path, options(1)) as run:
        code, said = run.ended()
    assert (code, run.lines) == (78, [])
    assert "user_version: is 99, this program knows up to" in said
