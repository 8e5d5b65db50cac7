"""Recordings: a model's answers by prompt, so that a backtest can be repeated without the model. JSON lines.

The first line says whose answers these are. Every other line holds one: the prompt's hash and the valid actions, which
together are its key, and either the labels' log-probabilities or the text of the reply. A recording only grows; what
another model, precision, mode or prompt would answer belongs in another file.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from trader.adapters.lock import open_alone
from trader.advisor.question import Scores
from trader.advisor.replies import fault_in
from trader.errors import InputError

VERSION = 1
TAKEN = "another command is adding to this recording; wait for it, or choose another file with --out"
BEGINNING = b'{"recording":'
_UNDECODABLE = (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError)


class Head(Struct, frozen=True, kw_only=True):
    """Whose answers a recording holds; the file's first line.

    `identity` is the back end's as its settings have it, `answered_by` what it turned out to be: weights, precision,
    device, a server's model. `prompt` is the identity of whoever renders the prompts. `batched` says that the scores
    were computed many at a time: they differ in the last bits from those of one, so that no live answer may be made of
    them. `knowledge_until` (YYYY-MM-DD) is when the model's training data ends, None where nobody knows.
    """

    recording: int = VERSION
    backend: str
    identity: str
    answered_by: str
    model: str
    revision: str | None
    quantization: str
    mode: Literal["score", "generate"]
    prompt: str
    anonymised: bool
    batched: bool
    knowledge_until: str | None


class Key(NamedTuple):
    """What was asked: the prompt's sha256 (hex), and bit i where Action(i) was valid."""

    prompt_sha256: str
    mask: int


Recorded = Scores | str
"""What was answered: scores, or the line of a reply that counts."""


class _Line(Struct, omit_defaults=True, forbid_unknown_fields=True):
    prompt: str
    mask: int
    log_probs: tuple[float | None, ...] | None = None
    legal_mass: float | None = None
    text: str | None = None


class Recording(Struct, frozen=True):
    """A recording as it was read; `notes` tell what was left out of it."""

    head: Head
    answers: Mapping[Key, Recorded]
    notes: tuple[str, ...] = ()


class RecordingFile:
    """A recording that grows: what is there, and what is added. Close it, or use it as a context manager.

    One process at a time may add to a file (on Windows nobody checks).
    """

    def __init__(self, path: Path, head: Head) -> None:
        """Begin the file, or go on with it. InputError where it is another's, damaged or in use, or not writable."""
        self.path = path
        self.head = head
        self._file = _opened(path)
        try:
            self._answers: dict[Key, Recorded] = {}
            self.notes: tuple[str, ...] = ()
            self._begin()
        except BaseException:  # whatever ends this, the file must not stay locked
            self._file.close()
            raise

    def __enter__(self) -> "RecordingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def answers(self) -> Mapping[Key, Recorded]:
        """Every answer so far."""
        return self._answers

    def append(self, answers: Mapping[Key, Recorded]) -> None:
        """Add answers and see them on the disk. InputError where one contradicts what is there; then none is added."""
        new = {key: recorded for key, recorded in answers.items() if not self._holds(key, recorded)}
        if not new:
            return
        lines = b"".join(_line(key, recorded) for key, recorded in new.items())
        self._write(lines)
        self._answers.update(new)

    def close(self) -> None:
        """Let others add to it."""
        self._file.close()

    def _holds(self, key: Key, recorded: Recorded) -> bool:
        fault = _fault(key, recorded)
        if fault is not None:
            msg = f"{self.path}: the answer to prompt {key.prompt_sha256[:12]} cannot be recorded: {fault}"
            raise InputError(msg)
        there = self._answers.get(key)
        if there is not None and there != recorded:
            raise _contradiction(self.path, None, key)
        return there is not None

    def _begin(self) -> None:
        content = _content(self.path)
        whole = content.rpartition(b"\n")[0]
        if not whole:  # new, or cut inside its first line
            if content and not content.startswith(BEGINNING[: len(content)]):
                raise _foreign(self.path)
            self._file.truncate(0)
            self._write(msgspec.json.encode(self.head) + b"\n")
            return
        recording = _parsed(self.path, content)
        _refuse_another(self.path, recording.head, self.head)
        self._answers.update(recording.answers)
        self.notes = recording.notes
        self._file.truncate(len(whole) + 1)

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            msg = f"{self.path} cannot be written ({error.strerror}); what was recorded before is kept: free the disk"
            raise InputError(msg) from error


