"""Contracts and rolls: demanded for long files, taken from a file of rolls, from a column, or from a common minute."""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from bar_files import NQ, Line, as_lines, expected, firstrate, opened, read, sessions, written

from trader.adapters.columns import BarColumns
from trader.adapters.files import ReadOptions, Roll, RollPlan, read_rolls
from trader.adapters.files.rolls import calendar_front, expiry
from trader.domain.instruments import instrument
from trader.errors import InputError

HEADER = "timestamp,new_contract,offset_points\n"
ROLLS_2019 = Path(__file__).parents[2] / "data" / "rolls_2019.csv"
BEFORE = [date(2023, 3, 8), date(2023, 3, 9), date(2023, 3, 10)]
AFTER = [date(2023, 3, 13), date(2023, 3, 14)]
MARCH_12_18H_NS = 1_678_658_400 * 10**9


def jumps(columns: BarColumns) -> list[tuple[str, int, float]]:
    """New contract, open time and offset of each roll."""
    return [
        (columns.symbols[columns.symbol_index[i]], int(columns.ts_open_ns[i]), float(columns.roll_offset[i]))
        for i in np.flatnonzero(columns.roll_offset).tolist()
    ]


def weekdays(first: date, days: int) -> list[date]:
    """Dates from `first` on without weekends and the two holidays of that spring."""
    dates = [first + timedelta(days=i) for i in range(days)]
    return [day for day in dates if day.weekday() < 5 and day not in {date(2023, 4, 7), date(2023, 5, 29)}]


def with_contract(lines: Iterable[tuple[Line, str]]) -> str:
    """The FirstRate layout and a contract column."""
    parts = [(firstrate([line]).splitlines()[1], contract) for line, contract in lines]
    return "\n".join(["timestamp,open,high,low,close,volume,contract", *(f"{row},{name}" for row, name in parts), ""])


def test_expiry_is_the_third_friday() -> None:
    """Dates from the exchange's list of 2019, 2023 and 2024."""
    known = {"NQH19": "2019-03-15", "NQZ19": "2019-12-20", "NQM2023": "2023-06-16", "NQH4": "2024-03-15"}
    assert {contract: expiry(contract).isoformat() for contract in known} == known


def test_calendar_front_leaves_a_contract_on_the_monday_before_its_third_friday() -> None:
    """2023-03-17 is the third Friday: Monday the 13th is June's."""
    contracts = ["NQM23", "NQH23"]
    assert calendar_front(contracts, date(2023, 3, 10)) == "NQH23"
    assert calendar_front(contracts, date(2023, 3, 13)) == "NQM23"
    assert calendar_front(contracts, date(2023, 12, 1)) == "NQM23"


