"""`trader flatten`: asks the daemon to close; where none answers, or it may not send anything, does it without one.

Imports little: a command in need has to be quick.
"""

import sys
from pathlib import Path

from trader.adapters.control.client import PATIENCE_S, ask
from trader.adapters.control.messages import CommandName, Request
from trader.commands.control import refuse_windows, state_folder, tell
from trader.errors import UnreachableError
from trader.options import FileOptions


def run(files: FileOptions, state: Path | None, *, as_json: bool, patience_s: float = PATIENCE_S) -> int:
    """0 done or flat, 1 refused or not flat; UnreachableError and AccessError as in `flatten_alone`."""
    request = Request(command=CommandName.FLATTEN)
    refuse_windows(request)
    folder = state_folder(files) if state is None else state
    try:
        reply = ask(folder, request, patience_s=patience_s)
    except UnreachableError as error:
        away = error
    else:
        if not reply.is_taken:
            tell(request, reply, sys.stdout, as_json=as_json)
            return 0 if reply.ok else 1
        # A first `trader flatten` has taken the account and not come to its end: what it left is this one's to close.
        away = UnreachableError(f"the daemon may not close: {reply.message}")
    from trader.commands import flatten_alone  # noqa: PLC0415 -- slow to import, and seldom needed

    return flatten_alone.run(folder, files, away, as_json=as_json)
