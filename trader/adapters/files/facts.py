"""What is known of a bar file before its bars are read: layout, clock, period, extent, and how each was established."""

from enum import StrEnum

from msgspec import Struct

from trader.adapters.files.layout import Layout


class Stamp(StrEnum):
    """Which end of a bar its stamp names."""

    OPEN = "open"
    CLOSE = "close"


class FileFacts(Struct, frozen=True, kw_only=True):
    """One bar file. Times are UTC nanoseconds of bar opens; `rows` could be read; `sha256` is of the file's own bytes.

    `tz_proof` and `stamp_proof` say in words how the time zone and the stamp are known: by the file or by the user.
    `form` is the way of writing dates (kernels.bar_rows). `contracts` are named by the
    file, in order of appearance; `is_mixed`: several of them at a time.
    """

    path: str
    sha256: str
    size_bytes: int
    layout: Layout
    form: int
    rows: int
    first_ns: int
    last_ns: int
    bar_minutes: int
    has_volume: bool
    tz: str
    tz_proof: str
    stamp: Stamp
    stamp_proof: str
    contracts: tuple[str, ...]
    is_mixed: bool
