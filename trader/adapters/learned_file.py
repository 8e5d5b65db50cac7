"""What live runs have learned of their advisor, from run to run: one small file for each advisor, in `state.dir`.

It only saves the next run some weeks of learning anew: what cannot be read is set aside, and said.
"""

import contextlib
import hashlib
import queue
import threading
from pathlib import Path

import msgspec
import structlog

from trader.adapters.whole_file import write_whole
from trader.learning import Learned

log = structlog.get_logger(__name__)
VERSION = 1
CLOSE_PATIENCE_S = 5.0


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    advisor: str
    sha256: str
    learned: msgspec.Raw


class LearnedFile:
    """The file of the advisor that is known by `identity`."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._identity = identity
        self._newest: queue.Queue[Learned | None] = queue.Queue(1)
        self._thread: threading.Thread | None = None
        self.path = folder / f"advisor-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"

    def read(self) -> Learned | None:
        """What was learned before; None where nothing was, or where the file is not to be trusted."""
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
            learned = msgspec.json.decode(kept.learned, type=Learned)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.set_aside(str(error))
            return None
        if (kept.version, kept.advisor) != (VERSION, self._identity):
            self.set_aside("it is of another version or advisor")
            return None
        if kept.sha256 != hashlib.sha256(kept.learned).hexdigest():
            self.set_aside("it is not as it was written")
            return None
        return learned

    def keep(self, learned: Learned) -> None:
        """Have it written by a thread of its own, the newest where one waits: no disk holds up a bar."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="learned", daemon=True)
            self._thread.start()
        with contextlib.suppress(queue.Empty):
            self._newest.get_nowait()
        self._newest.put_nowait(learned)

    def close(self, patience_s: float = CLOSE_PATIENCE_S) -> None:
        """Wait for what is being written, but not for ever."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._newest.put(None, timeout=patience_s)
            self._thread.join(patience_s)
        if self._thread.is_alive():
            log.error("learned_state_not_kept", file=str(self.path), reason="the disk hangs", remedy="check state.dir")
        self._thread = None

    def _run(self) -> None:
        while (learned := self._newest.get()) is not None:
            self.write(learned)

    def write(self, learned: Learned) -> None:
        """Replace the file, or leave it whole and say so: trading does not stop for it."""
        said = msgspec.json.encode(learned)
        digest = hashlib.sha256(said).hexdigest()
        kept = _Kept(version=VERSION, advisor=self._identity, sha256=digest, learned=msgspec.Raw(said))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, msgspec.json.encode(kept) + b"\n")
        except OSError as error:
            log.error(  # noqa: TRY400 -- the reason says it all
                "learned_state_not_kept", file=str(self.path), reason=str(error), remedy="check state.dir"
            )

    def set_aside(self, why: str) -> None:
        """Nothing can go on from what the file says: tell, and keep it under another name for whoever wants to look."""
        aside = self.path.with_suffix(".unusable")
        try:
            self.path.replace(aside)
        except OSError as error:
            why = f"{why}; {error}"
        log.warning("learned_state_set_aside", file=str(aside), reason=why, effect="learning begins anew")
