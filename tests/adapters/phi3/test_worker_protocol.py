"""Frames: what is sent arrives, however it is cut; everything else is refused, and within bounds."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.adapters.phi3 import protocol
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import (
    FRAME_BYTES,
    Ask,
    Cancel,
    Failed,
    FailureKind,
    FromWorker,
    ProtocolError,
    Ready,
    Reason,
    Scored,
    Start,
    StartFailed,
    ToWorker,
    Written,
    frame,
    frames_from_worker,
    frames_to_worker,
)
from trader.advisor.prompt import Message, Prompt
from trader.advisor.question import Scores

PROMPT = Prompt(messages=(Message("system", "a trader"), Message("user", "NQ: 12000 ▲")), sha256="ab")
TO_WORKER: list[ToWorker] = [
    Start(options=ModelOptions(name="x"), probes=(PROMPT,), memory_limit_bytes=1 << 33),
    Ask(id=1, prompt=PROMPT, mask=0b111),
    Cancel(id=1),
]
FROM_WORKER: list[FromWorker] = [
    Ready(identity="tiny"),
    StartFailed(message="no such model"),
    Scored(id=1, scores=Scores((-0.1, -2.0, None, None, None, None), 0.75)),
    Written(id=2, text="BUY | 0.75 | calm"),
    *(Failed(id=3, kind=kind, message="why") for kind in FailureKind),
    Reason(id=1, action=0, text="calm"),
]


def test_every_message_has_an_example() -> None:
    """A new message gets its place here."""
    assert {type(message) for message in TO_WORKER} == set(protocol.ToWorker.__args__)
    assert {type(message) for message in FROM_WORKER} == set(protocol.FromWorker.__args__)


@given(st.lists(st.integers(1, 50), max_size=60))
def test_messages_arrive_however_the_bytes_are_cut(sizes: list[int]) -> None:
    """A socket keeps the order, and nothing else."""
    stream = b"".join(map(frame, FROM_WORKER))
    frames, taken = frames_from_worker(), list[FromWorker]()
    for size in [*sizes, len(stream)]:
        taken += frames.take(stream[:size])
        stream = stream[size:]
    assert taken == FROM_WORKER


def test_messages_to_the_worker_arrive() -> None:
    """The other direction."""
    assert frames_to_worker().take(b"".join(map(frame, TO_WORKER))) == TO_WORKER


@given(st.lists(st.binary(max_size=300), max_size=8), st.booleans())
def test_other_bytes_are_waited_for_or_refused(chunks: list[bytes], has_length: bool) -> None:
    """No other exception, and no message that nobody sent."""
    frames = frames_from_worker()
    sent = set(map(frame, FROM_WORKER))
    try:
        for chunk in chunks:
            for message in frames.take(struct.pack("<I", len(chunk)) + chunk if has_length else chunk):
                assert msgspec.msgpack.encode(message) in chunk or frame(message) in sent
    except ProtocolError:
        pass


@given(st.integers(0, len(FROM_WORKER) - 1), st.integers(0, 1 << 16), st.integers(0, 255))
def test_damaged_message_is_refused_or_another_message(which: int, where: int, byte: int) -> None:
    """One byte changed anywhere: a message of the protocol, more bytes to wait for, or a ProtocolError."""
    damaged = bytearray(frame(FROM_WORKER[which]))
    damaged[where % len(damaged)] = byte
    try:
        taken = frames_from_worker().take(bytes(damaged))
    except ProtocolError:
        return
    assert all(isinstance(message, protocol.FromWorker) for message in taken)


@pytest.mark.parametrize(
    "body", [b"", b"\xc0", b"\x80", b"\x80\x04.", msgspec.msgpack.encode({"type": "Quit"}), b"\xff" * 40]
)
def test_frame_that_is_no_message_is_refused(body: bytes) -> None:
    """Empty, nothing, a map without a type, a pickle, an unknown type, noise."""
    with pytest.raises(ProtocolError, match="is no message"):
        frames_from_worker().take(struct.pack("<I", len(body)) + body)


def test_length_beyond_the_bound_is_refused_before_its_bytes_come() -> None:
    """Four bytes are enough to know; memory is not."""
    with pytest.raises(ProtocolError, match="at most 262144 are taken"):
        frames_from_worker().take(struct.pack("<I", FRAME_BYTES + 1))
    assert frames_from_worker().take(struct.pack("<I", FRAME_BYTES)) == []


def test_message_beyond_the_bound_is_not_sent() -> None:
    """The other side would end the connection."""
    with pytest.raises(ProtocolError, match="bytes, at most 262144 can be sent"):
        frame(Written(id=1, text="x" * FRAME_BYTES))


def test_longest_reply_fits_into_a_frame() -> None:
    """In any script."""
    assert len(frame(Written(id=1, text="\U0001f4c8" * protocol.REPLY_CHARS))) < FRAME_BYTES
