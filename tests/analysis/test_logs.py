"""`trader logs`: rows for people, lines for `jq`, and a log that grows while it is read."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from log_builders import (
    ACCOUNT,
    NO_ADVICE,
    Day,
    a_fill,
    a_record,
    an_order,
    log_files,
    weekdays,
    write_files,
    write_run,
)
from msgspec.structs import replace

from trader.analysis.logs import View, run_logs, sleeping
from trader.analysis.selection import Selection, bound
from trader.domain.actions import Action
from trader.domain.decisions import FusionMethod
from trader.records import EndRecord, EventRecord

TABLE = View()


def shown(path: Path, selection: Selection | None = None, view: View = TABLE) -> str:
    """What `trader logs` writes."""
    out = io.StringIO()
    assert run_logs(path, selection or Selection(), view, out) == 0
    return out.getvalue()


def a_trade() -> Day:
    """Five bars: an approved entry, its fill, a vetoed and a late one, the stop."""
    first, second, third, fourth, fifth = (a_record(seq, minute=seq) for seq in range(5))
    llm = replace(NO_ADVICE, action="BUY", confidence=0.55, status="used")
    buy = replace(
        first,
        rl=replace(first.rl, action="BUY", confidence=0.934),
        llm=llm,
        fusion=replace(first.fusion, method="agreement", action="BUY"),
        risk=replace(first.risk, verdict="approved"),
        orders=(an_order(),),
    )
    long = replace(ACCOUNT, position=1, entry=15_000.5, stop=14_990.5, target=15_030.5, equity=50_012.5)
    filled = replace(second, account=long, fills=(a_fill(price=15_000.5),))
    vetoed = replace(
        third,
        rl=replace(third.rl, action="DISABLE_TRAIL", confidence=1.0),
        llm=replace(llm, action="ENABLE_TRAIL", confidence=0.005, status="cached"),
        fusion=replace(third.fusion, method="uncertain_hold", action="ENABLE_TRAIL"),
        risk=replace(third.risk, verdict="vetoed", vetoes=("consecutive_losses", "daily_loss")),
        account=long,
    )
    late = replace(fourth, llm=NO_ADVICE, account=long)
    stopped = replace(
        fifth,
        fills=(
            a_fill(side="SELL", nth=2, price=14_990.25, reason="stop", optimistic=15_030.5, pnl=-209.5, risk=200.0),
        ),
        account=replace(ACCOUNT, equity=49_790.5),
    )
    event = EventRecord(kind="order_refused", from_bar=3, detail={"order": "NQH23-1", "why": "collar"})
    return "2023-01-10", [buy, filled, vetoed, event, late, stopped]


ROWS = """\
time ET             close strategy          advice            fusion         decided       review            qty  equity
start   NQ, ppo, code 0.1.0
2023-01-10 09:31 15000.25 BUY .93           BUY .55           agreement      BUY           approved               50,000
        order bracket BUY 1 stop 14990.00 target 15030.00
        fill BUY 1 at 15000.50
2023-01-10 09:32 15000.25 HOLD .61                            rl_only        HOLD                             +1  50,012
2023-01-10 09:33 15000.25 DISABLE_TRAIL 1.0 ENABLE_TRAIL .01  uncertain_hold ENABLE_TRAIL  consecutive_los +1 +1  50,012
event   order_refused from bar 3: order=NQH23-1 why=collar
2023-01-10 09:34 15000.25 HOLD .61          late              rl_only        HOLD                             +1  50,012
        fill SELL 1 at 14990.25 (stop), ambiguous: 15030.50 at best, net -209.50 $
