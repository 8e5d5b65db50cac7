"""`trader advisor ask`: one question by hand, to see what the model is told and what it makes of it.

What is printed is the back end's own answer: calibration, cache and fusion come later and need a run.
"""

import math
import sys
import threading
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trader.advisor.probes import probe_questions
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question
from trader.analysis.rows import printable
from trader.backends import model_backend, prompt_maker
from trader.commands.common import settings_from
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import AdviceStatus
from trader.domain.instruments import Instrument, instrument
from trader.domain.units import SECOND_NS
from trader.errors import UsageError
from trader.options import AskOptions, FileOptions
from trader.settings import Settings

_FLAT_MASK = 1 << Action.HOLD | 1 << Action.BUY | 1 << Action.SELL
_HELD_MASK = 1 << Action.HOLD | 1 << Action.MOVE_TO_BE
_SIDES = {"flat": 0, "long": 1, "short": -1}
_NEW_YORK = ZoneInfo("America/New_York")
_OPEN_AFTER_NS = 16 * 3_600 * SECOND_NS  # a session that began the evening before, as most questions have


class Asked(Struct, frozen=True, kw_only=True):
    """What `--json` prints. Probabilities are of the valid actions' labels; `latency_ms` is the question's alone."""

    identity: str
    started_s: float
    latency_ms: float
    status: str
    error: str | None
    prompt_sha256: str | None
    messages: tuple[tuple[str, str], ...]
    reply: str | None
    probabilities: dict[str, float] | None
    legal_mass: float | None
    action: str | None
    confidence: float | None
    reason: str | None


def run(files: FileOptions, wanted: AskOptions, *, as_json: bool) -> int:
    """Ask, print, and give the exit code: 0 for advice or scores, 1 where there is neither."""
    settings = settings_from(files)
    question = question_from(wanted, instrument(settings.market), settings)
    asked = ask(settings, question)
    sys.stdout.write(msgspec.json.encode(asked).decode() + "\n" if as_json else table(asked))
    return 0 if asked.status == AdviceStatus.USED.value else 1


def ask(settings: Settings, question: Question) -> Asked:
    """What the configured back end answers; ConfigurationError where it does not start."""
    if settings.advisor.backend in {"off", "recorded", "ensemble"}:
        msg = (
            f"advisor.backend {settings.advisor.backend} answers no question by hand; name who does, such as "
            "--set advisor.backend=phi3"
        )
        raise UsageError(msg)
    prompts = prompt_maker(settings)
    waits = _Reason()
    backend = model_backend(settings, settings.advisor.backend, prompts, waits.take)
    try:
        began = time.perf_counter()
        backend.start()
        started = time.perf_counter()
        answer = backend.ask(question)
        ended = time.perf_counter()
        advisor = settings.advisor
        writes = advisor.wants_reason and advisor.mode == "score" and advisor.backend == "phi3"
        reason = waits.given(advisor.worker.reply_timeout_s) if writes and answer.scores is not None else None
        return _asked(answer, prompts.render(question), reason, backend.identity, (started - began, ended - started))
    finally:
        backend.close()


def _asked(answer: Answer, prompt: Prompt, reason: str | None, identity: str, seconds: tuple[float, float]) -> Asked:
    advice, scores = answer.advice, answer.scores
    chances = None if scores is None else zip(ACTIONS, scores.log_probs, strict=True)
    return Asked(
        identity=identity,
        started_s=round(seconds[0], 3),
        latency_ms=round(seconds[1] * 1e3, 3),
        status=answer.status.value,
        error=answer.error,
        prompt_sha256=answer.prompt_sha256,
        messages=tuple((message.role, message.content) for message in prompt.messages),
        reply=None if answer.trace is None else answer.trace.reply,
        probabilities=None if chances is None else {a.name: math.exp(p) for a, p in chances if p is not None},
        legal_mass=None if scores is None else scores.legal_mass,
        action=None if advice is None else advice.action.name,
        confidence=None if advice is None else advice.confidence,
        reason=reason if advice is None else advice.reason,
    )


class _Reason:
    """The reason that a model writes after its answer, in another thread."""

    def __init__(self) -> None:
        self._is_there = threading.Event()
        self._text: str | None = None

    def take(self, prompt_sha256: str, text: str) -> None:
        del prompt_sha256
        self._text = text
        self._is_there.set()

    def given(self, patience_s: float) -> str | None:
        self._is_there.wait(patience_s)
        return self._text


def question_from(wanted: AskOptions, market: Instrument, settings: Settings) -> Question:
    """The question that these figures raise; entry and stop follow from price and ATR where they are not given."""
    side = _SIDES[wanted.position]
    entry = wanted.price if wanted.entry is None else wanted.entry
    stop = entry - side * settings.execution.stop_atr * wanted.atr if wanted.stop is None else wanted.stop
    point_cents = market.ticks_per_point * market.tick_value_cents * settings.execution.qty
    trail = Action.DISABLE_TRAIL if wanted.trailing else Action.ENABLE_TRAIL
    closed_ns = _closed_ns(wanted.time)
    return replace(
        probe_questions(market)[0],
        ts_close_ns=closed_ns,
        session_open_ns=closed_ns - _OPEN_AFTER_NS,
        market=market.symbol,
        symbol=market.symbol,
        market_name=market.name,
        time_et=wanted.time,
        price=wanted.price,
        atr=wanted.atr,
        adx=wanted.adx,
        rsi=wanted.rsi,
        vwap=wanted.price / (1 + wanted.vwap_distance),
        vwap_distance=wanted.vwap_distance,
        momentum=wanted.momentum,
        mask=_HELD_MASK | 1 << trail if side else _FLAT_MASK,
        position_qty=side * settings.execution.qty,
        entry_price=entry if side else None,
        stop_price=stop if side else None,
        trailing=bool(side) and wanted.trailing,
        unrealized_cents=round((wanted.price - entry) * side * point_cents),
        initial_risk_cents=round(abs(entry - stop) * point_cents) if side else 0,
        win_rate=wanted.win_rate,
        streak=wanted.losses,
        balance_cents=round(wanted.balance * 100),
    )


def table(asked: Asked) -> str:
    """For people: the answer, then what the model was told."""
    lines = [
        f"back end   {asked.identity}",
        f"started    in {asked.started_s:.2f} s",
        f"latency    {asked.latency_ms:.1f} ms",
        f"status     {asked.status}" + (f": {printable(asked.error)}" if asked.error else ""),
    ]
    if asked.probabilities is not None:
        likeliest = sorted(asked.probabilities.items(), key=lambda each: -each[1])
        lines += [f"           {label:<14} {probability:7.4f}" for label, probability in likeliest]
        lines.append(f"legal mass {asked.legal_mass:.4f}")
    if asked.action is not None:
        lines.append(f"advice     {asked.action} {asked.confidence:.2f}")
    if asked.reason:
        lines.append(f"reason     {printable(asked.reason)}")
    if asked.reply:
        lines.append(f"reply      {asked.reply!r}")
    lines.append(f"\nprompt {asked.prompt_sha256 or '(what a model would be told)'}")
    for role, content in asked.messages:
        lines.append(f"\n[{role}]\n{content}")
    return "\n".join(lines) + "\n"


def _closed_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is not None:
        msg = f"--time {text!r} is no time of New York such as 2023-03-15 10:00"
        raise UsageError(msg)
    return int(moment.replace(tzinfo=_NEW_YORK).timestamp()) * SECOND_NS
