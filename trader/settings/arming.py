"""Whose money a run is about: what is declared must agree with itself, and real money has to be armed.

Arming is a token in a private file, sha256 of account and configuration: whoever changes either has to arm again.
May import the adapters of the state folder.
"""

import hashlib
import hmac
import os
from ipaddress import ip_address
from pathlib import Path

from trader.adapters.state.private import open_private
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.domain.masking import is_paper_account, masked
from trader.errors import AccessError, ConfigurationError, InputError
from trader.settings.hashing import hash_of
from trader.settings.keys import marks_by_key
from trader.settings.schema import Settings

_NO_PART_OF_IT = "live_token"
_MAX_BYTES = 200
_REMEDY = (
    "`(umask 077; trader check --arm-live ... > FILE)`, with the options that `trader run` will have, and live_token: "
    "FILE in the configuration"
)


def identity_of(settings: Settings, broker: BrokerName, feed: str) -> AccountIdentity:
    """Whose state a run with this broker and feed (`ib`, `replay`) keeps; `state.db` of another is never opened.

    AccessError where declared mode and account disagree, ConfigurationError where the account is not named. A
    simulated account on live bars is another one than that of a replay.
    """
    if broker is BrokerName.PAPER:
        if settings.live:
            msg = "live: true says that money is at stake, and --broker paper only simulates; use one of the two"
            raise AccessError(msg)
        account = "paper" if feed == "ib" else feed
        return AccountIdentity(mode=Mode.PAPER, broker=broker, account=account, instrument=settings.market)
    account = _named(settings)
    shown = masked(account)
    if settings.live and is_paper_account(account):
        msg = f"live: true, but ib.account {shown} is a paper account; set live: false, or name the real account"
        raise AccessError(msg)
    if not settings.live and not is_paper_account(account):
        msg = (
            f"ib.account {shown} holds real money, and live is false; name the paper account (DU...), or see "
            "docs/live.md before you set live: true"
        )
        raise AccessError(msg)
    if settings.live and not (settings.ib.allow_remote or _is_this_machine(settings.ib.host)):
        msg = (
            f"live: true, and ib.host {settings.ib.host} is not this machine: the application's connection is neither "
            "encrypted nor asks who is there; use 127.0.0.1 (an ssh tunnel ends there too), or set ib.allow_remote: "
            "true where that network is yours alone"
        )
        raise ConfigurationError(msg)
    mode = Mode.LIVE if settings.live else Mode.PAPER
    return AccountIdentity(mode=mode, broker=broker, account=account, instrument=settings.market)


def arm_token(settings: Settings) -> str:
    """sha256, in hex, of the account and of every key of the configuration but the one that names the token's file.

    AccessError or ConfigurationError where this configuration could not trade real money in the first place.
    """
    if not settings.live:
        msg = "live is false: there is nothing to arm; set live: true in a file (--config FILE) first"
        raise AccessError(msg)
    account = identity_of(settings, BrokerName.IB, "ib").account
    return hashlib.sha256(f"{account}\0{_configuration(settings)}".encode()).hexdigest()


def verify_armed(settings: Settings, token_file: Path | None) -> None:
    """Return where no real money is at stake, or where `token_file` holds the token of this account and configuration.

    AccessError (exit 77) with the remedy otherwise; the file must be this user's alone, and no link.
    """
    if not settings.live:
        return
    expected = arm_token(settings)
    if token_file is None:
        msg = f"live: true without live_token: real money has to be armed: {_REMEDY}"
        raise AccessError(msg)
    if not hmac.compare_digest(_read(token_file).encode(), expected.encode()):
        msg = (
            f"{token_file}: is not the token of account {masked(_named(settings))} and this configuration: one of them "
            f"was changed since, or the options differ; see what, then arm again: {_REMEDY}"
        )
        raise AccessError(msg)


def _named(settings: Settings) -> str:
    account = settings.ib.account
    if account is None:
        msg = (
            "ib.account is not set: orders need the account named, such as ib.account: DU1234567, so that no other is "
            "traded by mistake"
        )
        raise ConfigurationError(msg)
    return account


def _is_this_machine(host: str) -> bool:
    """By its name alone: what another name stands for can change."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _configuration(settings: Settings) -> str:
    return hash_of(settings, (key for key in marks_by_key() if key != _NO_PART_OF_IT))


def _read(path: Path) -> str:
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        msg = f"{path}: there is no such token file; {_REMEDY}"
        raise AccessError(msg) from None
    except InputError as error:
        raise AccessError(str(error)) from error
    try:
        return os.read(descriptor, _MAX_BYTES).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
