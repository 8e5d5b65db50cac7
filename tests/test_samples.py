"""The embedded sample: synthetic, says so, and can be made again."""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from trader.domain.sessions import Calendar
from trader.samples import FACTS_NAME, SAMPLE_NAME, sample

ROOT = Path(__file__).parents[1]
NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = Calendar.load()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(gzip.decompress(sample().read_bytes()).decode())))


@pytest.fixture(scope="module")
def facts() -> dict[str, object]:
    loaded: dict[str, object] = json.loads(sample(FACTS_NAME).read_text(encoding="utf-8"))
    return loaded


def session_dates(rows: list[dict[str, str]]) -> list[str]:
    """Date of the session of each row."""
    moments = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=NEW_YORK).timestamp() for row in rows]
    index = CALENDAR.session_index(np.array([round(moment) * 1_000_000_000 for moment in moments]))
    assert index.min() >= 0
    return [CALENDAR.session(int(i)).date for i in index]


def test_make_sample_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """The script makes the shipped table and facts; the gzip header holds no time of its making."""
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_sample.py"), str(tmp_path)], check=True)
    made = (tmp_path / SAMPLE_NAME).read_bytes()
    assert gzip.decompress(made) == gzip.decompress(sample().read_bytes())
    assert (tmp_path / FACTS_NAME).read_bytes() == sample(FACTS_NAME).read_bytes()
    assert made[4:8] == bytes(4)


def test_sample_says_that_it_is_synthetic(rows: list[dict[str, str]], facts: dict[str, object]) -> None:
    """The facts name the seed and describe the file that lies beside them."""
    table = gzip.decompress(sample().read_bytes())
    dates = session_dates(rows)
    assert facts["synthetic"] is True
    assert isinstance(facts["seed"], int)
    assert facts["csv_sha256"] == hashlib.sha256(table).hexdigest()
    assert (facts["bars"], facts["sessions"]) == (len(rows), len(set(dates)))
    assert (facts["first_session"], facts["last_session"]) == (dates[0], dates[-1])


def test_sample_has_half_days_and_one_roll(rows: list[dict[str, str]], facts: dict[str, object]) -> None:
    """Thanksgiving ends at 13:00, the day after at 13:15; on 2019-12-16 the contract changes once and for good."""
    dates = session_dates(rows)
    last = {day: row["timestamp"] for day, row in zip(dates, rows, strict=True)}
    contract = {day: row["contract"] for day, row in zip(dates, rows, strict=True)}
    assert last["2019-11-28"] == "2019-11-28 12:59:00"
    assert last["2019-11-29"] == "2019-11-29 13:14:00"
    assert {day for day, name in contract.items() if name == "NQH20"} == {"2019-12-16", "2019-12-17"}
    assert Counter(contract.values()) == {"NQZ19": 15, "NQH20": 2}
    assert isinstance(facts["rolls"], dict)
    assert list(facts["rolls"]) == ["2019-12-16"]


def test_sample_prices_are_on_the_tick_and_volumes_whole(rows: list[dict[str, str]]) -> None:
    """Each price ends in a quarter, each bar holds its open and close, each volume is a positive integer."""
    for row in rows:
        opened, high, low, close = (float(row[name]) for name in ("open", "high", "low", "close"))
        assert low <= min(opened, close) <= max(opened, close) <= high
        assert all(row[name][-3:] in {".00", ".25", ".50", ".75"} for name in ("open", "high", "low", "close"))
        assert int(row["volume"]) > 0
    assert len({row["timestamp"] for row in rows}) == len(rows)