2023-01-10 09:35 15000.25 HOLD .61                            rl_only        HOLD                                 49,790
end     5 bars, equity 50,000.00 $
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The five bars on disk."""
    return write_run(tmp_path / "run", [a_trade()])


def test_logs_of_a_run_are_the_table(run: Path):
    """Every column, orders under their bar, fills above the bar that they were in before; nothing over 120 columns."""
    text = shown(run)
    assert text == ROWS
    assert max(map(len, text.splitlines())) == 120


def test_logs_of_amendments_flattens_and_the_end_are_lines_of_their_own(tmp_path: Path):
    """Orders say what they change and why; fills after the last bar stand at the end."""
    amend = an_order(kind="amend", side=None, qty=None, stop=15_000.75, reason="break_even")
    flatten = an_order(kind="flatten", side="SELL", stop=None, target=None, reason="flat_at")
    files, sealer = log_files([("2023-01-10", [replace(a_record(), orders=(amend, flatten))])], closed=False)
    fill = a_fill(side="SELL", price=14_999.75, reason="forced_close", pnl=12.5, risk=200.0)
    files["decisions-2023-01-10.jsonl"].append(
        sealer.seal(EndRecord(bars=1, lines=3, fills=(fill,), account=replace(ACCOUNT, equity=50_012.5)))
    )
    assert shown(write_files(tmp_path / "run", files)).splitlines()[3:] == [
        "        order amend stop 15000.75 target 15030.00 (break_even)",
        "        order flatten SELL 1 (flat_at)",
        "        fill SELL 1 at 14999.75 (forced_close), net +12.50 $",
        "end     1 bars, equity 50,012.50 $",
    ]


def test_logs_on_a_terminal_are_the_same_text_in_colour(run: Path):
    """Approved is green, vetoed and lost red; without the codes nothing differs."""
    text = shown(run, view=View(in_colour=True))
    assert "\x1b[32mapproved" in text
    assert "\x1b[31mconsecutive_los +1" in text
    assert "\x1b[31mnet -209.50 $\x1b[0m" in text
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[0m"):
        text = text.replace(code, "")
    assert text == ROWS


def test_logs_of_a_selection_show_its_bars_only(run: Path):
    """Lines that are no bars belong to the whole log."""
    times = [line[11:16] for line in shown(run, Selection(vetoed=True)).splitlines()[1:]]
    assert times == ["09:33"]
    assert "09:31" in shown(run, Selection(action=Action.BUY, method=FusionMethod.AGREEMENT))


def test_logs_of_a_selection_that_nothing_meets_are_a_header(run: Path):
    """No row, and no error."""
    assert shown(run, Selection(method=FusionMethod.WEIGHTED)) == ROWS.splitlines(keepends=True)[0]


def test_logs_as_json_are_the_lines_of_the_file(run: Path):
    """Byte for byte, so that `jq` and `trader verify` see the same."""
    text = shown(run, view=View(as_json=True))
    assert text.encode() == (run / "decisions-2023-01-10.jsonl").read_bytes()
    vetoed = shown(run, Selection(vetoed=True), View(as_json=True)).splitlines()
    assert [json.loads(line)["c"]["seq"] for line in vetoed] == [2]


@pytest.mark.parametrize(
    ("view", "seqs"),
    [
        (View(as_json=True, limit=2), [0, 1]),
        (View(as_json=True, last=2), [3, 4]),
        (View(as_json=True, last=3, limit=2), [2, 3]),
        (View(as_json=True, last=99), [0, 1, 2, 3, 4]),
        (View(as_json=True, limit=0), []),
    ],
)
def test_logs_limit_and_last_bound_what_is_shown(run: Path, view: View, seqs: list[int]):
    """`last` counts from the end, `limit` from the start of what is left."""
    lines = shown(run, Selection(since=bound("2023-01-10")), view).splitlines()
    assert [json.loads(line)["c"]["seq"] for line in lines] == seqs


class Growing:
    """A log that another process writes: each wait appends the next step, the last one gives up."""

    def __init__(self, out: io.StringIO, steps: list[Callable[[], None]]) -> None:
        self.seen: list[str] = []
        self._out = out
        self._steps = iter(steps)

    def __call__(self) -> bool:
        """Note what a reader has seen so far, then let the log grow."""
        self.seen.append(self._out.getvalue())
        step = next(self._steps, None)
        if step is None:
            return False
        step()
        return True


def growing_log(folder: Path) -> tuple[Path, list[Callable[[], None]]]:
    """Two sessions of two bars, of which the first bar is there; each step adds something."""
    first, second = weekdays(2)
    days: list[Day] = [
        (first, [a_record(seq, session=first) for seq in (0, 1)]),
        (second, [a_record(seq, session=second) for seq in (2, 3)]),
    ]
    files, _ = log_files(days)
    names = list(files)
    one, two = files.values()
    run = write_files(folder / "run", {names[0]: one[:2]})

    def append(name: str, data: bytes) -> None:
        with (run / name).open("ab") as file:
            file.write(data)

    steps: list[Callable[[], None]] = [
        lambda: None,
        lambda: append(names[0], one[2][:50]),
        lambda: append(names[0], one[2][50:]),
        lambda: append(names[1], b"".join(two[:2])),
        lambda: append(names[1], b"".join(two[2:])),
    ]
    return run, steps


def seqs_in(text: str) -> list[int]:
    """The bars in JSON lines."""
    records = [json.loads(line) for line in text.splitlines()]
    return [record["c"]["seq"] for record in records if "c" in record]


def test_logs_follow_shows_lines_and_files_as_they_come_and_ends_with_the_log(tmp_path: Path):
    """Half a line is not shown, a new session's file is, and after `end` nobody waits."""
    run, steps = growing_log(tmp_path)
    out = io.StringIO()
    growing = Growing(out, steps)
    assert run_logs(run, Selection(), View(as_json=True), out, wait=growing) == 0
    assert [seqs_in(text) for text in growing.seen] == [[0], [0], [0], [0, 1], [0, 1, 2]]
    assert seqs_in(out.getvalue()) == [0, 1, 2, 3]
    assert '"end"' in out.getvalue()


def test_logs_follow_with_last_begins_with_the_end_of_what_is_there(tmp_path: Path):
    """As `tail -f` does; the limit counts all."""
    run, steps = growing_log(tmp_path)
    out = io.StringIO()
    view = View(as_json=True, last=1, limit=2)
    assert run_logs(run, Selection(), view, out, wait=Growing(out, steps)) == 0
    assert seqs_in(out.getvalue()) == [0, 1]
    assert '"start"' not in out.getvalue()


def test_logs_follow_that_is_given_up_ends_cleanly(tmp_path: Path):
    """A log that never ends."""
    run, _ = growing_log(tmp_path)
    out = io.StringIO()
    assert run_logs(run, Selection(), View(as_json=True), out, wait=Growing(out, [])) == 0
    assert seqs_in(out.getvalue()) == [0]


def test_logs_follow_interrupted_by_the_keyboard_ends_cleanly(tmp_path: Path):
    """Ctrl-C is how a person stops following: no traceback, exit code 0."""
    run, _ = growing_log(tmp_path)
    out = io.StringIO()

    def interrupted() -> bool:
        raise KeyboardInterrupt

    assert run_logs(run, Selection(), View(as_json=True), out, wait=interrupted) == 0
    assert seqs_in(out.getvalue()) == [0]


def test_sleeping_goes_on_waiting():
    """The wait of the command line never gives up by itself."""
    assert sleeping(0.0)() is True
