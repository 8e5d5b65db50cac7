"""A folder of daily files: which of them are opened, that together they are one file, and what is refused by name."""

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from bar_files import as_lines, expected, firstrate, opened, read, same, sessions, written
from day_files import AFTER, BEFORE, HEADER, folder_of, name_of, text, two_contracts

from trader.adapters.columns import concatenate
from trader.adapters.files import ReadOptions, Roll
from trader.adapters.files.databento import full_name
from trader.adapters.files.folder import LOOK_BACK_DAYS
from trader.adapters.files.layout import LayoutName
from trader.errors import InputError

SKIPPING = ReadOptions(on_bad_bar="skip")
SESSION = 276
MARCH_9_18H_NS, MARCH_12_18H_NS = 1_678_402_800 * 10**9, 1_678_658_400 * 10**9


@pytest.mark.parametrize("chunk_rows", [50, 16_384])
def test_read_folder_follows_the_leader_and_drops_spreads(tmp_path: Path, chunk_rows: int) -> None:
    """June leads from Friday on, so it is front from Sunday 18:00; the offset is of the last common minute."""
    rows, march, june = two_contracts(date(2023, 3, 10))
    source = opened(folder_of(tmp_path / "nq", rows), ReadOptions(chunk_rows=chunk_rows))
    columns = concatenate(list(source.columns()))
    assert as_lines(columns) == expected([*march[: 3 * SESSION], *june[3 * SESSION :]])
    assert [columns.symbols[i] for i in columns.symbol_index.tolist()] == ["NQH23"] * 3 * SESSION + [
        "NQM23"
    ] * 2 * SESSION
    roll = Roll(ts_ns=MARCH_12_18H_NS, contract="NQM23", offset_points=90.25)
    assert source.rolls == [roll]
    assert {i: offset for i, offset in enumerate(columns.roll_offset.tolist()) if offset} == {3 * SESSION: 90.25}
    assert source.rows_of_others == len(rows) - len(columns)
    assert source.bars_at_most == len(columns)
    assert source.skipped.texts() == []


def test_read_folder_of_one_minute_bars_is_the_same_as_one_file_of_them(tmp_path: Path) -> None:
    """Two days in one file, or one of each: the same bars; the file needs no proof of its clock."""
    rows, _, _ = two_contracts(date(2023, 3, 9), dates=BEFORE[1:], period=1)
    folder = opened(folder_of(tmp_path / "nq", rows))
    file = opened(written(tmp_path / "nq.csv", text(rows)))
    assert same(concatenate(list(folder.columns())), concatenate(list(file.columns())))
    assert folder.facts.bar_minutes == file.facts.bar_minutes == 1
    assert (folder.facts.layout.name, folder.facts.tz, folder.facts.stamp) == (LayoutName.DATABENTO, "UTC", "open")
    assert folder.rolls == file.rolls == [Roll(ts_ns=MARCH_9_18H_NS, contract="NQM23", offset_points=90.25)]
    assert folder.rows_of_others == file.rows_of_others


def test_read_one_day_alone(tmp_path: Path) -> None:
    """A single daily file holds the end of a session and the beginning of the next."""
    rows, march, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    columns = read(folder / name_of(BEFORE[1]))
    assert as_lines(columns) == expected(line for line in march if line.opened.date() == BEFORE[1])


def test_read_packed_days_are_the_same(tmp_path: Path) -> None:
    """gzip, by content."""
    rows, _, _ = two_contracts(date(2023, 3, 10))
    plain, packed = folder_of(tmp_path / "plain", rows), tmp_path / "packed"
    packed.mkdir()
    for file in plain.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert same(read(packed), read(plain))


