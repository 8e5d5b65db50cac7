"""What the broker's errors about market data mean. Some numbers mean several things: their text is read."""

from enum import StrEnum

_NO_DATA = ("returned no data", "no data for")
_OURS = ("query cancelled", "query canceled")
_ELSEWHERE = ("different ip", "competing")
_NO_RIGHT = ("permission", "not subscribed", "subscri")


class Trouble(StrEnum):
    """What to do about an error."""

    NONE = "none"
    """It concerns no bars, or is the echo of what we did."""
    NO_DATA = "no_data"
    """There is nothing to tell for the time that was asked about."""
    TRY_AGAIN = "try_again"
    """The request failed, and the same one may work a little later."""
    LOST_STREAM = "lost_stream"
    """The subscription has ended: subscribe again."""
    NO_RIGHT = "no_right"
    """The account has no right to live data: nothing may be traded on it."""
    COMPETING = "competing"
    """Another session of the same user gets the data."""


_FIXED = {
    354: Trouble.NO_RIGHT,
    366: Trouble.LOST_STREAM,
    10089: Trouble.NO_RIGHT,
    10090: Trouble.NO_RIGHT,
    10167: Trouble.NO_RIGHT,
    10168: Trouble.NO_RIGHT,
    10182: Trouble.LOST_STREAM,
    10186: Trouble.NO_RIGHT,
    10197: Trouble.COMPETING,
    10225: Trouble.LOST_STREAM,
}
_HISTORY, _REAL_TIME = 162, 420


def trouble_of(code: int, text: str) -> Trouble:
    """What an error of a request for data means."""
    if code not in {_HISTORY, _REAL_TIME}:
        return _FIXED.get(code, Trouble.NONE)
    said = text.lower()
    for parts, meaning in (
        (_OURS, Trouble.NONE),
        (_NO_DATA, Trouble.NO_DATA),
        (_ELSEWHERE, Trouble.COMPETING),
        (_NO_RIGHT, Trouble.NO_RIGHT),
    ):
        if any(part in said for part in parts):
            return meaning
    return Trouble.TRY_AGAIN if code == _HISTORY else Trouble.LOST_STREAM
