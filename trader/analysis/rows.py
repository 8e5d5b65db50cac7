"""One line of the decision log as a row of 120 columns, and under it the orders and fills of its bar."""

from trader.analysis.log import Entry
from trader.analysis.reasons import Reasons
from trader.domain.decisions import AdviceStatus
from trader.records import (
    Canonical,
    ContinueRecord,
    EndRecord,
    EventRecord,
    FillRecord,
    LlmRecord,
    OrderRecord,
    StartRecord,
)

_COLUMNS = "{:<16} {:>8} {:<17} {:<17} {:<14} {:<13} {:<18}{:>3} {:>7}"
_REVIEW = slice(91, 109)
_REVIEW_WIDTH = _REVIEW.stop - _REVIEW.start
HEADER = (
    _COLUMNS.format("time ET", "close", "strategy", "advice", "fusion", "decided", "review", "qty", "equity") + "\n"
)
_USABLE = frozenset({AdviceStatus.USED.value, AdviceStatus.CACHED.value})
_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"


def row(entry: Entry, *, in_colour: bool, reasons: Reasons | None = None) -> str:
    """The text of a line, its newlines included; empty for a line that only joins two files."""
    match entry.record():
        case Canonical() as bar:
            lines = _bar(bar, in_colour=in_colour)
            reason = None if reasons is None else reasons.of(entry.path, bar)
            if reason is not None:
                lines.append(f"        advice: {printable(reason)}")
        case StartRecord() as start:
            lines = [f"start   {start.market}, {start.strategy}, code {start.code_version}"]
        case EventRecord() as event:
            said = "".join(f" {key}={value}" for key, value in event.detail.items())
            lines = [f"event   {event.kind} from bar {event.from_bar}:{said}"]
        case EndRecord() as end:
            fills = [_fill(fill, in_colour=in_colour) for fill in end.fills]
            lines = [*fills, f"end     {end.bars:,} bars, equity {end.account.equity:,.2f} $"]
        case ContinueRecord():
            lines = []
    return "".join(f"{line}\n" for line in lines)


def _bar(bar: Canonical, *, in_colour: bool) -> list[str]:
    risk, account = bar.risk, bar.account
    text = _COLUMNS.format(
        bar.bar.close_et[:16].replace("T", " "),
        f"{bar.bar.c:.2f}",
        _choice(bar.rl.action, bar.rl.confidence),
        _advice(bar.llm),
        bar.fusion.method,
        bar.fusion.action,
        _vetoes(risk.vetoes) if risk.vetoes else risk.verdict.replace("idle", ""),
        f"{account.position:+d}" if account.position else "",
        f"{account.equity:,.0f}",
    )
    if in_colour and risk.verdict != "idle":
        colour = _RED if risk.vetoes else _GREEN
        text = text[: _REVIEW.start] + colour + text[_REVIEW] + _PLAIN + text[_REVIEW.stop :]
    fills = [_fill(fill, in_colour=in_colour) for fill in bar.fills]
    return [*fills, text, *map(_order, bar.orders)]


def _choice(action: str, confidence: float) -> str:
    return f"{action} {f'{min(confidence, 0.99):.2f}'[1:] if confidence < 0.995 else '1.0'}"


def _advice(llm: LlmRecord | None) -> str:
    if llm is None:
        return ""
    if llm.status in _USABLE and llm.action is not None and llm.confidence is not None:
        return _choice(llm.action, llm.confidence)
    return llm.status


def printable(text: str) -> str:
    """A model's text on one line of a terminal: nothing in it may steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _vetoes(rules: tuple[str, ...]) -> str:
    more = f" +{len(rules) - 1}" if len(rules) > 1 else ""
    return rules[0][: _REVIEW_WIDTH - len(more)] + more


def _order(order: OrderRecord) -> str:
    size = "" if order.side is None else f" {order.side} {order.qty}"
    levels = "" if order.stop is None else f" stop {order.stop:.2f} target {order.target:.2f}"
    return f"        order {order.kind}{size}{levels}{f' ({order.reason})' if order.reason else ''}"


def _fill(fill: FillRecord, *, in_colour: bool) -> str:
    text = f"        fill {fill.side} {fill.qty} at {fill.price:.2f}"
    if fill.reason is not None:
        text += f" ({fill.reason})"
    if fill.optimistic is not None:
        text += f", ambiguous: {fill.optimistic:.2f} at best"
    if fill.pnl is None:
        return text
    net = f"net {fill.pnl:+,.2f} $"
    return f"{text}, {f'{_GREEN if fill.pnl > 0 else _RED}{net}{_PLAIN}' if in_colour else net}"