def is_recording(path: Path) -> bool:
    """Whether `path` is a recording, and not a decision log or anything else."""
    try:
        with path.open("rb") as file:
            return file.read(len(BEGINNING)) == BEGINNING
    except OSError:
        return False


def read_recording(path: Path) -> Recording:
    """A whole recording; a last line that was cut is left out, and noted.

    InputError names file, line and remedy where it is missing, unreadable, another version's or contradicts itself.
    """
    return _parsed(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); give a recording of `trader advisor prefill`"
        raise InputError(msg) from error


def _parsed(path: Path, content: bytes) -> Recording:
    first, *lines = content.split(b"\n")
    cut = lines.pop() if lines else b""
    head = _head(path, first)
    answers: dict[Key, Recorded] = {}
    for number, line in enumerate(lines, 2):
        key, recorded = _entry(path, number, line)
        if answers.setdefault(key, recorded) != recorded:
            raise _contradiction(path, number, key)
    notes = (f"{path}: the last line was cut, {len(cut)} bytes of it are left out",) if cut else ()
    return Recording(head, answers, notes)


def _head(path: Path, line: bytes) -> Head:
    if not line.startswith(BEGINNING):
        raise _foreign(path)
    try:
        head = msgspec.json.decode(line, type=Head)
    except _UNDECODABLE as error:
        msg = f"{path}, line 1 does not say whose answers these are ({error}); make the recording anew"
        raise InputError(msg) from error
    if head.recording != VERSION:
        msg = f"{path}: recording version {head.recording}, this program reads version {VERSION}; make it anew"
        raise InputError(msg)
    return head


def _entry(path: Path, number: int, line: bytes) -> tuple[Key, Recorded]:
    try:
        entry = msgspec.json.decode(line, type=_Line)
    except _UNDECODABLE as error:
        msg = f"{path}, line {number} is no answer ({error}); remove the line, it will be asked again"
        raise InputError(msg) from error
    key = Key(entry.prompt, entry.mask)
    recorded: Recorded | None = None
    if entry.text is None and entry.log_probs is not None and entry.legal_mass is not None:
        recorded = Scores(entry.log_probs, entry.legal_mass)
    elif entry.log_probs is None and entry.legal_mass is None:
        recorded = entry.text
    fault = "not either scores or a text" if recorded is None else _fault(key, recorded)
    if recorded is None or fault is not None:
        msg = f"{path}, line {number} is no answer: {fault}; remove the line, it will be asked again"
        raise InputError(msg)
    return key, recorded


def _fault(key: Key, recorded: Recorded) -> str | None:
    return None if isinstance(recorded, str) else fault_in(recorded, key.mask)


def _line(key: Key, recorded: Recorded) -> bytes:
    if isinstance(recorded, str):
        entry = _Line(key.prompt_sha256, key.mask, text=recorded)
    else:
        entry = _Line(key.prompt_sha256, key.mask, recorded.log_probs, recorded.legal_mass)
    return msgspec.json.encode(entry) + b"\n"


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_alone(path, TAKEN)
    except OSError as error:
        msg = f"{path} cannot be written ({error.strerror}); choose another file with --out"
        raise InputError(msg) from error


def _refuse_another(path: Path, there: Head, wanted: Head) -> None:
    found: dict[str, object] = asdict(there)
    needed: Sequence[tuple[str, object]] = list(asdict(wanted).items())
    for field, value in needed:
        if found[field] != value:
            msg = (
                f"{path}: the recording is of {field} {found[field]!r}, these answers of {value!r}; "
                "choose another file with --out, or go back to that setting"
            )
            raise InputError(msg)


def _foreign(path: Path) -> InputError:
    return InputError(f"{path} is no recording of `trader advisor prefill`; choose another file")


def _contradiction(path: Path, number: int | None, key: Key) -> InputError:
    place = path if number is None else f"{path}, line {number}"
    return InputError(
        f"{place}: prompt {key.prompt_sha256[:12]} with valid actions {key.mask} is answered in two ways; one of them "
        "is another model's: make the recording anew"
    )
