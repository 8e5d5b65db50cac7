"""`trader flatten` beside a daemon that was stopped, and the way back; and what is asked of a daemon meanwhile."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from daemon_processes import daemon_options, said, sets, trader, until_open
from gateway_builders import client_of, nq, running
from gateway_builders import until as until_of
from ib_insync import MarketOrder
from ib_runs import HISTORY, QUIET, IbRun, ib_run, quiet_bars

from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Reply, Request, Status
from trader.adapters.ib.facts import OPERATOR_REF
from trader.adapters.state.kill_file import KillFile, KillNote
from trader.adapters.state.running import RunningFile
from trader.domain.alerts import AlertKind
from trader.domain.orders import ExitReason
from trader.gateway.checker import Findings, check

NOTE = KillNote(by="trader flatten", pid=os.getpid(), ts_ns=1)
FALLS = (8_000.0, 8_000.0, 7_960.0, 7_960.0)
"""Through the stop of a long position."""


async def say(folder: Path, command: CommandName, *, clear_kill: bool = False) -> Reply:
    """What the daemon replies at its socket."""
    request = Request(command=command, clear_kill=clear_kill)
    return await asyncio.to_thread(ask, folder / "state", request, patience_s=10)


async def status(folder: Path) -> Status:
    """How it says that it stands."""
    found = (await say(folder, CommandName.STATUS)).status
    assert found is not None
    return found


async def operator_closes(run: IbRun, *sides: str) -> None:
    """What the command does at the broker, by a client of its own."""
    async with client_of(run.gateway, client_id=18) as ib:
        for side in sides:
            trade = ib.placeOrder(nq(), MarketOrder(side, 1, orderRef=OPERATOR_REF, tif="DAY"))
            await until_of(lambda trade=trade: trade.orderStatus.status == "Filled", ib)
        ib.reqGlobalCancel()
        await run.until(lambda: not run.gateway.exchange.book.working())


def exits_in(run: IbRun) -> list[str]:
    """Why positions were closed, by the log."""
    bars = [line["c"] for line in run.log_lines if "c" in line]
    return [fill["reason"] for bar in bars for fill in bar["fills"] if fill["reason"] is not None]


def found_at(run: IbRun) -> Findings:
    """What the ledger shows so far."""
    ledger = run.gateway.ledger
    return check(ledger.entries, until_s=ledger.now_s)


def orders_of(run: IbRun, client_id: int) -> int:
    """Orders that a client has sent."""
    return sum(each.client_id == client_id for each in run.gateway.exchange.book.everything)


@pytest.mark.parametrize("is_stopped_too", [False, True])
async def test_what_flatten_closed_beside_a_daemon_is_the_operators_and_the_way_back_is_one_command(
    tmp_path: Path, is_stopped_too: bool
) -> None:
    """The stop may fill at the same moment. Nothing is sent meanwhile; then it trades again, with a clean ledger."""
    async with ib_run(tmp_path, columns=quiet_bars(QUIET, QUIET, *[FALLS] * is_stopped_too)) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        own = run.gateway.server.session_of(17)
        assert own is not None
        KillFile(tmp_path / "state").write(NOTE)
        sent = orders_of(run, 17)
        if is_stopped_too:
            run.gateway.step()
        await operator_closes(run, *(("SELL", "BUY") if is_stopped_too else ("SELL",)))
        run.venue._link.resync("the loop stood still")
        await run.until(lambda: run.alarms.of(AlertKind.ACCOUNT_TAKEN) and run.alarms.of(AlertKind.IN_DOUBT))
        taken = await status(tmp_path)
        refused = await say(tmp_path, CommandName.FLATTEN)
        await run.bar()
        assert taken.taken is not None
        assert (taken.position, taken.may_enter, refused.ok) == (None, False, False)
        assert taken.link is not None
        assert (taken.link.is_up, taken.link.doubt) == (True, taken.taken)
        assert (orders_of(run, 17), run.alarms.of(AlertKind.FOREIGN_TRADE)) == (sent, [])

        back = await say(tmp_path, CommandName.RESUME, clear_kill=True)
        assert (back.ok, KillFile(tmp_path / "state").exists) == (True, False), back.message
        await run.bar()
        await run.entered()
        assert found_at(run).is_clean
        assert (await status(tmp_path)).taken is None
    operators = [ExitReason.OPERATOR.value] * (2 if is_stopped_too else 1)
    assert exits_in(run) == [*(["stop"] if is_stopped_too else []), *operators]


async def test_an_account_whose_broker_is_away_is_not_given_back(tmp_path: Path) -> None:
    """The file stays, and so does the refusal."""
    async with ib_run(tmp_path, "ib.request_timeout_s=0.1", "ib.backoff_first_s=0.02") as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        KillFile(tmp_path / "state").write(NOTE)
        run.gateway.server.is_refusing = True
        for session in run.gateway.server.sessions:
            session.reset()
        reply = await say(tmp_path, CommandName.RESUME, clear_kill=True)
        assert (reply.ok, KillFile(tmp_path / "state").exists) == (False, True)
        assert "the file KILL stays, and nothing is sent: not in step with the broker" in reply.message
        run.gateway.server.is_refusing = False
        await run.until(lambda: run.venue._link.is_up)


async def test_a_start_on_a_taken_account_enters_nothing_until_it_is_given_back(tmp_path: Path) -> None:
    """It says so at once."""
    (tmp_path / "state").mkdir(mode=0o700)
    KillFile(tmp_path / "state").write(NOTE)
    async with ib_run(tmp_path) as run:
        assert len(run.alarms.of(AlertKind.ACCOUNT_TAKEN)) == 1
        await run.bar()
        await run.bar()
        assert (orders_of(run, 17), run.position_qty) == (0, 0)
        assert (await say(tmp_path, CommandName.RESUME)).ok is False
        assert (await say(tmp_path, CommandName.RESUME, clear_kill=True)).ok
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()


@pytest.mark.parametrize("unattended", [True, False])
async def test_after_a_crash_nothing_is_entered_until_resume_if_so_configured(tmp_path: Path, unattended: bool) -> None:
    """A run that ended in order is no crash."""
    (tmp_path / "state").mkdir(mode=0o700)
    RunningFile(tmp_path / "state").begin()
    async with ib_run(tmp_path, f"guard.unattended_restart={str(unattended).lower()}") as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        if not unattended:
            await run.bar()
            assert (run.position_qty, len(run.alarms.of(AlertKind.UNATTENDED_RESTART))) == (0, 1)
            assert (await say(tmp_path, CommandName.RESUME)).ok
            await run.bar()
        await run.entered()
    assert not RunningFile(tmp_path / "state").was_left


async def test_a_daemon_that_was_stopped_during_flatten_sends_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """With the real processes: flat by the command, taken, given back, drained, and nothing was sent in between."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        options = sets(tmp_path, gateway.port)
        async with trader(tmp_path, *daemon_options(tmp_path, gateway.port)) as daemon:
            await said(daemon, "started")
            await until_open(gateway)
            daemon.send_signal(signal.SIGSTOP)
            sent = len(gateway.exchange.book.everything)
            async with trader(tmp_path, "flatten", "--state", str(tmp_path / "state"), *options) as command:
                assert await command.wait() == 0
            assert gateway.account.qty(gateway.market.front) == 0
            daemon.send_signal(signal.SIGCONT)
            await said(daemon, "account_taken")
            await said(daemon, "in_doubt")
            taken = await status(tmp_path)
            gateway.step()
            back = await say(tmp_path, CommandName.RESUME, clear_kill=True)
            assert (taken.position, taken.may_enter, back.ok) == (None, False, True)
            assert len(gateway.exchange.book.everything) == sent + 1  # the command's own
            daemon.send_signal(signal.SIGTERM)
            assert await daemon.wait() == 0
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean


