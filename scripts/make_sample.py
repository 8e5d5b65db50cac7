"""Make the embedded sample, `trader/samples/nq_synthetic_1m.csv.gz` and its facts, from the synthetic market.

Seventeen sessions around Thanksgiving 2019: two half days (one without a cash market), the halt of that time, and the
roll of December. The dates are real, the prices are not. Usage: python scripts/make_sample.py [FOLDER]
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trader.adapters.columns import BarColumns
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.instruments import instrument
from trader.domain.sessions import SECOND_NS, Calendar, Session
from trader.samples import FACTS_NAME, SAMPLE_NAME

FOLDER = Path(__file__).parents[1] / "trader" / "samples"
SEED = 20191125
START = "2019-11-25"
SESSIONS = 17
START_PRICE = 8_300.0
HEADER = "timestamp,open,high,low,close,volume,contract\n"


def lines(columns: BarColumns, session: Session) -> Iterator[str]:
    """The session's bars as CSV, stamped with the New York time of their opens."""
    local_s = columns.ts_open_ns // SECOND_NS + session.et_offset_s
    stamps = np.datetime_as_string(local_s.astype("datetime64[s]")).tolist()
    for stamp, bar in zip(stamps, columns.to_bars(), strict=True):
        prices = f"{bar.open:.2f},{bar.high:.2f},{bar.low:.2f},{bar.close:.2f}"
        yield f"{stamp.replace('T', ' ')},{prices},{bar.volume},{bar.symbol}\n"


def sample() -> tuple[bytes, dict[str, object]]:
    """The CSV, and the facts about it."""
    calendar = Calendar.load()
    market = SyntheticMarket(instrument=instrument("NQ"), start_price=START_PRICE)
    first = calendar.index_from(START)
    text, bars, rolls = [HEADER], 0, {}
    for nth, columns in enumerate(generate(SEED, START, SESSIONS, calendar=calendar, market=market)):
        session = calendar.session(first + nth)
        text.extend(lines(columns, session))
        bars += len(columns)
        if columns.roll_offset[0]:
            rolls[session.date] = {"to": columns.symbols[0], "offset_points": float(columns.roll_offset[0])}
    table = "".join(text).encode()
    facts = {
        "note": "Synthetic: made by scripts/make_sample.py from a seed. No market traded these prices.",
        "synthetic": True,
        "market": "NQ",
        "seed": SEED,
        "first_session": START,
        "last_session": calendar.session(first + SESSIONS - 1).date,
        "sessions": SESSIONS,
        "bars": bars,
        "bar_minutes": 1,
        "stamps": "New York wall clock, bar open",
        "rolls": rolls,
        "csv_sha256": hashlib.sha256(table).hexdigest(),
    }
    return table, facts


def main() -> None:
    """Write both files to FOLDER, or to their place in the package."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    table, facts = sample()
    (folder / SAMPLE_NAME).write_bytes(gzip.compress(table, compresslevel=9, mtime=0))
    (folder / FACTS_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