@pytest.mark.parametrize(
    ("name", "year", "full"),
    [
        (b"NQH5", 2014, b"NQH15"),
        (b"NQH5", 2015, b"NQH15"),
        (b"NQH5", 2016, b"NQH15"),
        (b"NQH5", 2023, b"NQH25"),
        (b"NQH5", 2025, b"NQH25"),
        (b"NQZ8", 2023, b"NQZ28"),
        (b"NQZ9", 2019, b"NQZ19"),
        (b"NQH0", 2019, b"NQH20"),
        (b"NQM23", 2014, b"NQM23"),
        (b"NQM2023", 2014, b"NQM2023"),
        (b"NQ", 2014, b"NQ"),
        (b"H5", 2014, b"H5"),
        (b"US500", 2014, b"US500"),
    ],
)
def test_full_name_is_the_contract_near_the_bar(name: bytes, year: int, full: bytes) -> None:
    """A one-digit year says nothing without the date of its bar."""
    assert full_name(name, year) == full


def test_read_one_digit_year_of_another_decade(tmp_path: Path) -> None:
    """NQH5 in a bar of 2025 has not expired ten years ago."""
    lines = sessions([date(2025, 3, 4), date(2025, 3, 5)])
    assert read(folder_of(tmp_path / "nq", [(line, "NQH5") for line in lines])).symbols == ("NQH25",)


def poisoned(folder: Path, *days: date) -> None:
    """Files that cannot be opened: links that lead nowhere."""
    for day in days:
        (folder / name_of(day)).symlink_to(folder / "nowhere")


def test_read_opens_no_file_outside_the_dates(tmp_path: Path) -> None:
    """After --to, and more than the look-back before --from, a file is a name in a list."""
    rows, march, _ = two_contracts(date(2023, 3, 30))
    folder = folder_of(tmp_path / "nq", rows)
    late, early = date(2023, 3, 15), date(2023, 2, 26)
    poisoned(folder, late, early)
    options = ReadOptions(date_from="2023-03-09", date_to="2023-03-14")
    assert (date(2023, 3, 8) - early).days == LOOK_BACK_DAYS
    with pytest.raises(InputError, match=rf"{name_of(early)} does not exist"):
        read(folder, options)
    (folder / name_of(early)).rename(folder / name_of(date(2023, 2, 25)))
    assert as_lines(read(folder, options)) == expected(march[SESSION:])
    with pytest.raises(InputError, match=rf"{name_of(late)} does not exist"):
        read(folder, ReadOptions(date_from="2023-03-09"))
    with pytest.raises(InputError, match=rf"{name_of(date(2023, 2, 25))} does not exist"):
        read(folder, ReadOptions(date_to="2023-03-14"))


def test_read_looks_back_for_the_first_front_month(tmp_path: Path) -> None:
    """June led on Wednesday, days before the calendar's roll: Thursday is June's, wherever reading begins."""
    rows, _, june = two_contracts(BEFORE[0])
    folder = folder_of(tmp_path / "nq", rows)
    source = opened(folder, ReadOptions(date_from="2023-03-09"))
    assert as_lines(concatenate(list(source.columns()))) == expected(june[SESSION:])
    assert (source.rolls, source.bars_at_most) == ([], 4 * SESSION)
    (folder / name_of(date(2023, 3, 7))).unlink()
    (folder / name_of(date(2023, 3, 8))).unlink()
    assert read(folder, ReadOptions(date_from="2023-03-09")).symbols == ("NQH23", "NQM23")


