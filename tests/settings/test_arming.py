"""Declared mode, account and token agree, or nothing is traded; a whole account number is in no message."""

from pathlib import Path

import pytest
from settings_cases import shipped

from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.commands import check
from trader.errors import AccessError, ConfigurationError, TraderError
from trader.options import FileOptions
from trader.settings import Settings, arm_token, identity_of, verify_armed

REAL, PRACTICE = "U7654321", "DU1234567"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's file for real money."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"live: true\nib:\n  account: {REAL}\n")
    return path


def real(own: Path, *overrides: str) -> Settings:
    """Settings for real money."""
    return shipped(profile="live", config_file=own, overrides=overrides)


def a_token(folder: Path, text: str, mode: int = 0o600) -> Path:
    """A file that holds it."""
    path = folder / "token"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


def refused(settings: Settings, token: Path | None) -> str:
    """Why it may not trade; exit 77, and no whole account number."""
    with pytest.raises(AccessError) as caught:
        verify_armed(settings, token)
    assert caught.value.exit_code == 77
    assert REAL not in str(caught.value)
    return str(caught.value)


def test_token_arms_over_restarts_until_account_or_configuration_changes(own: Path, tmp_path: Path) -> None:
    """Any key counts but the one that names the file; the token says nothing of the account."""
    settings = real(own)
    token = a_token(tmp_path, arm_token(settings))
    verify_armed(settings, token)
    verify_armed(real(own), token)
    verify_armed(real(own, f"live_token={token}"), token)
    for change in ("ib.account=U7654322", "risk.max_trades_per_session=21", "fusion.llm_weight=0.31", "ib.port=4001"):
        assert "is not the token of account U7****2" in refused(real(own, change), token)
    assert REAL not in token.read_text()


def test_paper_needs_no_token() -> None:
    """No money is at stake."""
    verify_armed(shipped(overrides=[f"ib.account={PRACTICE}"]), None)
    verify_armed(shipped(), None)


def test_token_file_that_is_missing_open_or_a_link_is_refused_with_the_remedy(own: Path, tmp_path: Path) -> None:
    """Who else can write it could arm."""
    settings = real(own)
    assert "live: true without live_token" in refused(settings, None)
    assert "trader check --arm-live" in refused(settings, None)
    assert "there is no such token file" in refused(settings, tmp_path / "none")
    token = a_token(tmp_path, arm_token(settings), 0o640)
    assert "other users may use it (mode 640)" in refused(settings, token)
    token.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(token)
    assert "symbolic link" in refused(settings, link)
    assert "is no regular file" in refused(settings, tmp_path)
    for text in ("", "x" * 64, arm_token(settings)[:-1], f"{arm_token(settings)} more"):
        assert "is not the token" in refused(settings, a_token(tmp_path, text))


def test_identity_is_that_of_the_declared_mode_and_account(own: Path) -> None:
    """By broker; a simulated account on live bars is not that of a replay."""
    practice = shipped(overrides=[f"ib.account={PRACTICE}"])
    assert identity_of(practice, BrokerName.IB, "ib") == AccountIdentity(
        mode=Mode.PAPER, broker=BrokerName.IB, account=PRACTICE, instrument="NQ"
    )
    assert identity_of(real(own), BrokerName.IB, "ib") == AccountIdentity(
        mode=Mode.LIVE, broker=BrokerName.IB, account=REAL, instrument="NQ"
    )
    simulated = [identity_of(practice, BrokerName.PAPER, feed) for feed in ("ib", "replay")]
    assert [(each.mode, each.account) for each in simulated] == [(Mode.PAPER, "paper"), (Mode.PAPER, "replay")]


@pytest.mark.parametrize(
    ("account", "is_live", "broker", "expected"),
    [
        (PRACTICE, True, BrokerName.IB, "live: true, but ib.account DU*****67 is a paper account"),
        (REAL, False, BrokerName.IB, "ib.account U7****21 holds real money, and live is false"),
        (REAL, True, BrokerName.PAPER, "live: true says that money is at stake, and --broker paper only simulates"),
        ("null", False, BrokerName.IB, "ib.account is not set: orders need the account named"),
        ("null", True, BrokerName.IB, "ib.account is not set: orders need the account named"),
    ],
)
def test_mode_and_account_that_disagree_are_refused(
    own: Path, account: str, is_live: bool, broker: BrokerName, expected: str
) -> None:
    """Before anything is opened or asked."""
    changes = [f"ib.account={account}"]
    settings = real(own, *changes) if is_live else shipped(overrides=changes)
    with pytest.raises(ConfigurationError) as caught:
        identity_of(settings, broker, "ib")
    assert str(caught.value).startswith(expected)
    assert REAL not in str(caught.value)
    assert caught.value.exit_code == (78 if account == "null" else 77)


@pytest.mark.parametrize("host", ["10.0.0.7", "broker.example", "127.0.0.1.example"])
def test_real_money_at_another_machine_has_to_be_allowed_on_purpose(own: Path, host: str) -> None:
    """The connection is clear text, and asks nobody who they are; on paper it may be anywhere."""
    with pytest.raises(ConfigurationError, match=r"is not this machine: .* ib\.allow_remote: true") as caught:
        identity_of(real(own, f"ib.host={host}"), BrokerName.IB, "ib")
    assert caught.value.exit_code == 78
    identity_of(real(own, f"ib.host={host}", "ib.allow_remote=true"), BrokerName.IB, "ib")
    identity_of(shipped(overrides=["ib.account=DU1234567", f"ib.host={host}"]), BrokerName.IB, "ib")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_real_money_at_this_machine_is_allowed(own: Path, host: str) -> None:
    """By any of its names."""
    assert identity_of(real(own, f"ib.host={host}"), BrokerName.IB, "ib").mode is Mode.LIVE


def test_arm_live_prints_the_token_alone_and_says_what_it_arms(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output is the file's content."""
    files = FileOptions(profile="live", config=own, overrides=["strategy.name=flat"])
    check.run(files, warms=False, as_json=False, arms=True)
    said = capsys.readouterr()
    assert said.out == f"{arm_token(real(own, 'strategy.name=flat'))}\n"
    assert "account U7****21" in said.err
    verify_armed(real(own, "strategy.name=flat"), a_token(tmp_path, said.out))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [(["live=false"], "live is false: there is nothing to arm"), ([f"ib.account={PRACTICE}"], "is a paper account")],
)
def test_arm_live_refuses_what_could_not_trade_anyway(own: Path, overrides: list[str], expected: str) -> None:
    """No token for paper."""
    files = FileOptions(profile="live", config=own, overrides=["strategy.name=flat", *overrides])
    with pytest.raises(TraderError, match=expected) as caught:
        check.run(files, warms=False, as_json=False, arms=True)
    assert caught.value.exit_code == 77