def test_read_rolls_gives_the_four_rolls_of_2019() -> None:
    """New York times, both sides of the clock change; the first row names the contract of the start."""
    plan = read_rolls(ROLLS_2019, NQ, None)
    assert plan.first_contract == "NQH19"
    assert [(str(np.datetime64(roll.ts_ns, "ns"))[:16], roll.contract, roll.offset_points) for roll in plan.rolls] == [
        ("2019-03-07T21:30", "NQM19", 28.25),
        ("2019-06-16T22:00", "NQU19", 24.25),
        ("2019-09-12T20:30", "NQZ19", 18.5),
        ("2019-12-12T21:30", "NQH20", 27.5),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "its header must be timestamp,new_contract,offset_points"),
        ("date,contract,offset\n", "its header must be"),
        (HEADER + "2019-03-07 16:30,NQM19\n", "line 2: 2 cells instead of 3"),
        (HEADER + "\n# a comment\nyesterday,NQM19,1\n", "line 4: Invalid isoformat string: 'yesterday'"),
        (HEADER + "2019-03-07 16:30,NQM19,much\n", "line 2: could not convert string to float: 'much'"),
        (HEADER + "2019-03-07T16:30Z,NQM19,1\n", "line 2: timestamp '2019-03-07T16:30Z' must be a whole minute"),
        (HEADER + "2019-03-07 16:30:30,NQM19,1\n", "must be a whole minute of New York's clock"),
        (HEADER + "2019-03-07 16:30,NQM19,1.1\n", "line 2: offset_points '1.1' is not on NQ's tick of 0.25"),
        (HEADER + "2019-03-07 16:30,NQM19,inf\n", "line 2: offset_points 'inf' is not on NQ's tick"),
        (HEADER + "2019-03-07 16:30,ESM19,1\n", "line 2: 'ESM19' is no contract of NQ"),
        (HEADER + "2019-03-07 16:30,NQK19,1\n", "line 2: 'NQK19' is no contract of NQ; its months are H, M, U, Z"),
        (HEADER + "2019-03-07 16:30,June,1\n", "line 2: 'June' is no contract code"),
        (HEADER + "2019-03-07 16:30,NQM19,1\n", "does not name the first contract"),
        (HEADER + "2019-01-01 18:00,NQH19,\n2019-03-07 16:30,NQM19,\n", "line 3: offset_points is empty"),
        (HEADER + "2019-01-01 18:00,NQM19,\n2019-03-07 16:30,NQM19,1\n", "NQM19 does not come before NQM19"),
        (
            HEADER + "2019-01-01 18:00,NQH19,\n2019-06-16 18:00,NQU19,1\n2019-03-07 16:30,NQM19,1\n",
            "line 4: NQM19 does not come after NQU19; sort the rolls by time",
        ),
    ],
)
def test_read_rolls_refuses_by_line(tmp_path: Path, text: str, said: str) -> None:
    """Each mistake in a file of rolls is named with file and line."""
    path = written(tmp_path / "rolls.csv", text)
    with pytest.raises(InputError) as refused:
        read_rolls(path, NQ, None)
    assert str(refused.value).startswith(str(path))
    assert said in str(refused.value)


def test_read_rolls_missing_file_is_refused(tmp_path: Path) -> None:
    """A wrong path is an input error, not a traceback."""
    with pytest.raises(InputError, match="the rolls cannot be read"):
        read_rolls(tmp_path / "none.csv", NQ, None)


def test_read_rolls_takes_the_first_contract_from_the_option(tmp_path: Path) -> None:
    """Only rolls in the file: --contract begins it. ES has its own tick."""
    path = written(tmp_path / "rolls.csv", HEADER + "2019-03-07 16:30,ESM19,-2.5\n")
    plan = read_rolls(path, instrument("ES"), "ESH19")
    assert (plan.first_contract, plan.rolls[0].offset_points) == ("ESH19", -2.5)


def test_open_long_file_without_rolls_is_refused(tmp_path: Path) -> None:
    """Over eighty days may hide a roll; a part of it, or a statement, is enough."""
    path = written(tmp_path / "bars.csv", firstrate(sessions(weekdays(date(2023, 3, 20), 85), period=15)))
    with pytest.raises(InputError, match=r"has 8\d days of bars .* --rolls FILE, or say --rolls none"):
        opened(path)
    assert read(path, ReadOptions(rolls="none")).symbols == ("NQ",)
    assert read(path, ReadOptions(contract="NQM23")).symbols == ("NQM23",)
    assert read(path, ReadOptions(date_from="2023-04-03")).symbols == ("NQ",)


def test_open_short_file_without_rolls_has_the_name_of_its_market(tmp_path: Path) -> None:
    """A few weeks are one contract; nobody has to say which."""
    path = written(tmp_path / "bars.csv", firstrate(sessions()))
    assert read(path).symbols == ("NQ",)
    assert read(path, ReadOptions(contract="NQH23")).symbols == ("NQH23",)


def test_open_bars_after_the_expiry_of_their_contract_are_refused(tmp_path: Path) -> None:
    """A contract that is stated cannot trade after its third Friday: a roll is missing."""
    path = written(tmp_path / "bars.csv", firstrate(sessions([date(2023, 3, day) for day in (15, 16, 17, 20)])))
    with pytest.raises(InputError, match="bars on 2023-03-20 would be of NQH23, which expired on 2023-03-17"):
        read(path, ReadOptions(contract="NQH23"))
    with pytest.raises(InputError, match="'MNQH23' is no contract of NQ"):
        read(path, ReadOptions(contract="MNQH23"))


