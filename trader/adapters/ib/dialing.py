"""One try to connect: with which client id, and whether what answers is the account that is meant."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from trader.adapters.ib.library import Library
from trader.adapters.ib.wire import InUseError, Wire, WireTerms
from trader.adapters.state.database import masked
from trader.errors import AccessError

_PAPER, _SIMULATED = "DU", "D"


class DialTerms(Struct, frozen=True, kw_only=True):
    """As whom to connect. `account` has to be among the login's, and of the kind that `is_live` says; "" where only
    bars are wanted: any login may have them.

    After `in_use_tries` refusals of `client_id` in a row as in use, `fallback_client_id` is taken, which may only
    flatten; None: never.
    """

    client_id: int
    fallback_client_id: int | None
    in_use_tries: int
    account: str
    is_live: bool


class Dialer:
    """Makes connections, one a call."""

    def __init__(self, library: Library, wire: WireTerms, terms: DialTerms) -> None:
        self._library = library
        self._wire_terms = wire
        self._terms = terms
        self._refusals = 0
        self._wire: Wire | None = None
        self.is_fallback = False

    def hang_up(self) -> None:
        """Give up the try that is being made, if any."""
        if self._wire is not None:
            self._wire.lose("closed")

    async def dial(self, on_error: Callable[[int, int, str], None], on_lost: Callable[[str], None]) -> Wire:
        """A connection that is in step. LinkError: try again later. AccessError: not with this login and mode."""
        terms, fallback = self._terms, self._terms.fallback_client_id
        self.is_fallback = fallback is not None and self._refusals >= terms.in_use_tries
        client_id = fallback if fallback is not None and self.is_fallback else terms.client_id
        self._wire = wire = Wire(self._library, self._wire_terms, terms.account, on_error, on_lost)
        try:
            await wire.open(client_id)
        except InUseError:
            # Both are in use: one after the other, since either may be free again first.
            self._refusals = terms.in_use_tries - 1 if self.is_fallback else self._refusals + 1
            raise
        finally:
            self._wire = None
        # From the fallback's connection the way leads back to the own id: one try before the next fallback.
        self._refusals = terms.in_use_tries - 1 if self.is_fallback else 0
        wrong = wrong_account(terms, wire.ib.managedAccounts())
        if wrong:
            wire.end("the account is not the one that is configured")
            raise AccessError(wrong)
        return wire


def wrong_account(terms: DialTerms, managed: Sequence[str]) -> str:
    """What is wrong with the accounts of a login, numbers masked; empty if nothing is."""
    if not terms.account:
        return ""  # nothing can be traded without one
    ours, theirs = masked(terms.account), ", ".join(masked(each) for each in managed) or "none"
    if terms.account not in managed:
        return (
            f"account {ours} is not among those of this login ({theirs}): log TWS or IB Gateway in as its user, "
            "or correct the configured account"
        )
    if terms.is_live and any(each.startswith(_SIMULATED) for each in managed):
        return f"the mode is live, and this login is a paper one ({theirs}): log in for live trading, or choose paper"
    if not terms.is_live and not terms.account.startswith(_PAPER):
        return f"the mode is paper, and account {ours} is a live one: log in for paper trading; nothing was sent"
    return ""
