"""How fast the broker may be asked for history. Pure: time is an argument."""

from collections import deque

from msgspec import Struct


class PaceTerms(Struct, frozen=True, kw_only=True):
    """At most `requests` in any `window_s`, and never two within `apart_s`; the broker refuses more (error 162)."""

    requests: int
    window_s: float
    apart_s: float


class RequestPace:
    """Says how long to wait before each request."""

    def __init__(self, terms: PaceTerms) -> None:
        self._terms = terms
        self._sent: deque[float] = deque(maxlen=terms.requests)

    def wait_s(self, now_s: float) -> float:
        """Seconds to wait now for the next request, which is taken as sent then."""
        terms = self._terms
        at_s = now_s
        if self._sent:
            at_s = max(at_s, self._sent[-1] + terms.apart_s)
        if len(self._sent) == terms.requests:
            at_s = max(at_s, self._sent[0] + terms.window_s)
        self._sent.append(at_s)
        return at_s - now_s