def test_open_folder_without_a_day_in_the_dates_is_refused(tmp_path: Path) -> None:
    """The message says what there is."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    with pytest.raises(InputError, match=r"no bar lies in the range .* its files are of 2023-03-07 to 2023-03-14"):
        opened(folder, ReadOptions(date_from="2023-05-01"))


def test_open_folder_before_the_calendar_is_refused(tmp_path: Path) -> None:
    """Hours were others before 2015-09-21; --from leads past them, and nothing before it chooses the front month."""
    lines = sessions([date(2015, 9, day) for day in (17, 18, 21, 22)])
    is_halted = [
        line.at("America/New_York").hour == 16 and 15 <= line.at("America/New_York").minute < 30 for line in lines
    ]
    folder = folder_of(
        tmp_path / "nq", [(line, "NQZ5") for line, halted in zip(lines, is_halted, strict=True) if not halted]
    )
    with pytest.raises(InputError, match="the session calendar, which covers the sessions 2015-09-21 to"):
        opened(folder)
    assert len(read(folder, ReadOptions(date_from="2015-09-21"))) == 2 * (SESSION - 3)


def test_folder_hash_is_of_the_files_that_were_read(tmp_path: Path) -> None:
    """Another content is another hash; a file outside the dates is not."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    until_friday = ReadOptions(date_to="2023-03-10")
    first = opened(folder, until_friday).sha256
    path = folder / name_of(AFTER[1])
    path.write_text(path.read_text() + "\n")
    assert opened(folder, until_friday).sha256 == first
    path = folder / name_of(BEFORE[1])
    path.write_text(path.read_text() + "\n")
    assert opened(folder, until_friday).sha256 != first


def test_read_folder_that_changed_after_it_was_opened_is_refused(tmp_path: Path) -> None:
    """The front months were chosen from another content."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    source = opened(folder)
    path = folder / name_of(BEFORE[1])
    path.write_text(path.read_text() + "\n")
    with pytest.raises(InputError, match="changed while it was read"):
        list(source.columns())


def test_read_folder_tells_of_missing_days(tmp_path: Path) -> None:
    """Days on which the market was open, in stretches; Saturday and Good Friday have no file anyway."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    for day in (BEFORE[0], BEFORE[2], date(2023, 3, 12), AFTER[0]):
        (folder / name_of(day)).unlink()
    source = opened(folder)
    list(source.columns())
    assert source.skipped.notes[:2] == [
        "no file of 2023-03-08: those bars are missing",
        "no file of 2023-03-10 to 2023-03-13 (3 days of trade): those bars are missing",
    ]
    easter = [(line, "NQM2") for line in sessions([date(2022, 4, 13), date(2022, 4, 14), date(2022, 4, 18)])]
    source = opened(folder_of(tmp_path / "easter", easter))
    list(source.columns())
    assert source.skipped.notes == []


def another(file: Path) -> None:
    file.with_name(file.name.replace("glbx", "other")).write_text(file.read_text())


def packed_by_zstd(file: Path) -> None:
    file.rename(file.with_name(f"{file.name}.zst")).write_bytes(b"\x28\xb5\x2f\xfdabc")


