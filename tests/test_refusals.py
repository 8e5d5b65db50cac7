"""What keeps a daemon from starting, as far as it is known before a broker is asked: one table, and nothing is sent."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from msgspec import Struct
from test_cli import trader

from trader.adapters.state.database import StateDb
from trader.adapters.state.lock import StateLock, locks_folder
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.adapters.state.schema import CURRENT, Schema
from trader.commands.run_plan import Wiring, alone, kept, plan_run
from trader.errors import TraderError
from trader.options import BarOptions
from trader.settings import arm_token, load_settings

PRACTICE, REAL = "DU2468013", "U7654321"
ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account=PRACTICE, instrument="NQ")
OTHER = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account="DU7777777", instrument="NQ")
WIRING = Wiring(feed="ib", broker="ib", speed="max")
PAPER = f"ib: {{account: {PRACTICE}}}"
MONEY = f"live: true\nib: {{account: {REAL}}}"


class Place(Struct, frozen=True):
    """Where a daemon is to start: `held` closes what a test has opened there."""

    folder: Path
    held: ExitStack

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"


class Case(Struct, frozen=True, kw_only=True):
    """What is wrong: the user's file, and what lies in the folder before; then the message's part and the exit code."""

    file: str = PAPER
    profile: str = "paper"
    wiring: Wiring = WIRING
    before: Callable[[Place], object] = lambda place: place
    says: str
    code: int


def state_of(identity: AccountIdentity, schema: Schema = CURRENT) -> Callable[[Place], None]:
    """A state that was kept before."""
    return lambda place: StateDb(place.state, identity, schema=schema).close()


def damaged(place: Place) -> None:
    """A state of which the disk has lost a part."""
    state_of(ME)(place)
    (place.state / "state.db").write_bytes((place.state / "state.db").read_bytes()[:5_000])


def another(folder: str, identity: AccountIdentity = ME) -> Callable[[Place], object]:
    """A daemon that runs already."""
    return lambda place: place.held.enter_context(
        StateLock(place.folder / folder, identity, locks_folder(os.environ), "run one")
    )


def token(text: str, mode: int = 0o600) -> Callable[[Place], None]:
    """A token file."""

    def write(place: Place) -> None:
        (place.folder / "token").write_text(text)
        (place.folder / "token").chmod(mode)

    return write


NEWER = Schema(CURRENT.version + 1, {**CURRENT.migrations, CURRENT.version: lambda rows: rows})
CASES = {
    "port out of range": Case(file="ib: {port: 70000}", says="ib.port = 70000: must be less than", code=78),
    "port in words": Case(file="ib: {port: paper}", says="ib.port = 'paper': must be a valid integer", code=78),
    "no account": Case(file="ib: {port: 4002}", says="ib.account is not set", code=78),
    "account misspelt": Case(file="ib: {account: DU-2468013}", says="must be an account as the application", code=78),
    "real account unasked": Case(file=f"ib: {{account: {REAL}}}", says="holds real money, and live is false", code=77),
    "paper account as live": Case(
        file=f"live: true\n{PAPER}", profile="live", says="live: true, but ib.account DU*****13 is a paper", code=77
    ),
    "limits of paper": Case(file=MONEY, says="live: true needs --profile live", code=78),
    "simulated with money": Case(
        file=MONEY,
        profile="live",
        wiring=Wiring(feed="ib", broker="paper", speed="max"),
        says="--broker paper only simulates",
        code=77,
    ),
    "no token": Case(file=MONEY, profile="live", says="live: true without live_token", code=77),
    "token missing": Case(
        file=f"live_token: token\n{MONEY}", profile="live", says="there is no such token file", code=77
    ),
    "token open to others": Case(
        file=f"live_token: token\n{MONEY}", profile="live", before=token("x", 0o644), says="chmod 600", code=77
    ),
    "token of another configuration": Case(
        file=f"live_token: token\n{MONEY}",
        profile="live",
        before=token("0" * 64),
        says="is not the token of account U7****21",
        code=77,
    ),
    "state of another account": Case(
        before=state_of(OTHER), says="is the state of DU*****77, and DU*****13 is to be traded", code=77
    ),
    "state of a newer version": Case(before=state_of(ME, NEWER), says="start the newer program", code=78),
    "state damaged": Case(before=damaged, says="move state.db and state.mark", code=66),
    "second daemon on the folder": Case(
        before=another("state", OTHER), says=f"pid {os.getpid()}, run one, trades this state folder", code=77
    ),
    "second daemon on the account": Case(
        before=another("elsewhere"), says=f"pid {os.getpid()}, run one, trades this account", code=77
    ),
    "orders on old bars": Case(wiring=Wiring(feed="replay", broker="ib", speed="max"), says="--feed ib", code=2),
}


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port at which a broker would be reached."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.mark.parametrize("name", CASES)
def test_bad_start_is_refused_with_message_and_exit_code_and_nobody_is_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account's number is whole in no message; the broker hears nothing."""
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NQ_TRADER_LOCKS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(case.file)
    with listening() as broker, ExitStack() as held:
        case.before(Place(tmp_path, held))
        with pytest.raises(TraderError) as caught:
            start(case, f"ib.port={broker.getsockname()[1]}" if "port" not in case.file else "ib.client_id=3")
        with pytest.raises(BlockingIOError):
            broker.accept()

    assert case.says in str(caught.value)
    assert caught.value.exit_code == case.code
    assert not any(account in str(caught.value) for account in (PRACTICE, REAL, OTHER.account, "2468013"))


def start(case: Case, *overrides: str) -> None:
    """A daemon's way up to the broker."""
    settings = load_settings(
        profile=case.profile,
        config_file=Path("mine.yaml"),
        overrides=["strategy.name=flat", *overrides],
        environ={},
    )
    plan = plan_run(settings, BarOptions(bars=""), case.wiring)
    with alone(plan), kept(plan):
        pass


def test_right_start_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On paper, and on an armed account with real money; each has a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NQ_TRADER_LOCKS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(PAPER)
    start(Case(says="", code=0))
    (tmp_path / "mine.yaml").write_text(f"live_token: token\nstate: {{dir: money}}\n{MONEY}")
    options = {"profile": "live", "config_file": Path("mine.yaml"), "environ": {}}
    token(arm_token(load_settings(**options, overrides=["strategy.name=flat"])))(Place(tmp_path, ExitStack()))
    start(Case(profile="live", says="", code=0))
    assert (tmp_path / "money" / "state.db").exists()


def test_command_ends_with_the_code_and_the_masked_message(tmp_path: Path) -> None:
    """On standard error, in one line, before a log is begun."""
    done = trader("run", "--feed", "ib", "--broker", "ib", "--set", f"ib.account={REAL}", cwd=tmp_path)
    assert done.returncode == 77
    assert done.stderr.startswith("error: ib.account U7****21 holds real money, and live is false")
    assert REAL not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
