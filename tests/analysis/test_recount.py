"""The report from a log alone is the report that the run itself counted."""

from pathlib import Path

import pytest
from log_builders import START, log_files, write_files
from msgspec.structs import replace
from random_run import RandomRun

from trader.analysis.figures import Label, facts_of
from trader.analysis.recount import report_from_log
from trader.errors import LogDamagedError


def write(folder: Path, run: RandomRun, *, closed: bool = True) -> Path:
    """The run's log, ended by its own `end` line."""
    files, sealer = log_files(run.days, closed=False)
    if closed:
        files[list(files)[-1]].append(sealer.seal(replace(run.end, lines=sealer.lines + 1)))
    return write_files(folder / "run", files)


@pytest.mark.parametrize("seed", range(8))
def test_recount_of_a_random_run_equals_its_tally(tmp_path: Path, seed: int):
    """Portions, ambiguous bars, forced closes, renewed accounts, late advice: every figure is the same."""
    run = RandomRun(seed, sessions=22, bars=25)
    counted = run.tally.report(facts_of(START), accounts_used=run.accounts)
    assert report_from_log(write(tmp_path, run)) == counted
    assert counted.trades.trades > 50
    assert counted.result.ambiguous_bars > 5
    assert counted.trades.exits["forced_close"] > 2
    assert counted.run.accounts_used > 1
    assert counted.result.sharpe_daily_annualised is not None


def test_recount_of_a_run_that_was_not_closed_is_labelled_so(tmp_path: Path):
    """What came after the last bar is missing, and the report says so."""
    report = report_from_log(write(tmp_path, RandomRun(1, sessions=2, bars=20), closed=False))
    assert report.run.labels[-1] is Label.NOT_CLOSED
    assert report.run.bars == 40


def test_recount_states_the_speed_that_it_is_told(tmp_path: Path):
    """A log does not know how fast it was made, nor which bars never reached it."""
    report = report_from_log(write(tmp_path, RandomRun(1, sessions=2, bars=20)), bars_per_s=1_000.0)
    assert (report.run.bars_per_s, report.run.skipped_bars) == (1_000.0, None)


def test_recount_of_a_later_file_alone_asks_for_the_run(tmp_path: Path):
    """Without its start a log cannot be summed up."""
    run = write(tmp_path, RandomRun(1, sessions=2, bars=20))
    with pytest.raises(LogDamagedError, match="needs a whole run"):
        report_from_log(run / "decisions-2023-01-03.jsonl")
