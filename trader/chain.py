"""The hash chain of a decision log: what makes a changed, deleted, inserted or reordered line visible."""

from hashlib import sha256

import msgspec

GENESIS = ""


def link(previous: str, payload: bytes) -> str:
    """sha256 over the previous line's hash (hex; GENESIS before the first) and the bytes of this line's payload."""
    return sha256(previous.encode() + payload).hexdigest()


def extra(fields: dict[str, object]) -> bytes:
    """The `x` of a line: `fields` with the sha256 of their own JSON as the last one."""
    body = msgspec.json.encode(fields)
    digest = sha256(body).hexdigest()
    return msgspec.json.encode({**fields, "sha256": digest})


class Chain:
    """Seals payloads into lines. `head` is the last line's hash, `lines` how many there are."""

    def __init__(self, head: str = GENESIS) -> None:
        self.head = head
        self.lines = 0

    def seal(self, key: bytes, payload: bytes, x: bytes) -> bytes:
        """The line `{"<key>":<payload>,"x":<x>,"hash":...}` with its newline; `x` is outside the chain."""
        digest = sha256(self.head.encode() + payload)
        head = self.head = digest.hexdigest()
        self.lines += 1
        return b'{"' + key + b'":' + payload + b',"x":' + x + b',"hash":"' + head.encode() + b'"}\n'