@pytest.mark.parametrize("chunk_rows", [50, 16_384])
def test_read_planned_rolls_label_the_bars(tmp_path: Path, chunk_rows: int) -> None:
    """The first bar at or after the stated minute carries the offset, once, wherever a chunk ends."""
    lines = sessions([*BEFORE, *AFTER])
    rolls = written(
        tmp_path / "rolls.csv",
        HEADER + "2023-03-01 18:00,NQH23,\n2023-03-09 16:30,NQM23,7.5\n2023-03-12 17:59,NQU23,-1.25\n",
    )
    path = written(tmp_path / "bars.csv", firstrate(lines))
    columns = read(path, ReadOptions(rolls=rolls, chunk_rows=chunk_rows))
    march_9_1630_ns = 1_678_397_400 * 10**9
    assert jumps(columns) == [("NQM23", march_9_1630_ns, 7.5), ("NQU23", MARCH_12_18H_NS, -1.25)]
    assert as_lines(columns) == expected(lines)
    symbols = [bar.symbol for bar in columns.to_bars()]
    opens = [bar.ts_open_ns for bar in columns.to_bars()]
    assert symbols == [
        "NQH23" if ns < march_9_1630_ns else "NQM23" if ns < MARCH_12_18H_NS else "NQU23" for ns in opens
    ]
    late = read(path, ReadOptions(rolls=rolls, date_from="2023-03-10"))
    assert late.symbols[late.symbol_index[0]] == "NQM23"
    assert jumps(late) == [("NQU23", MARCH_12_18H_NS, -1.25)]


def one_after_the_other() -> list[tuple[Line, str]]:
    """A file with a contract column that changes at a session's open; no minute with both."""
    return [(line, "NQH23") for line in sessions(BEFORE)] + [(line, "NQM23") for line in sessions(AFTER, seed=2)]


def test_read_contract_column_without_an_offset_is_refused_by_line(tmp_path: Path) -> None:
    """The change is seen, its size is not: it must be stated."""
    path = written(tmp_path / "bars.csv", with_contract(one_after_the_other()))
    with pytest.raises(
        InputError, match=r"bars\.csv, line 830: the contract changes from NQH23 to NQM23.*--rolls FILE"
    ):
        read(path)


def test_read_contract_column_takes_the_stated_offset(tmp_path: Path) -> None:
    """From a file of rolls, from a plan, or none at all where the prices are adjusted."""
    path = written(tmp_path / "bars.csv", with_contract(one_after_the_other()))
    rolls = written(tmp_path / "rolls.csv", HEADER + "2023-03-12 18:00,NQM2023,31.75\n")
    assert jumps(read(path, ReadOptions(rolls=rolls))) == [("NQM23", MARCH_12_18H_NS, 31.75)]
    plan = RollPlan(
        first_contract="NQH23",
        rolls=(Roll(ts_ns=MARCH_12_18H_NS, contract="NQM23", offset_points=12.0),),
        is_adjusted=False,
    )
    assert jumps(read(path, ReadOptions(rolls=plan))) == [("NQM23", MARCH_12_18H_NS, 12.0)]
    adjusted = read(path, ReadOptions(rolls="none"))
    assert jumps(adjusted) == []
    assert adjusted.symbols == ("NQH23", "NQM23")


def test_read_roll_offset_column_is_taken_from_the_first_bar_of_the_contract(tmp_path: Path) -> None:
    """A file may carry the offsets itself."""
    rows = with_contract(one_after_the_other()).splitlines()
    rows = [row + ("," if i != 829 else ",-4.25") for i, row in enumerate(rows)]
    rows[0] += "roll_offset"
    path = written(tmp_path / "bars.csv", "\n".join(rows))
    assert jumps(read(path)) == [("NQM23", MARCH_12_18H_NS, -4.25)]


