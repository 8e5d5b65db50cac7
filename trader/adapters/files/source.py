"""The bytes of a bar file: refused by name where they cannot be bars, unpacked, hashed, cut into whole lines."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.errors import InputError

HEAD_BYTES = 1 << 16
BLOCK_BYTES = 1 << 20
LONGEST_LINE_BYTES = 1 << 15

UTF8_MARK = b"\xef\xbb\xbf"
"""The byte order mark with which some programs begin a text."""

_GZIP = b"\x1f\x8b"
_FOREIGN = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (b"PK\x03\x04", "is a zip archive; unpack it and give the CSV inside"),
    (b"PAR1", "is a Parquet file; export it as CSV"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd; unpack it, or pack it with gzip"),
    (b"BZh", "is packed with bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "is packed with xz; unpack it, or pack it with gzip"),
    (b"\xff\xfe", "is UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text; save it as UTF-8"),
)
_TOO_LONG = f"has no line end within {LONGEST_LINE_BYTES} bytes from line {{}} on; give a CSV file"
_NOT_IN_TEXT = bytes(set(range(32)) - set(b"\t\n\r\f"))
_MARKUP = (b"<!", b"<?xml", b"<html", b"<head", b"<body", b"<script")


class Block(Struct, frozen=True, kw_only=True):
    """Whole lines, each ended by a newline, and the number of the first; `is_cut`: the file lacks the last newline."""

    buf: NDArray[np.uint8]
    first_line: int
    is_cut: bool


class _Hashed:
    """A file that hashes what is read from it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        part = self._file.read(size)
        self.digest.update(part)
        return part

    def seek(self, _position: int, /) -> int:
        msg = "a file that is hashed is read once, forwards"
        raise io.UnsupportedOperation(msg)

    def close(self) -> None:
        self._file.close()


class _Readable(Protocol):
    """What text is read from, packed or not."""

    def read(self, size: int, /) -> bytes: ...


class BarText:
    """A text file of bars. Making one reads its head and refuses what cannot be bars, InputError by name.

    `head` is the beginning of the unpacked text. `sha256` is of the file's own bytes, known after `blocks` has come to
    its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sha256 = ""
        try:
            self.size_bytes = path.stat().st_size
            with path.open("rb") as start:
                self.is_gzip = start.read(2) == _GZIP
            with closing(_Hashed(path)) as file:
                self.head = self._unpacked(file).read(HEAD_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise self._refused(_why(error, path)) from error
        self._require_text()

    def blocks(self) -> Iterator[Block]:
        """The file's lines from the first, in blocks of about a megabyte."""
        try:
            with closing(_Hashed(self.path)) as file:
                yield from self._cut(self._unpacked(file))
                self.sha256 = file.digest.hexdigest()
        except (OSError, EOFError, zlib.error) as error:
            raise self._refused(_why(error, self.path)) from error

    def _unpacked(self, file: _Hashed) -> _Readable:
        return gzip.GzipFile(fileobj=file, mode="rb") if self.is_gzip else file

    def _cut(self, text: _Readable) -> Iterator[Block]:
        rest, first_line = b"", 1
        while part := text.read(BLOCK_BYTES):
            end = part.rfind(b"\n") + 1
            if end:
                block = np.frombuffer(rest + part[:end], dtype=np.uint8)
                yield Block(buf=block, first_line=first_line, is_cut=False)
                first_line += int(np.count_nonzero(block == ord("\n")))
                rest = part[end:]
            else:
                rest += part
            if len(rest) > LONGEST_LINE_BYTES:
                raise self._refused(_TOO_LONG.format(first_line))
        if rest:
            yield Block(buf=np.frombuffer(rest + b"\n", dtype=np.uint8), first_line=first_line, is_cut=True)

    def _require_text(self) -> None:
        what = _what_else(self.head)
        if what:
            raise self._refused(what)

    def _refused(self, what: str) -> InputError:
        return InputError(f"{self.path} {what}")


def _what_else(head: bytes) -> str:
    """What a file with this beginning is, if it cannot be lines of text; empty if it can."""
    shown = head.removeprefix(UTF8_MARK).lstrip().lower()
    signs = (
        (not shown, "is empty; give a file with bars"),
        *((head.startswith(magic), what) for magic, what in _FOREIGN),
        (shown.startswith(_MARKUP), "is a web page (HTML or XML), not bars; download the file itself"),
        (len(head.translate(None, _NOT_IN_TEXT)) < len(head), "is binary, not text; give a CSV file"),
        (b"\n" not in head and b"\r" in head, "ends its lines by CR alone; save it with LF or CRLF"),
        (len(head) - head.rfind(b"\n") > LONGEST_LINE_BYTES, _TOO_LONG.format(head.count(b"\n") + 1)),
    )
    return next((what for is_so, what in signs if is_so), "")


def _why(error: Exception, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist; check the path"
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return "is a folder; give one file with bars"
    if isinstance(error, PermissionError):
        return "may not be read; check its permissions"
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return f"is a damaged gzip file ({error}); fetch or pack it again"
    return f"cannot be read: {error}"
