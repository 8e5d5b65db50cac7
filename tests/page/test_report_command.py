"""`trader report`: files out of an evaluation's folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from evaluations import a_chart, an_evaluation

from trader.analysis.evaluation import CHART_NAME, EVALUATION_NAME, encode
from trader.commands import report
from trader.errors import InputError, UsageError
from trader.page.trades_csv import trades_csv

RECORD = encode(an_evaluation(3))
CHART = encode(a_chart(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The output of an evaluation."""
    return filled(tmp_path / "one")


def filled(folder: Path) -> Path:
    """The same, in that folder."""
    folder.mkdir(parents=True)
    (folder / EVALUATION_NAME).write_bytes(RECORD)
    (folder / CHART_NAME).write_bytes(CHART)
    return folder


def test_the_page_and_the_trades_are_written_into_the_folder(folder, capsys):
    """And the command says so, the claim first."""
    report.run(folder, None, draws_pictures=False)

    assert sorted(path.name for path in folder.iterdir()) == [
        "chart.json",
        "evaluation.json",
        "report.html",
        "trades.csv",
    ]
    assert (folder / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert (folder / "trades.csv").read_bytes().decode() == trades_csv(an_evaluation(3))
    assert capsys.readouterr().out.startswith("engineering run: No: the result does not differ")


def test_out_names_the_page_and_the_rest_stands_beside_it(folder, tmp_path):
    """Folders on the way are made."""
    report.run(folder, tmp_path / "web" / "nq.html", draws_pictures=False)

    assert sorted(path.name for path in (tmp_path / "web").iterdir()) == ["nq.html", "trades.csv"]


def test_a_folder_of_evaluations_gives_the_newest(tmp_path):
    """By the time of their records."""
    old, new = filled(tmp_path / "b"), filled(tmp_path / "a")
    os.utime(old / EVALUATION_NAME, (1, 1))

    report.run(tmp_path, None, draws_pictures=False)

    assert (new / "report.html").is_file()
    assert not (old / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param(EVALUATION_NAME, RECORD[:-400], "cut off or no record", id="cut-off record"),
        pytest.param(EVALUATION_NAME, b"", "cut off or no record", id="empty record"),
        pytest.param(EVALUATION_NAME, b'{"trades": []}', "cut off or no record", id="foreign JSON"),
        pytest.param(EVALUATION_NAME, RECORD.replace(b'"version":1', b'"version":9', 1), "version is 9", id="later"),
        pytest.param(CHART_NAME, CHART[:-9], "cut off or no record", id="cut-off chart"),
        pytest.param(CHART_NAME, None, "does not exist", id="no chart"),
    ],
)
def test_a_damaged_record_is_an_error_that_names_the_file_and_overwrites_nothing(folder, name, content, told):
    """The page of yesterday stays."""
    (folder / "report.html").write_text("yesterday", "utf-8")
    damaged = folder / name
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)

    with pytest.raises(InputError, match=told) as raised:
        report.run(folder, None, draws_pictures=False)

    assert str(damaged) in str(raised.value)
    assert (folder / "report.html").read_text("utf-8") == "yesterday"
    assert not (folder / "trades.csv").exists()


@pytest.mark.parametrize("made", [False, True])
def test_a_place_without_an_evaluation_is_an_error_with_a_remedy(tmp_path, made):
    """A folder that is missing, and one that is empty."""
    place = tmp_path / "none"
    if made:
        place.mkdir()

    with pytest.raises(InputError, match="trader evaluate"):
        report.run(place, None, draws_pictures=False)


def test_a_page_that_cannot_be_written_is_an_error_and_leaves_no_part(folder, tmp_path):
    """A file stands where a folder is needed."""
    (tmp_path / "file").write_text("", "utf-8")

    with pytest.raises(InputError, match="--out"):
        report.run(folder, tmp_path / "file" / "page.html", draws_pictures=False)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "one"]


def test_a_trade_list_that_cannot_be_written_leaves_the_page_as_it_was(folder):
    """All or nothing: the page of yesterday does not stand beside today's trades, nor the other way round."""
    (folder / "report.html").write_text("yesterday", "utf-8")
    (folder / "trades.csv.tmp").mkdir()

    with pytest.raises(InputError, match=r"trades\.csv"):
        report.run(folder, None, draws_pictures=False)

    assert (folder / "report.html").read_text("utf-8") == "yesterday"
    assert not (folder / "report.html.tmp").exists()


def test_pictures_without_matplotlib_are_a_usage_error_that_names_the_extra(folder, monkeypatch):
    """And nothing is written."""
    for name in ("matplotlib", "matplotlib.axes"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "trader.page.pictures", raising=False)

    with pytest.raises(UsageError, match=r"nq-trader\[report\]"):
        report.run(folder, None, draws_pictures=True)

    assert not (folder / "report.html").exists()


def test_pictures_stand_beside_the_page(folder):
    """With --png."""
    pytest.importorskip("matplotlib", reason="needs the extra `report`")

    report.run(folder, None, draws_pictures=True)

    assert {"equity.png", "r-multiples.png"} <= {path.name for path in folder.iterdir()}


def test_a_report_from_the_command_line_needs_no_heavy_library(folder):
    """Neither torch nor matplotlib nor pandas is imported for a page."""
    script = (
        "import sys\n"
        "from trader.cli import main\n"
        "sys.argv = ['trader', 'report', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = ('torch', 'matplotlib', 'pandas', 'numba', 'stable_baselines3')\n"
        "sys.exit(','.join(name for name in heavy if name in sys.modules) or None)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "report.html").is_file()
