"""A bearer token from a file: read once, kept out of every text."""

import os
import stat
from pathlib import Path

from trader.errors import ConfigurationError

MAX_BYTES = 8_192
_TOO_OPEN = stat.S_IRWXG | stat.S_IRWXO


class Secret:
    """A text that no repr, log line or error shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends or compares it."""
        return self._text

    def hidden_in(self, text: str) -> str:
        """`text` with every occurrence of the secret covered: a server may send back what it was sent."""
        return text.replace(self._text, "***")

    def __repr__(self) -> str:
        return "Secret(***)"


def read_credential(path: str, key: str) -> Secret:
    """The token in the file `path`, which setting or option `key` names; white space around it is no part of it.

    ConfigurationError where the file is missing, readable by others, empty, or holds more than one printable token.
    """
    try:
        descriptor = os.open(Path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        msg = f"{key}: cannot read {path} ({error.strerror}); it is a file that holds the bearer token and nothing else"
        raise ConfigurationError(msg) from None
    try:
        _check_kind_and_mode(os.fstat(descriptor).st_mode, path, key)
        content = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    token = content.strip()
    if not token or len(content) > MAX_BYTES or not all(0x21 <= byte <= 0x7E for byte in token):
        msg = f"{key}: {path} must hold one token of printable ASCII and nothing else, at most {MAX_BYTES} bytes"
        raise ConfigurationError(msg)
    return Secret(token.decode("ascii"))


def _check_kind_and_mode(mode: int, path: str, key: str) -> None:
    if not stat.S_ISREG(mode):
        msg = f"{key}: {path} is not a file"
        raise ConfigurationError(msg)
    if mode & _TOO_OPEN:
        msg = f"{key}: others can use {path} (mode {stat.S_IMODE(mode):04o}); `chmod 600 {path}`"
        raise ConfigurationError(msg)
