"""A bar file opened for reading: what is known of it, its bars as columns, and the rows that were skipped."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trader.adapters.columns import BarColumns
from trader.adapters.files.checks import TimedRows, bar_times, check_rows
from trader.adapters.files.clock import to_utc
from trader.adapters.files.contracts import Labels, NamedContracts, PlannedContracts
from trader.adapters.files.facts import FileFacts
from trader.adapters.files.faults import Fault, Reason, Skipped
from trader.adapters.files.folder import DayTexts
from trader.adapters.files.front import NO_CHOICE, front_months
from trader.adapters.files.known import KnownDefects, known_sessions
from trader.adapters.files.layout import LayoutName
from trader.adapters.files.options import ReadOptions, Window, WindowCut
from trader.adapters.files.order import Sequence
from trader.adapters.files.rolls import Roll, RollPlan, is_contract, is_same, read_rolls, require_contract
from trader.adapters.files.rows import Rows
from trader.adapters.files.sniff import sniff
from trader.adapters.files.texts import LINES_A_FILE, BarTexts, OneText
from trader.adapters.files.thin import thin_sessions
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS
from trader.errors import InputError

DAYS_WITHOUT_ROLL = 80
"""A quarterly contract leads for about 91 days; a longer stretch of bars may hide a roll."""


class BarSource:
    """One opened file of bars. `columns` reads it; afterwards `skipped` and `rows_of_others` say what was left out.

    `facts` is what the file is, `plan` what is stated of its contracts, `rolls` the changes of contract that the last
    reading has met, each with its offset. A folder of daily files is read as one file.
    """

    def __init__(
        self, texts: BarTexts, facts: FileFacts, market: Instrument, calendar: Calendar, options: ReadOptions
    ) -> None:
        self.facts = facts
        self.plan = _plan(facts, market, options)
        self.rolls: list[Roll] = []
        self._contract = ""
        self.skipped = Skipped()
        self.rows_of_others = 0
        self._texts = texts
        self._market = market
        self._calendar = calendar
        self._options = options
        self._window = Window.of(options)
        self._is_named = _names_contracts(facts, market)
        is_databento = facts.layout.name == LayoutName.DATABENTO
        chooses = self._is_named and (facts.is_mixed or is_databento) and options.contract is None
        self._fronts = front_months(texts, facts, market, calendar) if chooses else NO_CHOICE

    @property
    def fronts(self) -> tuple[Roll, ...]:
        """The front month from each 18:00 ET on at which it changes; offsets are known after reading (`rolls`)."""
        return self._fronts.schedule

    @property
    def bars_at_most(self) -> int:
        """How many bars `columns` will give, or a few more: what progress is measured by."""
        sessions = ((self._calendar.session(index), bars) for index, bars in self._fronts.bars.items())
        window = self._window
        inside = sum(bars for at, bars in sessions if at.close_ns > window.from_ns and at.open_ns < window.to_ns)
        return inside if self.fronts else self.facts.rows

    @property
    def sha256(self) -> str:
        """Hash of the file's own bytes, packed where it is packed; of a folder, of its files' names and hashes."""
        return self.facts.sha256

    def columns(self) -> Iterator[BarColumns]:
        """All bars in time order, in chunks of about `chunk_rows`; each call reads the file anew.

        BadBarError at the first bad row, or, with on_bad_bar "skip", none: such rows are counted in `skipped`.
        InputError where the file changed since it was opened, or a contract's offset is not known.
        """
        self.skipped, self.rows_of_others, self.rolls = Skipped(), 0, []
        self._contract = ""
        contracts, known = self._contracts(), KnownDefects(self.facts, self._calendar)
        order, window = Sequence(self.facts), WindowCut(self._window)
        texts = self._texts
        for rows, unread in texts.rows(self.facts.layout, self.facts.form, self._options.chunk_rows):
            timed, faults = window.cut(self._timed(rows), unread)
            if window.is_over:
                break
            chosen = contracts.choose(timed)
            self.rows_of_others += len(timed) - len(chosen)
            good, bad = check_rows(self._without_known(chosen, known), self.facts, self._market)
            yield from self._settle(*order.pass_on(good, faults + bad), contracts)
        yield from self._settle(*order.pass_on(None, []), contracts)
        self.rows_of_others += texts.spreads
        self.skipped.notes = [*known.told(), *self._holes(texts)]
        if texts.sha256 not in {"", self.sha256}:
            msg = f"{self.facts.path} changed while it was read; start again"
            raise InputError(msg)

    def _settle(
        self, passed: TimedRows | None, faults: list[Fault], contracts: PlannedContracts | NamedContracts
    ) -> Iterator[BarColumns]:
        """Bars of rows that passed; before them the faults are counted, or the first is raised."""
        if faults and self._options.on_bad_bar != "skip":
            raise self._texts.placed(faults[0]).error(self.facts.path)
        self.skipped.add(self._texts.placed(fault) for fault in faults)
        if passed is not None and len(passed):
            labels = contracts.label(passed)
            self._note_rolls(passed, labels)
            yield _columns(passed, labels)

    def _without_known(self, timed: TimedRows, known: KnownDefects) -> TimedRows:
        """The rows without those that are known to be wrong, which are counted whatever --on-bad-bar says."""
        rest, at_edge, listed = known.cut(timed)
        self.skipped.add(self._texts.placed(fault) for fault in at_edge)
        if listed:
            self.skipped.counts[Reason.KNOWN] += listed
        return rest

    def _holes(self, texts: BarTexts) -> list[str]:
        """What seems to be missing: days without a file, sessions with few bars."""
        if self.facts.layout.name != LayoutName.DATABENTO:
            return []
        listed = frozenset(known.session for known in known_sessions())
        thin = thin_sessions(self._fronts.bars, self.facts.bar_minutes, self._window, listed, self._calendar)
        return [*texts.gaps(self._calendar), *thin]

    def _note_rolls(self, passed: TimedRows, labels: Labels) -> None:
        is_first = np.append(True, np.diff(labels.index) != 0)
        names = [labels.symbols[i] for i in labels.index[is_first].tolist()]
        for i, contract in zip(np.flatnonzero(is_first).tolist(), names, strict=True):
            if self._contract not in {"", contract}:
                points = float(labels.roll_offset[i])
                self.rolls.append(Roll(ts_ns=int(passed.ts_open_ns[i]), contract=contract, offset_points=points))
            self._contract = contract

    def _timed(self, rows: Rows) -> TimedRows:
        instants = to_utc(rows.stamp_ns, self.facts.tz)
        ts_open_ns, ts_close_ns = bar_times(instants, self.facts, self._calendar)
        return TimedRows(rows=rows, ts_open_ns=ts_open_ns, ts_close_ns=ts_close_ns)

    def _contracts(self) -> PlannedContracts | NamedContracts:
        if not self._is_named:
            return PlannedContracts(self.facts.path, self._market, self.plan)
        return NamedContracts(self._texts, self._market, self.plan, wanted=self._wanted(), schedule=self.fronts)

    def _wanted(self) -> str | None:
        """The contract of the options as the file writes it; InputError where the file does not have it."""
        contract = self._options.contract
        if contract is None:
            return None
        ours = [name for name in self.facts.contracts if is_contract(name, self._market)]
        found = next((name for name in ours if is_same(name, contract)), None)
        if found is None:
            msg = f"{self.facts.path} has no bar of {contract}; it names {', '.join(ours[:8])}"
            raise InputError(msg)
        return found


def open_bars(path: Path, *, market: Instrument, calendar: Calendar, options: ReadOptions | None = None) -> BarSource:
    """Find out what a file of bars, or a folder of daily ones, is and make it ready to be read.

    Of a folder only the files that --from and --to need are opened. InputError where it is missing, no file of bars,
    outside the calendar, or leaves open what must be known: the message names the option that states it. UsageError
    where an option cannot be read.
    """
    options = options or ReadOptions()
    options.require_known()
    window = Window.of(options)
    if options.contract is not None:
        require_contract(options.contract, market)
    texts: BarTexts = DayTexts(path, window) if path.is_dir() else OneText(path)
    facts = sniff(texts, market=market, calendar=calendar, options=options)
    first_ns, last_ns = max(facts.first_ns, window.from_ns), min(facts.last_ns, window.to_ns - 1)
    if first_ns > last_ns:
        msg = f"{path}: no bar lies in the range of --from and --to; the file has {_extent(facts)}"
        raise InputError(msg)
    _require_covered(facts, first_ns, calendar)
    return BarSource(texts, facts, market, calendar, options)


def _plan(facts: FileFacts, market: Instrument, options: ReadOptions) -> RollPlan:
    """What is stated of the contracts; InputError where a long file states nothing."""
    match options.rolls:
        case RollPlan() as plan:
            return plan
        case Path() as path:
            first = options.contract or (facts.contracts[0] if facts.contracts else None)
            return read_rolls(path, market, first)
        case "none":
            return RollPlan(first_contract=options.contract, rolls=(), is_adjusted=True)
        case None:
            pass
    window = Window.of(options)
    days = (min(facts.last_ns, window.to_ns - 1) - max(facts.first_ns, window.from_ns)) / DAY_NS
    if days > DAYS_WITHOUT_ROLL and options.contract is None and not _names_contracts(facts, market):
        msg = (
            f"{facts.path} has {days:.0f} days of bars ({_extent(facts)}) and does not name their contract; state the "
            "rolls in a file and give it with --rolls FILE, or say --rolls none if it is one contract or the prices "
            "are already adjusted"
        )
        raise InputError(msg)
    return RollPlan(first_contract=options.contract, rolls=(), is_adjusted=False)


def _names_contracts(facts: FileFacts, market: Instrument) -> bool:
    """Does a column name contracts of the market? A column that says NQ on every line does not."""
    return (
        facts.layout.name == LayoutName.DATABENTO
        or len(facts.contracts) > 1
        or any(is_contract(name, market) for name in facts.contracts)
    )


def _require_covered(facts: FileFacts, first_ns: int, calendar: Calendar) -> None:
    try:
        calendar.session_index(np.array([first_ns]))
    except InputError as error:
        msg = f"{facts.path}: {error}"
        raise InputError(msg) from None


def _extent(facts: FileFacts) -> str:
    first, last = (np.datetime64(ns, "ns").astype("datetime64[D]") for ns in (facts.first_ns, facts.last_ns))
    return f"{first} to {last}"


def _columns(passed: TimedRows, labels: Labels) -> BarColumns:
    rows = passed.rows
    in_step = int(rows.line[-1] - rows.line[0]) == len(passed) - 1
    return BarColumns(
        ts_open_ns=passed.ts_open_ns,
        ts_close_ns=passed.ts_close_ns,
        open=rows.prices[0],
        high=rows.prices[1],
        low=rows.prices[2],
        close=rows.prices[3],
        volume=rows.volume,
        symbols=labels.symbols,
        symbol_index=labels.index,
        roll_offset=labels.roll_offset,
        first_line=int(rows.line[0]) % LINES_A_FILE if in_step else 0,
    )