def with_rows(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """The header stays, the other lines change."""

    def write(file: Path) -> None:
        header, *rows = file.read_text().splitlines()
        file.write_text("\n".join([header, *change(rows), ""]))

    return write


DAMAGE: dict[str, Callable[[Path], object]] = {
    "header": lambda file: file.write_text(file.read_text().replace("symbol", "ticker", 1)),
    "pointer": lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n"),
    "empty": lambda file: file.write_text(""),
    "twice": another,
    "zstd": packed_by_zstd,
    "half": lambda file: file.write_text(file.read_text()[:-30]),
    "other day": lambda file: file.write_text((file.parent / name_of(BEFORE[2])).read_text()),
    "doubled": with_rows(lambda rows: [*rows[:30], *rows[27:30], *rows[30:]]),
    "unsorted": with_rows(lambda rows: [*rows[60:90], *rows[:60], *rows[90:]]),
    "price": with_rows(
        lambda rows: [",".join([*rows[0].split(",")[:4], "12000.1", *rows[0].split(",")[5:]]), *rows[1:]]
    ),
    "name": lambda file: file.rename(file.parent / "glbx-mdp3-20230231.ohlcv-1m.csv"),
    "folder": lambda file: (file.unlink(), file.mkdir()),
}
"""What can be wrong with one file of a folder."""


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("header", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 1: the header is 'ts_event,"),
        ("pointer", "/glbx-mdp3-20230309.ohlcv-1m.csv is a Git LFS pointer, not the file itself; fetch it with"),
        ("empty", "/glbx-mdp3-20230309.ohlcv-1m.csv is empty"),
        ("twice", "two files of 2023-03-09: glbx-mdp3-20230309.ohlcv-1m.csv and other-mdp3-20230309.ohlcv-1m.csv"),
        ("zstd", "/glbx-mdp3-20230309.ohlcv-1m.csv.zst is packed with zstd; unpack it"),
        ("half", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 829: cells '"),
        ("other day", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 2: ts_event 2023-03-10T00:00:00 is not of the day"),
        ("doubled", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 32: ts_event '2023-03-09 00:45:00' does not come after"),
        ("unsorted", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 32: ts_event"),
        ("price", "/glbx-mdp3-20230309.ohlcv-1m.csv, line 2: open '12000.1' is not on the market's tick"),
        ("folder", "/glbx-mdp3-20230309.ohlcv-1m.csv is a folder; give one file with bars"),
        ("name", "/glbx-mdp3-20230231.ohlcv-1m.csv: 20230231 is no date"),
    ],
)
def test_read_folder_with_one_bad_file_names_it(tmp_path: Path, case: str, said: str) -> None:
    """File, line, field and remedy; the other days do not hide it."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    DAMAGE[case](folder / name_of(BEFORE[1]))
    with pytest.raises(InputError) as refused:
        read(folder)
    assert str(refused.value).startswith(f"{folder}")
    assert said in str(refused.value)


def test_read_folder_skips_bad_rows_and_lists_them_by_file(tmp_path: Path) -> None:
    """Half of a last line costs one row; the list names the file of the folder."""
    rows, _, _ = two_contracts(AFTER[0])
    folder = folder_of(tmp_path / "nq", rows)
    DAMAGE["half"](folder / name_of(BEFORE[1]))
    source = opened(folder, SKIPPING)
    assert sum(len(columns) for columns in source.columns()) == 5 * SESSION
    assert [(fault.file, fault.line) for fault in source.skipped.listed] == [(name_of(BEFORE[1]), 829)]
    assert source.skipped.texts()[0].startswith(f"{name_of(BEFORE[1])}, line 829: cells")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "is a folder without files such as NAME-YYYYMMDD.ohlcv-1m.csv"),
        ({"condition.json": "{}", "NQ.csv": "x"}, "is a folder without files such as NAME-YYYYMMDD.ohlcv-1m.csv"),
        ({"glbx-mdp3-20230309.ohlcv-1h.csv": "x"}, "is a folder without files such as NAME-YYYYMMDD.ohlcv-1m.csv"),
        ({name_of(BEFORE[1]): f"{HEADER}\n"}, "no row has as many cells as the header"),
        (
            {name_of(BEFORE[1]): firstrate(sessions()[:9])},
            "is not in the layout databento: its columns are timestamp, ",
        ),
        (
            {name_of(BEFORE[1]): text((line, "ESH3") for line in sessions([BEFORE[1]])[99:150])},
            "no bar of a NQ contract: it names ESH23",
        ),
    ],
)
def test_open_folder_that_holds_no_daily_bars_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """An empty folder, other files, another period, no rows, another layout, another market."""
    for name, content in files.items():
        written(tmp_path / name, content)
    with pytest.raises(InputError) as refused:
        opened(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}")
    assert said in str(refused.value)


def test_read_folder_begins_with_a_day_without_rows(tmp_path: Path) -> None:
    """A header alone is a day without trade."""
    lines = sessions([BEFORE[1]])
    folder = folder_of(tmp_path / "nq", [(line, "NQH3") for line in lines])
    written(folder / name_of(date(2023, 3, 7)), f"{HEADER}\n")
    assert as_lines(read(folder)) == expected(lines)
