"""What was reached for and how far ahead was seen, in words that name the mistake."""

from pathlib import Path

import pytest
from leak_builders import lookahead, market, write_bars

from trader.leaks.evidence import likely_reason, outside_findings
from trader.leaks.findings import Kind
from trader.leaks.outside import Reach, Touch

DAY_NS = 86_400 * 10**9
PERIOD = (17_900 * DAY_NS, 17_930 * DAY_NS)  # 2019-01-04 to 2019-02-03
BARS = Touch(Reach.BARS, "/data/nq.csv")


@pytest.mark.parametrize(
    ("horizon_bars", "says"),
    [(1, "shift(-1)"), (15, "shift(-1)"), (16, "a window reaches ahead"), (1_400, "close"), (1_401, "whole file")],
)
def test_likely_reason_of_a_strategy_that_reads_the_bars_is_told_by_how_far_it_sees(
    horizon_bars: int, says: str
) -> None:
    """The next bars, a session, or everything."""
    reason, remedy = likely_reason(("rl.action",), [BARS], horizon_bars)

    assert reason.startswith("it reads nq.csv itself")
    assert says in reason
    assert "outlook" in remedy


def test_likely_reason_of_changed_features_is_the_program() -> None:
    """No strategy can change what it is shown: that would be this program's fault, and is said to be."""
    reason, remedy = likely_reason(("features.sha256", "rl.action"), [BARS], 1)

    assert "no strategy" in reason
    assert "defect of the program" in remedy


@pytest.mark.parametrize(
    ("text", "is_dated"),
    [
        ("2019-01-20,1", True),
        ("2019/01/20 10:00;1", True),
        ("20190120,1", True),
        ("01/20/2019,1", True),
        ("20.01.2019,1", True),
        ("1547990400,1", True),
        ("1547990400000,1", True),
        ("2018-01-20,1\n2019-03-01,1", False),
        ("1516449600,1", False),
        ('{"period": 20, "version": 2019, "seed": 1234567890123456}', False),
        ("", False),
    ],
)
def test_outside_file_with_dates_of_the_bars_own_time_is_a_finding(text: str, is_dated: bool, tmp_path: Path) -> None:
    """However a date is written; dates before and after tell nothing of these bars."""
    file = tmp_path / "data.txt"
    file.write_text(text)

    findings, notes = outside_findings([Touch(Reach.FILE, str(file))], (), PERIOD)

    assert (len(findings), len(notes)) == ((1, 0) if is_dated else (0, 1))


@pytest.mark.parametrize("reach", [Reach.PROGRAM, Reach.NETWORK, Reach.DATABASE, Reach.BARS_UNALTERED])
def test_outside_service_or_unaltered_bars_are_a_finding(reach: Reach) -> None:
    """What cannot be altered cannot be shown to be innocent."""
    findings, notes = outside_findings([Touch(reach, "somewhere"), BARS], (), PERIOD)

    assert [found.kind for found in findings] == [Kind.OUTSIDE]
    assert "somewhere" in findings[0].what
    assert notes == ()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ('io.FileIO("bars.csv").read()', "bars.csv by a way of its own"),
        ('subprocess.run(["true"])', "it uses a program: true"),
        ('sqlite3.connect("signals.db")', "it uses a database: signals.db"),
    ],
)
def test_lookahead_strategy_that_reaches_outside_is_found(
    code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its deeds: an audit hook sees what no source code scan would."""
    monkeypatch.chdir(tmp_path)
    bars = write_bars(market(2), tmp_path)
    (tmp_path / "reaches.py").write_text(
        "import io, sqlite3, subprocess\n"
        "from trader.domain.actions import Action\n"
        "from trader.domain.decisions import Proposal\n"
        "class Reaches:\n"
        "    def __init__(self):\n"
        f"        {code}\n"
        "    def propose(self, outlook):\n"
        "        return Proposal(Action.HOLD, 1.0)\n"
    )

    (found,) = lookahead("reaches.py", bars, cuts=1).findings

    assert found.kind is Kind.OUTSIDE
    assert found.what.endswith(says)
