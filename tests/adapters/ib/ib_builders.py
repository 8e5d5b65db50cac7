"""A Link to a running gateway, with the real client library; terms are scaled down to tenths of a second.

How others use it: import from here `linked`, `some_terms`, `Told`, `LIBRARY`, `relinked`, and from `gateway_builders`
`running`, `some_bars`, `bracket`.

    async with running() as gateway, linked(gateway) as link:      # `link` is up
        ...
    async with running() as gateway, linked(gateway, before=lambda link: link.on_sync(hook)) as link:
        ...

`linked(..., before=f)` calls f(link) before its task starts: the place for hooks. Terms are replaced by name, whichever
part they are of: `linked(gateway, probe_every_s=0.1, fallback_client_id=9)`. `link.ib` is the client of the moment.
IB_LIBRARY=ib_async in the environment chooses the other library, in a Python that has it.
"""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from msgspec.structs import replace

from trader.adapters.ib.dialing import DialTerms
from trader.adapters.ib.library import load_library
from trader.adapters.ib.link import Link, LinkTerms
from trader.adapters.ib.nights import NightTerms
from trader.adapters.ib.wire import WireTerms
from trader.domain.alerts import AlertKind
from trader.gateway.gateway import Gateway
from trader.gateway.session import Session
from trader.gateway.wire import Fields

WAIT_S = 10.0
ACCOUNT = "DU1234567"
LIBRARY = load_library(os.environ.get("IB_LIBRARY", "auto"))
QUIET_NS = 1_575_388_800_000_000_000  # 2019-12-03 10:00 in Chicago: far from every night


class Told:
    """Alerts, as they came."""

    def __init__(self) -> None:
        self.alerts: list[tuple[AlertKind, str]] = []

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        self.alerts.append((kind, why))

    @property
    def kinds(self) -> list[AlertKind]:
        return [kind for kind, _ in self.alerts]


def deaf_to(*messages: int) -> Callable[[Session, Fields, bytes], None]:
    """Frames of these numbers never arrive."""

    def tap(session: Session, fields: Fields, frame: bytes) -> None:
        if fields[0] not in messages:
            session.write(frame)

    return tap


def some_terms(port: int, **changes: Any) -> LinkTerms:
    """Terms for tests; `changes` are found in whichever part has a field of that name."""
    parts: dict[str, Any] = {
        "wire": WireTerms(host="127.0.0.1", port=port, connect_timeout_s=2.0, request_timeout_s=2.0),
        "dial": DialTerms(client_id=1, fallback_client_id=None, in_use_tries=3, account=ACCOUNT, is_live=False),
        "nights": NightTerms(
            windows=(),
            no_entries_before_s=900.0,
            outlast_s=300.0,
            down_alert_s=60.0,
            down_alert_open_s=60.0,
            settled_s=0.0,
        ),
    }
    for name, part in parts.items():
        own = {field: value for field, value in changes.items() if field in part.__struct_fields__}
        parts[name] = replace(part, **own)
        changes = {field: value for field, value in changes.items() if field not in own}
    terms = LinkTerms(
        **parts,
        probe_every_s=0.0,
        probe_misses=2,
        backoff_first_s=0.01,
        backoff_max_s=0.05,
        loop_pause_s=0.0,
        sync_tries=3,
        sync_timeout_s=5.0,
        lost_max_s=5.0,
        own_id_every_s=5.0,
        own_id_soon_s=5.0,
    )
    return replace(terms, **changes)


@asynccontextmanager
async def running_link(link: Link) -> AsyncIterator[Link]:
    """Its task, in a group; closed at the end. What `run` raises comes out of here."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(link.run())
            yield link
            link.close()
    except BaseExceptionGroup as several:  # a test names the error that it expects, not the group around it
        raise several.exceptions[0] from None


@asynccontextmanager
async def linked(
    gateway: Gateway | int,
    *,
    before: Callable[[Link], object] = id,
    told: Told | None = None,
    wall_ns: Callable[[], int] = lambda: QUIET_NS,
    waits: bool = True,
    **changes: Any,
) -> AsyncIterator[Link]:
    """A link, up (unless not `waits`), to a gateway or a port."""
    port = gateway if isinstance(gateway, int) else gateway.port
    link = Link(some_terms(port, **changes), LIBRARY, told or Told(), random.Random(1), wall_ns)
    before(link)
    async with running_link(link):
        if waits:
            await soon(link.wait_up())
        yield link


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Within the tests' patience."""
    async with asyncio.timeout(WAIT_S):
        return await awaitable


def reset(gateway: Gateway) -> None:
    """Cut all connections."""
    for session in gateway.server.sessions:
        session.reset()


def hook_of(seen: list[object], what: Callable[[Link], object]) -> Callable[[Link], None]:
    """Adds a sync hook that keeps what it sees."""

    def add(link: Link) -> None:
        async def hook() -> None:
            seen.append(what(link))

        link.on_sync(hook)

    return add


async def relinked(link: Link, cut: Callable[[], object]) -> str:
    """Cut the link by `cut`, and wait until it is up again; why it was lost."""
    whys: list[str] = []
    lost = asyncio.Event()
    link.on_lost(lambda why: (whys.append(why), lost.set()))
    cut()
    await soon(lost.wait())
    await soon(link.wait_up())
    return whys[0]


async def until(is_true: Callable[[], Any]) -> None:
    """Until something is the case; looked at once each turn of the loop's selector."""
    async with asyncio.timeout(WAIT_S):
        while not is_true():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0.002)
