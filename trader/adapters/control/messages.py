"""What the operator and the daemon say to each other: one request a line, one reply a line.

Money is in dollars, prices in points; null where there is nothing to state.
"""

from enum import StrEnum

import msgspec
from msgspec import Struct

from trader.domain.decisions import Rule
from trader.errors import InputError

PROTOCOL = 1
LONGEST_REQUEST = 4_096
"""Bytes of a request, its newline included."""
LONGEST_REPLY = 65_536


class CommandName(StrEnum):
    """What can be asked for. All but `status` change what the run does, and stand in its log."""

    STATUS = "status"
    PAUSE = "pause"
    RESUME = "resume"
    FLATTEN = "flatten"
    KILL = "kill"
    RESET = "reset"


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One command. `rule` belongs to `reset`, `clear_kill` to `resume`."""

    command: CommandName
    v: int = PROTOCOL
    rule: Rule | None = None
    clear_kill: bool = False


class PositionStatus(Struct, frozen=True, kw_only=True):
    """What is held; `qty` is signed, `is_closing` says that an order that ends it is on its way."""

    qty: int
    entry: float | None
    stop: float | None
    target: float | None
    trailing: bool
    open_pnl_usd: float
    is_closing: bool


class LimitStatus(Struct, frozen=True, kw_only=True):
    """What is left until each limit fires, in dollars, trades and losses; zero or less where it has been reached.

    `win_rate` is null until the window of the rule is full.
    """

    to_trailing_breach_usd: float
    to_drawdown_proximity_usd: float
    to_daily_loss_usd: float
    trades_left: int
    losses_left: int
    win_rate: float | None
    least_win_rate: float


class AdvisorStatus(Struct, frozen=True, kw_only=True):
    """What became of the questions so far; `away_at_start`: why it could not be made ready then; it may be back."""

    backend: str
    asked: int
    used: int
    late: int
    failed: int
    away_at_start: str | None


class LinkStatus(Struct, frozen=True, kw_only=True):
    """The connection to the broker: its state, and why it stands so. `feed_age_s`: seconds since the last price, null
    before the first; `doubt`: why what the broker has is not certain, null where it is.
    """

    state: str
    is_up: bool
    why: str
    feed_age_s: float | None
    is_stale: bool
    doubt: str | None


class Status(Struct, frozen=True, kw_only=True):
    """How a run stands. `account` is a label, never an account's whole number; `state` what its log says of trading.

    `link` is null where nothing is connected; `taken`: why another process owns the account, null where none does.
    """

    pid: int
    run_id: str
    mode: str
    account: str
    market: str
    strategy: str
    state: str
    may_enter: bool
    is_exhausted: bool
    vetoes: tuple[str, ...]
    session: str | None
    bars: int
    last_bar_utc: str | None
    symbol: str | None
    price: float | None
    position: PositionStatus | None
    has_working_order: bool
    balance_usd: float
    equity_usd: float
    day_pnl_usd: float
    limits: LimitStatus
    advisor: AdvisorStatus
    log: str
    log_backlog: int
    log_is_healthy: bool
    link: LinkStatus | None = None
    taken: str | None = None


class Reply(Struct, frozen=True, kw_only=True):
    """What became of a request; `message` says it to a person, `status` is how the run stands after it.

    `is_taken`: it was refused because another process owns the account, so that the daemon sends nothing.
    """

    ok: bool
    message: str
    status: Status | None = None
    is_taken: bool = False
    v: int = PROTOCOL


def request_of(line: bytes) -> Request:
    """The request on a line; InputError says what is wrong with it."""
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"not a request: {error}"
        raise InputError(msg) from None
    if request.v != PROTOCOL:
        msg = f"not a request: `v` is {request.v}, this daemon speaks {PROTOCOL}"
        raise InputError(msg)
    if (request.rule is not None) != (request.command is CommandName.RESET):
        msg = "not a request: `rule` belongs to `reset`, and `reset` needs one"
        raise InputError(msg)
    if request.clear_kill and request.command is not CommandName.RESUME:
        msg = "not a request: `clear_kill` belongs to `resume`"
        raise InputError(msg)
    return request


def line_of(message: Request | Reply) -> bytes:
    """A message as its line, the newline included."""
    return msgspec.json.encode(message) + b"\n"
