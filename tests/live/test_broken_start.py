"""A start on a broken configuration or model: what is open is protected; with nothing open it says what is wrong."""

import asyncio
import signal
from pathlib import Path

import pytest
from daemon_processes import daemon_options, said, trader, until_open
from gateway_builders import running
from ib_runs import ACCOUNT, HISTORY, ib_run, quiet_bars

from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Request
from trader.commands.run_plan import Wiring
from trader.commands.run_protect import plan_or_protect
from trader.errors import BundleError, ConfigurationError, TraderError
from trader.gateway.checker import check
from trader.options import FileOptions, LiveBarOptions, ShortOptions
from trader.settings import load_settings
from trader.settings.whole import as_yaml, from_yaml, state_dir_named

BROKEN = "execution:\n  qtyy: 3\n"
WIRING = Wiring(feed="ib", broker="ib", speed="max")


def broken(folder: Path) -> Path:
    """A configuration file with a key that there is not."""
    path = folder / "mine.yaml"
    path.write_text(BROKEN)
    return path


async def test_killed_with_a_position_and_started_on_a_broken_file_it_protects_and_ends_in_order(
    tmp_path: Path,
) -> None:
    """By the last good configuration: nothing is entered, stop and target stay, SIGTERM is exit 0."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        async with trader(tmp_path, *daemon_options(tmp_path, gateway.port)) as first:
            await said(first, "started")
            await until_open(gateway)
            first.kill()
            await first.wait()
        orders, options = len(gateway.exchange.book.everything), daemon_options(tmp_path, gateway.port)
        async with trader(tmp_path, *options, "--config", str(broken(tmp_path))) as second:
            why = await said(second, "protect_only")
            await said(second, "started")
            reply = await asyncio.to_thread(ask, tmp_path / "state", Request(command=CommandName.STATUS), patience_s=10)
            gateway.step()
            gateway.step()
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        assert "unknown key execution.qtyy" in str(why["why"])
        assert reply.status is not None
        assert reply.status.position is not None
        assert (reply.status.strategy, reply.status.may_enter) == ("flat", False)
        assert (len(gateway.exchange.book.everything), len(gateway.exchange.book.working())) == (orders, 2)
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_state_that_cannot_be_read_is_left_as_it_is_and_what_the_broker_says_is_open_is_protected(
    tmp_path: Path, is_open: bool
) -> None:
    """Stop and target stay, nothing is entered; with nothing open it says what is wrong, and exit 66."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        options = daemon_options(tmp_path, gateway.port)
        async with trader(tmp_path, *options) as first:
            await said(first, "started")
            if is_open:
                await until_open(gateway)
            first.kill()
            await first.wait()
        for extra in (tmp_path / "state").glob("state.db-*"):
            extra.unlink()
        kept = tmp_path / "state" / "state.db"
        kept.write_bytes(kept.read_bytes()[:4_096] + b"not as it was written" * 400)
        damaged, orders = kept.read_bytes(), len(gateway.exchange.book.everything)
        async with trader(tmp_path, *options) as second:
            if is_open:
                why = await said(second, "protect_only")
                await said(second, "started")
                gateway.step()
                gateway.step()
                second.send_signal(signal.SIGTERM)
                assert await second.wait() == 0
                assert "state.db" in str(why["why"])
            else:
                assert await second.wait() == 66
        assert kept.read_bytes() == damaged
        placed, works = gateway.exchange.book.everything[orders:], gateway.exchange.book.working()
        assert (placed, [each.kind.value for each in works]) == ([], ["LMT", "STP"] if is_open else [])
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean


@pytest.mark.parametrize("is_open", [True, False])
async def test_what_is_broken_decides_how_a_start_goes_on_with_something_open_and_ends_it_without(
    tmp_path: Path, is_open: bool
) -> None:
    """A configuration that cannot be read, a file that is no YAML, a model that is not there."""
    async with ib_run(tmp_path) as run:
        if is_open:
            await run.until(lambda: run.margin_is_known)
            await run.bar()
            await run.entered()
    state = f"state.dir={tmp_path / 'state'}"
    no_yaml = tmp_path / "no.yaml"
    no_yaml.write_text(f"execution: [\nstate:\n  # here\n  dir: {tmp_path / 'state'}\n")
    cases: list[tuple[FileOptions, ShortOptions, type[TraderError]]] = [
        (FileOptions(config=broken(tmp_path), overrides=[state]), ShortOptions(), ConfigurationError),
        (FileOptions(config=no_yaml), ShortOptions(), ConfigurationError),
        (
            FileOptions(overrides=[state, f"ib.account={ACCOUNT}"]),
            ShortOptions(strategy="ppo", bundle=str(tmp_path / "nowhere")),
            BundleError,
        ),
    ]
    for files, short, expected in cases:
        if is_open:
            plan = plan_or_protect(LiveBarOptions(), files, short, WIRING)
            assert (bool(plan.protects), plan.settings.strategy.name, plan.settings.advisor.backend) == (
                True,
                "flat",
                "off",
            )
            assert plan.folder == tmp_path / "state"
        else:
            with pytest.raises(expected) as caught:
                plan_or_protect(LiveBarOptions(), files, short, WIRING)
            assert caught.value.exit_code == 78


def test_a_whole_configuration_is_the_same_after_it_was_kept() -> None:
    """Every key."""
    settings = load_settings(
        environ={}, overrides=["risk.veto_actions={cooldown: [BUY, SELL]}", "ib.account=DU1234567"]
    )
    assert from_yaml(as_yaml(settings)) == settings


def test_a_kept_configuration_of_another_version_is_of_no_use() -> None:
    """It says so."""
    with pytest.raises(ConfigurationError, match="of no use to this version"):
        from_yaml("market: NQ\n")


def test_the_state_folder_is_found_though_other_keys_are_broken(tmp_path: Path) -> None:
    """The strongest layer that names it counts."""
    config = broken(tmp_path)
    config.write_text(f"{BROKEN}state:\n  dir: from-file\n")
    where = {"config_dir": None, "config_file": config}
    assert state_dir_named(**where, overrides=["x", "state.dir=a", "b.c=["], environ={}) == Path("a")
    assert state_dir_named(**where, overrides=[], environ={"TRADER_STATE__DIR": "b", "TRADER_X": "1"}) == Path("b")
    assert state_dir_named(**where, overrides=[], environ={}) == Path("from-file")
    assert state_dir_named(config_dir=None, config_file=None, overrides=[], environ={}) is not None
