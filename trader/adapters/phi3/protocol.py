"""What the daemon and the process that holds the model say to each other. Imports no torch.

A frame is four bytes of length (little-endian) and one message in msgpack; nothing is ever unpickled. Both sides bound
what they take. Anything else is a ProtocolError, after which the connection is of no more use: frames have no marks by
which a reader could find the next one.

    daemon                         worker
    Start                     ->
                              <-   Ready | StartFailed
    Ask(1)                    ->
                              <-   Scored(1) | Written(1) | Failed(1)
                              <-   Reason(1), perhaps, unless another Ask comes first
    Ask(2), Cancel(2)         ->
                              <-   Failed(2, cancelled), or the answer that was on its way
"""

import struct
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from trader.adapters.phi3.options import ModelOptions
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores

FRAME_BYTES = 256 * 1024
"""The longest message that is sent or taken; the longest honest one, a prompt of 1,500 tokens, has some 10 KiB."""
TEXT_CHARS = 4_000
"""The longest reason or error that a message carries."""
REPLY_CHARS = 32_000
"""The longest reply: 4,096 tokens of thought and a line; four bytes a character at most."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
T = TypeVar("T")


class ProtocolError(Exception):
    """Bytes that are no message; never leaves this package."""


class Start(Struct, frozen=True, kw_only=True, tag=True):
    """Load this model and warm it up with `probes`. `memory_limit_bytes` bounds what it may allocate; None does not."""

    options: ModelOptions
    probes: tuple[Prompt, ...]
    memory_limit_bytes: int | None


class Ask(Struct, frozen=True, kw_only=True, tag=True):
    """One question. Bit i of `mask` is set where Action(i) is valid."""

    id: int
    prompt: Prompt
    mask: int


class Cancel(Struct, frozen=True, kw_only=True, tag=True):
    """Nobody waits for the answer to this question any more."""

    id: int


ToWorker = Start | Ask | Cancel


class Ready(Struct, frozen=True, kw_only=True, tag=True):
    """The model is loaded; `identity` is its own."""

    identity: str


class StartFailed(Struct, frozen=True, kw_only=True, tag=True):
    """The model cannot be loaded; the message is for people, and says what to do."""

    message: str


class Scored(Struct, frozen=True, kw_only=True, tag=True):
    """The valid labels' probabilities."""

    id: int
    scores: Scores


class Written(Struct, frozen=True, kw_only=True, tag=True):
    """The model's reply as text."""

    id: int
    text: str


class FailureKind(StrEnum):
    """Why there is no answer, and so what becomes of the worker."""

    ERROR = "error"
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE = "device"


NEEDS_RESTART = frozenset({FailureKind.OUT_OF_MEMORY, FailureKind.DEVICE})
"""After these a process cannot be trusted: allocators stay fragmented, a CUDA context that failed stays failed."""


class Failed(Struct, frozen=True, kw_only=True, tag=True):
    """There is no answer."""

    id: int
    kind: FailureKind
    message: str


class Reason(Struct, frozen=True, kw_only=True, tag=True):
    """What the model says for `action`, the one that it found likeliest, after its answer was sent."""

    id: int
    action: int
    text: str


Reply = Scored | Written | Failed
FromWorker = Ready | StartFailed | Scored | Written | Failed | Reason


def frame(message: ToWorker | FromWorker) -> bytes:
    """The message as it is sent; ProtocolError where it is longer than FRAME_BYTES."""
    body = _encoder.encode(message)
    if len(body) > FRAME_BYTES:
        msg = f"{type(message).__name__} has {len(body)} bytes, at most {FRAME_BYTES} can be sent"
        raise ProtocolError(msg)
    return _LENGTH.pack(len(body)) + body


class Frames(Generic[T]):
    """Makes messages of bytes as they come."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[T]") -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def take(self, chunk: bytes) -> list[T]:
        """The messages that `chunk` completes, in order; ProtocolError where there is anything else."""
        self._buffer += chunk
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer)
            if size > FRAME_BYTES:
                msg = f"a frame says that it has {size} bytes, at most {FRAME_BYTES} are taken"
                raise ProtocolError(msg)
            end = _LENGTH.size + size
            if len(self._buffer) < end:
                break
            messages.append(self._decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages

    def _decode(self, body: bytes) -> T:
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, ValueError) as error:  # ValueError: text that is not UTF-8
            msg = f"a frame of {len(body)} bytes is no message: {error}"
            raise ProtocolError(msg) from error


def frames_to_worker() -> Frames[ToWorker]:
    """For the worker's end."""
    return Frames(msgspec.msgpack.Decoder(ToWorker))


def frames_from_worker() -> Frames[FromWorker]:
    """For the daemon's end."""
    return Frames(msgspec.msgpack.Decoder(FromWorker))
