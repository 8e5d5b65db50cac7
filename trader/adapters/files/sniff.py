"""Finds out what a bar file is, and how that is known, before one bar is used."""

from trader.adapters.files.clock import to_utc, zone_name
from trader.adapters.files.facts import FileFacts, Stamp
from trader.adapters.files.layout import Layout, LayoutName
from trader.adapters.files.options import ReadOptions
from trader.adapters.files.proof import Known, prove_clock
from trader.adapters.files.survey import bar_minutes, survey
from trader.adapters.files.texts import BarTexts
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import UsageError
from trader.kernels import bar_rows as kernel

NAMED_LAYOUT_CLOCKS = {"firstrate": "America/New_York", "tradingview": "UTC"}
"""Time zone that a layout means when the user names it; both stamp the bar's open."""


def sniff(text: BarTexts, *, market: Instrument, calendar: Calendar, options: ReadOptions) -> FileFacts:
    """Read the whole text once and say what it is; InputError where it is no file of bars or proves too little."""
    path = text.path
    layout = text.layout(options.layout)
    seen, form = survey(text, layout, market)
    period = bar_minutes(str(path), seen)
    clock = prove_clock(str(path), seen, period, calendar, _known(layout, options))
    early_ns = period * MINUTE_NS if clock.stamp == Stamp.CLOSE else 0
    return FileFacts(
        path=str(path),
        sha256=text.sha256,
        size_bytes=text.size_bytes,
        layout=layout,
        form=form,
        rows=seen.rows,
        first_ns=int(to_utc(seen.run_first[:1], clock.tz)[0]) - early_ns,
        last_ns=int(to_utc(seen.run_last[-1:], clock.tz)[0]) - early_ns,
        bar_minutes=period,
        has_volume=layout.has(kernel.VOLUME),
        tz=clock.tz,
        tz_proof=clock.tz_proof,
        stamp=clock.stamp,
        stamp_proof=clock.stamp_proof,
        contracts=seen.contracts,
        is_mixed=seen.is_mixed,
    )


def _known(layout: Layout, options: ReadOptions) -> Known:
    """What the stamps or the user state of the clock; UsageError where the two contradict each other."""
    by_layout = options.layout if options.layout in NAMED_LAYOUT_CLOCKS else None
    tz, tz_proof = None, ""
    if options.tz is not None:
        tz, tz_proof = zone_name(options.tz), f"stated by --tz {options.tz}"
    elif by_layout is not None:
        tz, tz_proof = NAMED_LAYOUT_CLOCKS[by_layout], f"stated by --layout {by_layout}"
    if layout.is_zoned:
        if options.tz is not None and tz not in {"UTC", "Etc/UTC"}:
            msg = f"--tz {options.tz} contradicts the file, whose stamps name instants by themselves; leave it out"
            raise UsageError(msg)
        is_epoch = layout.forms[0] <= kernel.EPOCH_NS
        how = "counts time since 1970 UTC" if is_epoch else "states its offset from UTC"
        tz, tz_proof = "UTC", f"proved by the file: each stamp {how}"
    stamp, stamp_proof = None, ""
    if options.stamp is not None:
        stamp, stamp_proof = Stamp(options.stamp), f"stated by --stamp {options.stamp}"
    elif by_layout is not None:
        stamp, stamp_proof = Stamp.OPEN, f"stated by --layout {by_layout}"
    elif layout.name == LayoutName.DATABENTO:
        stamp, stamp_proof = Stamp.OPEN, "proved by the file: the columns are Databento's, whose ts_event is the open"
    return Known(tz=tz, tz_proof=tz_proof, stamp=stamp, stamp_proof=stamp_proof)
