"""Frames of the TWS protocol: a 4-byte big-endian length, then text fields, each ended by NUL. No I/O."""

import struct
from collections.abc import Iterable, Iterator

LENGTH_BYTES = 4
FRAME_MAX_BYTES = 1 << 20
"""No request of a client comes near; whoever sends a longer frame is not speaking this protocol."""
HELLO = b"API\0"
SERVER_VERSION = 176

UNSET = 1e300
"""Clients write a number that is not set as the largest one there is; no real one is near."""

Field = str | int | float | bool | None
Fields = list[Field]


class WireError(Exception):
    """What came in is not the protocol; the connection has to end."""


def text_of(field: Field) -> str:
    """A field as the protocol writes it: flags are 1 and 0, what is not set is empty."""
    match field:
        case None:
            return ""
        case bool():
            return "1" if field else "0"
        case float():
            return str(int(field)) if field.is_integer() and abs(field) < 1e15 else repr(field)
        case _:
            return str(field)


def encode(fields: Iterable[Field]) -> bytes:
    """A frame with these fields, its length first."""
    body = "".join(f"{text_of(field)}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def decode(body: bytes) -> list[str]:
    """The fields of a frame's body; WireError where the last one does not end, or the text is none."""
    if not body.endswith(b"\0"):
        msg = "a frame whose last field does not end"
        raise WireError(msg)
    try:
        return body[:-1].decode().split("\0")
    except UnicodeDecodeError:
        msg = "a frame that is no text"
        raise WireError(msg) from None


class Frames:
    """Puts frames together from what a socket gives, piece by piece. `is_greeted` once the client has said hello."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self.is_greeted = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that are whole now; WireError where the stream is not the protocol's."""
        self._waiting += data
        if not self.is_greeted:
            if len(self._waiting) < len(HELLO):
                return
            if not self._waiting.startswith(HELLO):
                msg = "the connection does not begin with API"
                raise WireError(msg)
            del self._waiting[: len(HELLO)]
            self.is_greeted = True
        while (body := self._next()) is not None:
            yield body

    def _next(self) -> bytes | None:
        if len(self._waiting) < LENGTH_BYTES:
            return None
        (length,) = struct.unpack_from(">I", self._waiting)
        if length > FRAME_MAX_BYTES:
            msg = f"a frame of {length} bytes; {FRAME_MAX_BYTES} is the most"
            raise WireError(msg)
        end = LENGTH_BYTES + length
        if len(self._waiting) < end:
            return None
        body = bytes(self._waiting[LENGTH_BYTES:end])
        del self._waiting[:end]
        return body


def agreed_version(hello: bytes) -> int:
    """The version to speak, from the client's `v157..176` (options may follow); WireError where there is none."""
    try:
        lowest, _, highest = hello.decode().split(" ")[0].removeprefix("v").partition("..")
        known = int(lowest), int(highest or lowest)
    except (UnicodeDecodeError, ValueError):
        msg = "the client names no versions"
        raise WireError(msg) from None
    if not known[0] <= SERVER_VERSION <= known[1]:
        msg = f"the client speaks versions {known[0]} to {known[1]}, this gateway {SERVER_VERSION}"
        raise WireError(msg)
    return SERVER_VERSION


class Cursor:
    """Reads the fields of one request in their order; empty fields are what is not set."""

    def __init__(self, fields: list[str], at: int = 0) -> None:
        self._fields = fields
        self._at = at

    def text(self) -> str:
        """The next field; WireError where there is none."""
        if self._at >= len(self._fields):
            msg = f"a request of {len(self._fields)} fields is too short"
            raise WireError(msg)
        self._at += 1
        return self._fields[self._at - 1]

    def whole(self) -> int:
        """The next field as an integer, 0 where it is not set."""
        text = self.text()
        try:
            return int(float(text)) if text else 0
        except (ValueError, OverflowError):
            raise _no_number(text) from None

    def number(self) -> float | None:
        """The next field as a finite number, None where it is not set."""
        text = self.text()
        try:
            value = float(text) if text else None
        except ValueError:
            raise _no_number(text) from None
        return None if value is None or not abs(value) < UNSET else value

    def flag(self) -> bool:
        """The next field as a flag; the clients write it as a number or as a word."""
        return self.text() in {"1", "True", "true"}

    def skip(self, count: int) -> None:
        """Leave fields out."""
        for _ in range(count):
            self.text()


def _no_number(text: str) -> WireError:
    return WireError(f"{text[:40]!r} is no number")
