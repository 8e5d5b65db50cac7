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
        self._by_file: dict[Path, dict[str, str]] = {}

    def of(self, path: Path, bar: Canonical) -> str | None:
        """The reason for the advice of a line in the decision log's file `path`; None where nobody wrote one."""
        llm = bar.llm
        if llm is None:
            return None
        if llm.reason:
            return llm.reason
        if llm.prompt_sha256 is None:
            return None
        return self._beside(path).get(llm.prompt_sha256)

    def _beside(self, path: Path) -> dict[str, str]:
        known = self._by_file.get(path)
        if known is None:
            known = self._by_file[path] = _read(path.with_name(ASIDE_PREFIX + path.name.partition("-")[2]))
        return known


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    reasons = {}
    with path.open("rb") as file:
        for raw in file:
            try:
                line = _decode(raw)
            except UNDECODABLE:
                continue
            if line.reason is not None:
                reasons[line.reason.prompt_sha256] = line.reason.text
    return reasons
