"""The layout of `state.db`, its version, and how an older one becomes the present one.

One table of sealed rows, and one row that says what all of them come to. A migration changes rows, never the layout.

What the checksums protect, proved at every opening before anything is believed: each row has the sha256 of its place,
kind, name and body, and the sum of these stands in a sealed row with their number. So a row that was changed, lost,
doubled, renamed or put back as it once was is found; `state.mark` finds a write-ahead log that has lost its end. They
show damage; they do not stop somebody who writes all of it anew. An older copy of ALL files is whole in itself: to find
that is for the reconciliation with the broker.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256

from msgspec import Struct

APPLICATION_ID = 0x4E515354
"""Written into the file's header: `NQST`."""

VERSION = 1

CREATE = (
    "CREATE TABLE kept (nth INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,"
    " seal BLOB NOT NULL, UNIQUE (kind, name))",
    "CREATE TABLE content (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL, seal BLOB NOT NULL)",
)

TOTAL_MODULUS = 1 << 256


class Row(Struct, frozen=True, gc=False):
    """One kept record: `nth` counts records ever begun, from 1; `body` is its JSON."""

    nth: int
    kind: str
    name: str
    body: bytes

    def seal(self) -> bytes:
        """sha256 over everything in the row, each part with its length."""
        digest = sha256()
        for part in (str(self.nth).encode(), self.kind.encode(), self.name.encode(), self.body):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()


class Content(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rows come to: `total` is the sum of their seals modulo 2^256, in hex; `generation` counts commits.

    A row's seal shows that the row was changed; the total, that one is missing, doubled or an older one of itself.
    """

    version: int
    generation: int
    next_nth: int
    rows: int
    total: str


EMPTY = Content(version=VERSION, generation=0, next_nth=1, rows=0, total="0")


def added(total: str, seal: bytes, sign: int = 1) -> str:
    """The total with one more seal in it, or with one less."""
    return f"{(int(total, 16) + sign * int.from_bytes(seal, 'big')) % TOTAL_MODULUS:x}"


Migration = Callable[[tuple[Row, ...]], tuple[Row, ...]]
"""From all rows of a version to all rows of the next; pure. `nth`, `kind` and `name` may change too."""

MIGRATIONS: Mapping[int, Migration] = {}
"""By the version that a step begins with. Version 1 is the first."""


class Schema(Struct, frozen=True):
    """A version and the steps that lead to it; tests make others than CURRENT."""

    version: int
    migrations: Mapping[int, Migration]


CURRENT = Schema(VERSION, MIGRATIONS)