async def test_flatten_is_repeated_beside_a_daemon_that_woke_up_meanwhile(tmp_path: Path) -> None:
    """The first has taken the account and could not close: the daemon may not either, so the second one does."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        options = sets(tmp_path, gateway.port)
        flatten = ["flatten", "--state", str(tmp_path / "state"), *options, "--set", "ib.connect_timeout_s=2"]
        async with trader(tmp_path, *daemon_options(tmp_path, gateway.port)) as daemon:
            await said(daemon, "started")
            await until_open(gateway)
            daemon.send_signal(signal.SIGSTOP)
            gateway.server.is_refusing = True
            async with trader(tmp_path, *flatten) as command:
                assert await command.wait() == 75
            gateway.server.is_refusing = False
            assert gateway.account.qty(gateway.market.front) != 0
            daemon.send_signal(signal.SIGCONT)
            await said(daemon, "account_taken")
            async with trader(tmp_path, *flatten) as command:
                assert command.stdout is not None
                told = (await command.stdout.read()).decode()
                assert await command.wait() == 0
            assert told.startswith("the daemon may not close: ")
            assert (gateway.account.qty(gateway.market.front), list(gateway.exchange.book.working())) == (0, [])
            daemon.send_signal(signal.SIGTERM)
            assert await daemon.wait() == 0
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean
