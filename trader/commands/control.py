"""`trader status|pause|resume|kill|reset`: what an operator says to the daemon of a state folder.

Imports little: a command in need has to be quick.
"""

import os
import sys
from pathlib import Path
from typing import TextIO

import msgspec

from trader.adapters.control.client import PATIENCE_S, ask
from trader.adapters.control.messages import CommandName, Reply, Request, Status
from trader.adapters.state.kill_file import KillFile
from trader.domain.decisions import Rule
from trader.errors import UnreachableError, UsageError
from trader.options import FileOptions

GIVE_BACK_PATIENCE_S = 90.0
"""Book and broker are compared, twice, before the account is ours again."""
_RESET_RULES = ("consecutive_losses", "low_win_rate", "drawdown_proximity", "trailing_breach")


def run(request: Request, state: Path | None, *, as_json: bool) -> int:
    """Ask the daemon and print its reply; 0 done, 1 refused. UnreachableError (exit 75) where none answers."""
    refuse_windows(request)
    folder = state_folder(FileOptions()) if state is None else state
    try:
        reply = ask(folder, request, patience_s=GIVE_BACK_PATIENCE_S if request.clear_kill else PATIENCE_S)
    except UnreachableError as error:
        taken = KillFile(folder).why
        if taken is None:
            raise
        msg = f"{error}. {taken}"
        raise UnreachableError(msg) from None
    tell(request, reply, sys.stdout, as_json=as_json)
    return 0 if reply.ok else 1


def refuse_windows(request: Request) -> None:
    """UsageError where there are no unix sockets."""
    if sys.platform == "win32":
        msg = f"`trader {request.command.value}` needs unix sockets, which Python does not have on this system"
        raise UsageError(msg)


def state_folder(files: FileOptions) -> Path:
    """The state folder of the configuration; as for `settings_from`, this is where the environment is read."""
    from trader.settings import load_settings  # noqa: PLC0415 -- not needed where the folder is named

    settings = load_settings(
        profile=files.profile,
        config_dir=files.config_dir,
        config_file=files.config,
        overrides=files.overrides or [],
        environ=os.environ,
    )
    return Path(settings.state.dir)


def rule_named(name: str) -> Rule:
    """The rule that `trader reset` means; UsageError with those that there are."""
    if name not in _RESET_RULES:
        msg = f"{name!r} is no rule that can be reset; one of: {', '.join(_RESET_RULES)}"
        raise UsageError(msg)
    return Rule(name)


def tell(request: Request, reply: Reply, out: TextIO, *, as_json: bool) -> None:
    """The reply for programs, or for a person."""
    if as_json:
        out.write(msgspec.json.encode(reply).decode() + "\n")
    elif request.command is CommandName.STATUS and reply.status is not None:
        out.writelines(f"{line}\n" for line in status_lines(reply.status))
    else:
        out.write(f"{reply.message}\n" if reply.ok else f"refused: {reply.message}\n")


def status_lines(status: Status) -> list[str]:
    """A compact table."""
    rows = {
        "run": f"{status.run_id}, {status.mode}, {status.account}, pid {status.pid}",
        "trading": _trading(status),
        **_link(status),
        "vetoes": ", ".join(status.vetoes) or "none",
        "session": f"{status.session or 'none yet'}, {status.market}, {status.strategy}",
        "last bar": _last_bar(status),
        "position": _position(status),
        "equity": f"{status.equity_usd:,.2f} $, balance {status.balance_usd:,.2f} $, day {status.day_pnl_usd:+,.2f} $",
        **_limits(status),
        "advisor": _advisor(status),
        "log": f"{status.log}, {status.log_backlog} lines waiting{'' if status.log_is_healthy else ', BROKEN'}",
    }
    return [f"{name:<10}{text}" for name, text in rows.items()]


def _trading(status: Status) -> str:
    if status.is_exhausted:
        return f"{status.state}; the account is used up, nothing is entered"
    return f"{status.state}, {'entries allowed' if status.may_enter else 'no entries now'}"


def _link(status: Status) -> dict[str, str]:
    """Who has the account, and what connects to the broker, where anything does."""
    rows = {} if status.taken is None else {"KILL": status.taken}
    link = status.link
    if link is not None:
        age = "no price yet" if link.feed_age_s is None else f"last price {link.feed_age_s:.1f} s ago"
        rows["link"] = f"{link.state}: {link.why}; {age}{', STALE' if link.is_stale else ''}"
        if link.doubt is not None:
            rows["doubt"] = link.doubt
    return rows


def _last_bar(status: Status) -> str:
    if status.last_bar_utc is None:
        return "none yet"
    return f"{status.last_bar_utc}, {status.symbol} {status.price:,.2f}, {status.bars:,} bars"


def _position(status: Status) -> str:
    held = status.position
    if held is None:
        return "flat, an order is working" if status.has_working_order else "flat"
    levels = f"entry {_price(held.entry)}, stop {_price(held.stop)}, target {_price(held.target)}"
    extras = f"{', trailing' if held.trailing else ''}{', closing' if held.is_closing else ''}"
    return f"{held.qty:+d} {status.symbol}, {levels}, open {held.open_pnl_usd:+,.2f} ${extras}"


def _limits(status: Status) -> dict[str, str]:
    left = status.limits
    rate = "window not full" if left.win_rate is None else f"{left.win_rate:.0%}"
    return {
        "room": (
            f"{left.to_trailing_breach_usd:,.2f} $ to the trailing threshold, "
            f"{left.to_drawdown_proximity_usd:,.2f} $ to its buffer, {left.to_daily_loss_usd:,.2f} $ to the daily loss"
        ),
        "": f"{left.trades_left} trades, {left.losses_left} losses in a row; win rate {rate}, "
        f"least {left.least_win_rate:.0%}",
    }


def _advisor(status: Status) -> str:
    counts = status.advisor
    if counts.backend == "off":
        return "off"
    away = "" if counts.away_at_start is None else f"; away at the start: {counts.away_at_start}"
    return (
        f"{counts.backend}, asked {counts.asked}, used {counts.used}, late {counts.late}, failed {counts.failed}{away}"
    )


def _price(points: float | None) -> str:
    return "not known here" if points is None else f"{points:,.2f}"