def side_by_side(seed: int = 1) -> tuple[list[tuple[Line, str]], list[Line], list[Line]]:
    """Two contracts and a spread at every minute; June leads by volume from Friday on, so it is front on Monday."""
    march = sessions([*BEFORE, *AFTER], seed=seed)
    june = [
        line._replace(
            open=line.open + 90,
            high=line.high + 90.5,
            low=line.low + 89,
            close=line.close + 90.25,
            volume=line.volume // 3,
        )
        for line in march
    ]
    friday = 2 * 276
    march = [line._replace(volume=line.volume // 9) if i >= friday else line for i, line in enumerate(march)]
    spread = [line._replace(open=89.0, high=90.0, low=88.0, close=89.5, volume=99_999) for line in march]
    mixed = [
        pair
        for a, b, c in zip(march, june, spread, strict=True)
        for pair in ((b, "NQM23"), (c, "NQH23-NQM23"), (a, "NQH23"))
    ]
    return mixed, march, june


@pytest.mark.parametrize("chunk_rows", [40, 1_000, 16_384])
def test_read_several_contracts_follows_the_leader_of_the_session_before(tmp_path: Path, chunk_rows: int) -> None:
    """March until Sunday 18:00, then June; the offset is of the last minute before with both; spreads are dropped."""
    mixed, march, june = side_by_side()
    path = written(tmp_path / "bars.csv", with_contract(mixed))
    source = opened(path, ReadOptions(chunk_rows=chunk_rows))
    bars = [bar for columns in source.columns() for bar in columns.to_bars()]
    monday = 3 * 276
    assert [(bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars] == expected(
        [*march[:monday], *june[monday:]]
    )
    assert [bar.symbol for bar in bars] == ["NQH23"] * monday + ["NQM23"] * 2 * 276
    assert {i: bar.roll_offset for i, bar in enumerate(bars) if bar.roll_offset} == {monday: 90.25}
    assert source.rows_of_others == len(mixed) - len(bars)
    assert source.skipped.total == 0


def test_read_several_contracts_never_goes_back(tmp_path: Path) -> None:
    """March trades more again on Monday: June stays."""
    mixed, _, june = side_by_side()
    back = [
        (line._replace(volume=line.volume * 90), name) if name == "NQH23" and i >= 3 * 3 * 276 else (line, name)
        for i, (line, name) in enumerate(mixed)
    ]
    columns = read(written(tmp_path / "bars.csv", with_contract(back)))
    assert as_lines(columns)[3 * 276 :] == expected(june[3 * 276 :])


def test_read_one_of_several_contracts_by_option(tmp_path: Path) -> None:
    """--contract chooses; nothing rolls."""
    mixed, _, june = side_by_side()
    path = written(tmp_path / "bars.csv", with_contract(mixed))
    for code in ("NQM23", "NQM3", "NQM2023"):
        columns = read(path, ReadOptions(contract=code))
        assert (as_lines(columns), columns.symbols, jumps(columns)) == (expected(june), ("NQM23",), [])
    with pytest.raises(InputError, match="has no bar of NQU23; it names NQM23, NQH23"):
        read(path, ReadOptions(contract="NQU23"))


def test_read_several_contracts_without_volume_follows_the_calendar(tmp_path: Path) -> None:
    """No volume, no leader: the Monday before the third Friday, here the 13th of March."""
    mixed, march, june = side_by_side()
    rows = [",".join(row.split(",")[:5] + row.split(",")[6:]) for row in with_contract(mixed).splitlines()]
    columns = read(written(tmp_path / "bars.csv", "\n".join(rows)))
    monday = 3 * 276
    assert as_lines(columns) == expected([*march[:monday], *june[monday:]], with_volume=False)
    assert jumps(columns) == [("NQM23", MARCH_12_18H_NS, 90.25)]


def test_read_contract_column_that_names_the_market_names_no_contract(tmp_path: Path) -> None:
    """NQ on every line says nothing of contracts, nor does another market's."""
    lines = sessions()
    assert read(written(tmp_path / "a.csv", with_contract((line, "NQ") for line in lines))).symbols == ("NQ",)
    other = with_contract((line, "ESH23" if i % 2 else "ESM23") for i, line in enumerate(lines))
    with pytest.raises(InputError, match="has no bar of a NQ contract: it names ESM23, ESH23; check --market"):
        opened(written(tmp_path / "b.csv", other))
