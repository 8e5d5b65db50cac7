"""`trader flatten` where no daemon answers: it takes the account by the file `KILL` and closes at the broker itself."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from trader.adapters.control.messages import CommandName, Reply, Request
from trader.adapters.ib.flatten_tool import Flattening, FlattenTerms
from trader.adapters.ib.library import load_library
from trader.adapters.ib.wire import WireTerms
from trader.adapters.state.kill_file import KillFile, KillNote
from trader.adapters.state.lock import Holder, last_holder
from trader.adapters.state.records import BrokerName
from trader.commands.common import settings_from
from trader.commands.control import tell
from trader.domain.instruments import instrument
from trader.errors import AccessError, UnreachableError
from trader.options import FileOptions
from trader.settings import Settings, identity_of

IDS_TRIED = 5
"""Client ids from ib.fallback_client_id on: the daemon may be connected with the first."""
ROUNDS = 5
POLL_S = 0.25
_STAYS = "the file KILL stays: until `trader resume --clear-kill` no daemon of this state folder sends anything"


def run(folder: Path, files: FileOptions, away: UnreachableError, *, as_json: bool) -> int:
    """0 flat, 1 not flat; `away` says why no daemon did it. UnreachableError (75) where the broker is away as well, or
    where nothing can be open at one; AccessError (77) where the configuration is not that of the folder's daemon."""
    holder = _at_broker(folder, away)
    settings = settings_from(files)
    identity = identity_of(settings, BrokerName.IB, "ib")
    if not holder.is_of(identity):
        msg = (
            f"{folder}: its daemon traded another account, mode or market than this configuration names; nothing was "
            "closed: give the options that it was started with (--profile, --config, --set)"
        )
        raise AccessError(msg)
    steps: list[str] = []
    out = sys.stderr if as_json else sys.stdout

    def say(step: str) -> None:
        steps.append(step)
        out.write(f"{step}\n")
        out.flush()

    say(f"{away}")
    kill = KillFile(folder)
    kill.write(KillNote(by="trader flatten", pid=os.getpid(), ts_ns=time.time_ns()))
    say(f"{folder / 'KILL'} is written: this command owns the account now, a daemon that wakes up sends nothing")
    try:
        with kill.alone():
            is_flat = asyncio.run(_close(settings, say))
    except UnreachableError as error:
        msg = (
            f"{error}; what is open at the broker is not known, stops there stay as they are. {_STAYS}. See that the "
            "application runs and is logged in, and repeat `trader flatten`, or close by hand there"
        )
        raise UnreachableError(msg) from None
    say(_STAYS)
    if as_json:
        tell(Request(command=CommandName.FLATTEN), Reply(ok=is_flat, message=steps[-2]), sys.stdout, as_json=True)
    return 0 if is_flat else 1


def _at_broker(folder: Path, away: UnreachableError) -> Holder:
    """Whose daemon's state this is, if something of it can be open at a broker."""
    holder = last_holder(folder)
    if holder is None:
        msg = (
            f"{away}; nothing was closed: no daemon ever worked with this state folder, so nothing is known to be open"
        )
        raise UnreachableError(msg)
    if holder.broker is BrokerName.PAPER:
        msg = f"{away}; nothing was closed: its account is simulated, nothing is open at any broker"
        raise UnreachableError(msg)
    return holder


async def _close(settings: Settings, say: Callable[[str], None]) -> bool:
    ib = settings.ib
    terms = FlattenTerms(
        wire=WireTerms(
            host=ib.host,
            port=ib.port,
            connect_timeout_s=ib.connect_timeout_s,
            request_timeout_s=ib.request_timeout_s,
        ),
        client_ids=tuple(range(ib.fallback_client_id, ib.fallback_client_id + IDS_TRIED)),
        account=str(ib.account),
        fill_timeout_s=ib.request_timeout_s,
        poll_s=POLL_S,
        rounds=ROUNDS,
    )
    return await Flattening(load_library(ib.library), instrument(settings.market), terms, say).run()
