"""Why the advisor said what it said: in the decision log where the reason came with the answer, else beside it.

A model that scores writes its reason afterwards, into the advisor log, under the hash of its prompt.
"""

from pathlib import Path

import msgspec

from trader.analysis.log import UNDECODABLE
from trader.asides import ASIDE_PREFIX, AsideLine
from trader.records import Canonical

_decode = msgspec.json.Decoder(AsideLine).decode


class Reasons:
    """Reads the advisor log of each file as its lines come by. A line that cannot be read explains nothing."""

    def __init__(self) -> None:
        self._by_file: dict[Path, _Beside] = {}

    def of(self, path: Path, bar: Canonical) -> str | None:
        """The reason for the advice of a line in the decision log's file `path`; None where nobody wrote one."""
        llm = bar.llm
        if llm is None:
            return None
        if llm.reason:
            return llm.reason
        if llm.prompt_sha256 is None:
            return None
        beside = self._by_file.get(path)
        if beside is None:
            beside = self._by_file[path] = _Beside(path.with_name(ASIDE_PREFIX + path.name.partition("-")[2]))
        return beside.reason(llm.prompt_sha256)


class _Beside:
    """The advisor log of one session, which may still grow."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._texts: dict[str, str] = {}

    def reason(self, prompt_sha256: str) -> str | None:
        if prompt_sha256 not in self._texts and self._path.is_file():
            self._read_on()
        return self._texts.get(prompt_sha256)

    def _read_on(self) -> None:
        """Take the whole lines that have come since the last look; a cut one may yet be finished."""
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._read_bytes += len(raw)
                try:
                    line = _decode(raw)
                except UNDECODABLE:
                    continue
                if line.reason is not None:
                    self._texts[line.reason.prompt_sha256] = line.reason.text
