"""The client library's log as lines of ours: what is worth a line, and never a whole account number."""

import logging
import re

import structlog

from trader.adapters.state.database import masked

log = structlog.get_logger("trader.link")
_ACCOUNT = re.compile(r"\bD?[UFI]\d{5,9}\b")
_EVENTS = "eventkit"
"""What both libraries build upon; it logs what a listener raised."""
_TOLD = ("API connection failed", "Make sure API port")
"""What the link says itself, once, and the library at each try."""


def without_accounts(text: str, *accounts: str) -> str:
    """The text with `accounts`, and whatever else looks like an account number, masked."""
    for account in accounts:
        text = text.replace(account, masked(account)) if account else text
    return _ACCOUNT.sub(lambda found: masked(found[0]), text)


class _Forward(logging.Handler):
    """Passes warnings and errors on. What the library calls information is every order and position in full."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.accounts: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """logging's."""
        if record.getMessage().startswith(_TOLD):
            return
        text = without_accounts(self.format(record), *self.accounts)
        log.warning("client_library", source=record.name, said=text)


_forward = _Forward()


def route_library_logs(library: str, account: str) -> None:
    """Send the library's log through ours, from now on, for the whole process."""
    _forward.accounts.add(account)
    for name in (library, _EVENTS):
        logger = logging.getLogger(name)
        logger.propagate = False
        if _forward not in logger.handlers:
            logger.addHandler(_forward)
