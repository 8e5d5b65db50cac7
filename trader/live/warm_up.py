"""The bars from before a run, kept beside its log: with them a log can be replayed from its first line."""

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from trader.adapters.whole_file import write_whole
from trader.clock_text import utc_text
from trader.domain.bars import Bar
from trader.errors import InputError
from trader.records import WarmUpRecord

WARM_UP_FILE = "warm-up.csv"
HEADER = ("ts_open_ns", "ts_close_ns", "symbol", "open", "high", "low", "close", "volume", "roll_offset")


def write_warm_up(folder: Path, bars: Sequence[Bar]) -> WarmUpRecord | None:
    """Write the bars into the run's folder; None where there are none. May block; InputError where it cannot."""
    if not bars:
        return None
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(
        (b.ts_open_ns, b.ts_close_ns, b.symbol, b.open, b.high, b.low, b.close, b.volume, b.roll_offset) for b in bars
    )
    content = text.getvalue().encode()
    path = folder / WARM_UP_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}); see to the disk of journal.dir, then start again"
        raise InputError(msg) from error
    return WarmUpRecord(
        file=WARM_UP_FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        bars=len(bars),
        first_utc=utc_text(bars[0].ts_open_ns),
        last_utc=utc_text(bars[-1].ts_close_ns),
    )
