"""The order between rows: strictly forward, without overlap, and one wrong stamp must not cost the rest of the file.

A stamp that jumps ahead would make every later row look late. Therefore a row is judged when the rows that follow it
are known: it is ahead if most of the next 64 come before it. The answer does not depend on how the file is chunked.
"""

import numpy as np
from numpy.typing import NDArray

from trader.adapters.files.checks import TimedRows
from trader.adapters.files.facts import FileFacts
from trader.adapters.files.faults import Fault, Reason
from trader.adapters.files.rows import Rows
from trader.kernels import bar_rows as kernel

LOOK_AHEAD_ROWS = 64


class Sequence:
    """Lets rows pass in time order; holds the last 64 back until it knows what follows them."""

    def __init__(self, facts: FileFacts) -> None:
        layout = facts.layout
        self._field = layout.column(kernel.STAMP if layout.has(kernel.STAMP) else kernel.DATE)
        self._held: TimedRows | None = None
        self._last_open_ns = self._last_close_ns = -1
        self._faults: list[Fault] = []

    def pass_on(self, new: TimedRows | None, faults: list[Fault]) -> tuple[TimedRows | None, list[Fault]]:
        """Rows that are settled, and faults up to them, both in line order; `new` None is the end of the file.

        `faults` are of rows that were refused before, up to the last line of `new`.
        """
        rows = new if self._held is None else self._held if new is None else _joined(self._held, new)
        self._faults += faults
        if rows is None:
            return None, self._release(None)
        settled = len(rows) if new is None else max(0, len(rows) - LOOK_AHEAD_ROWS)
        keep = self._judge(rows, settled)
        self._held = rows.take(slice(settled, None))
        passed = rows.take(slice(0, settled)) if keep is None else rows.take(slice(0, settled)).take(keep)
        if len(passed):
            self._last_open_ns, self._last_close_ns = int(passed.ts_open_ns[-1]), int(passed.ts_close_ns[-1])
        return passed, self._release(int(self._held.rows.line[0]) if len(self._held) else None)

    def _release(self, before_line: int | None) -> list[Fault]:
        self._faults.sort(key=lambda fault: fault.line)
        ready = [fault for fault in self._faults if before_line is None or fault.line < before_line]
        self._faults = self._faults[len(ready) :]
        return ready

    def _judge(self, rows: TimedRows, settled: int) -> NDArray[np.bool_] | None:
        """Which of the first `settled` rows pass; None for all. Those that do not become faults."""
        opens, closes = rows.ts_open_ns, rows.ts_close_ns
        before = np.concatenate(([self._last_close_ns], closes[:-1]))
        if (opens >= before).all():
            return None
        ahead = _ahead(opens, settled).tolist()
        keep = np.zeros(settled, dtype=np.bool_)
        last_open, last_close = self._last_open_ns, self._last_close_ns
        for i, (open_ns, close_ns) in enumerate(zip(opens[:settled].tolist(), closes[:settled].tolist(), strict=True)):
            if ahead[i]:
                self._refuse(rows.rows, i, Reason.AHEAD)
            elif open_ns <= last_open:
                self._refuse(rows.rows, i, Reason.BEHIND)
            elif open_ns < last_close:
                self._refuse(rows.rows, i, Reason.OVERLAP)
            else:
                keep[i], last_open, last_close = True, open_ns, close_ns
        return keep

    def _refuse(self, rows: Rows, i: int, reason: Reason) -> None:
        value = str(rows.stamp_ns[i].view("datetime64[ns]").astype("datetime64[s]")).replace("T", " ")
        self._faults.append(Fault(line=int(rows.line[i]), reason=reason, field=self._field, value=value))


def _ahead(opens: NDArray[np.int64], settled: int) -> NDArray[np.bool_]:
    """Of the first `settled` rows, which open later than, or with, most of the rows that follow within reach."""
    padded = np.concatenate((opens, np.full(LOOK_AHEAD_ROWS, np.iinfo(np.int64).max)))
    following = np.lib.stride_tricks.sliding_window_view(padded[1:], LOOK_AHEAD_ROWS)[:settled]
    earlier = (following <= opens[:settled, None]).sum(axis=1)
    reach = np.minimum(len(opens) - 1 - np.arange(settled), LOOK_AHEAD_ROWS)
    is_ahead: NDArray[np.bool_] = (earlier > 1) & (2 * earlier > reach)
    return is_ahead


def _joined(first: TimedRows, second: TimedRows) -> TimedRows:
    a, b = first.rows, second.rows
    rows = Rows(
        stamp_ns=np.concatenate((a.stamp_ns, b.stamp_ns)),
        prices=np.concatenate((a.prices, b.prices), axis=1),
        volume=None if a.volume is None or b.volume is None else np.concatenate((a.volume, b.volume)),
        contract=None if a.contract is None or b.contract is None else np.concatenate((a.contract, b.contract)),
        offset=None if a.offset is None or b.offset is None else np.concatenate((a.offset, b.offset)),
        line=np.concatenate((a.line, b.line)),
    )
    return TimedRows(
        rows=rows,
        ts_open_ns=np.concatenate((first.ts_open_ns, second.ts_open_ns)),
        ts_close_ns=np.concatenate((first.ts_close_ns, second.ts_close_ns)),
    )
