"""Draws a scenario from a seed: how long it is, who trades in it, and everything that goes wrong."""

import random
from collections.abc import Callable

from msgspec import Struct

from trader.adapters.ib.plan import ForeignPolicy
from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Message, Request
from trader.gateway.orders import Kind, Leg, Step

SETTLING_BARS = 6
FAULTS = (2, 10)
REPEATING_SHARE = 0.3
REFUSALS = (110, 200, 201, 203, 321, 387, 434)
LIES = (103, 104, 135, 161, 399, 2109, 10147, 10148, 10349)
"""Errors after which the client library believes an order cancelled, or that only warn; it works on."""
CANCEL_LIES = (104, 161, 10147, 10148)
NOTES = (2103, 2105, 2107, 2158, 10197, 354, 10089, 10225)
ANSWERS = (
    (Request.HISTORY, (162, 321, 366)),
    (Request.MARKET_DATA, (354, 10089, 10168)),
    (Request.EXECUTIONS, (321,)),
    (Request.ACCOUNT_SUMMARY, (321, 322)),
    (Request.CONTRACT_DETAILS, (321, 322)),
)
FRAMES = (
    Message.ORDER_STATUS,
    Message.OPEN_ORDER,
    Message.EXECUTION,
    Message.COMMISSION_REPORT,
    Message.ERROR,
    Message.HISTORY,
    Message.POSITION,
    Message.POSITION_END,
    Message.OPEN_ORDER_END,
    Message.EXECUTION_END,
    Message.CURRENT_TIME,
    90,  # an update of a bar
    0,
)


class Plan(Struct, frozen=True, kw_only=True):
    """A scenario. `bars` are played, the last `SETTLING_BARS` of them without new faults; `start` is where among the
    session's minutes. `rate` is how often the strategy acts, `changes` are settings in place of the bed's. `pauses` are
    bars in which the daemon stands still, and for how many seconds; `repeats`: the line hands each entry over thrice.
    """

    seed: int
    bars: int
    start: int
    qty: int
    rate: float
    policy: ForeignPolicy
    faults: tuple[Fault, ...]
    changes: tuple[str, ...] = ()
    pauses: tuple[tuple[int, float], ...] = ()
    repeats: bool = False


def draw(seed: int) -> Plan:
    """The scenario of a seed."""
    chance = random.Random(seed)  # noqa: S311 -- a scenario repeats itself, it keeps no secret
    bars = chance.choice((30, 32, 35, 60))
    policy = chance.choice(list(ForeignPolicy))
    qty = chance.choice((1, 1, 2, 3))
    verbs = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=chance.randint(*FAULTS))
    faults = tuple(DRAWN.get(verb, _at_a_bar)(verb, chance, bars - SETTLING_BARS) for verb in verbs)
    start, rate = chance.randint(455, 560), chance.choice((0.5, 0.9, 1.0))
    pausing = sorted(chance.sample(range(2, bars - SETTLING_BARS), chance.choice((0, 1, 1, 2))))
    return Plan(
        seed=seed,
        bars=bars,
        start=start,
        qty=qty,
        rate=rate,
        policy=policy,
        faults=faults,
        pauses=tuple((bar, round(chance.uniform(2.5, 7.0), 2)) for bar in pausing),
        repeats=chance.random() < REPEATING_SHARE,
    )


def _when(chance: random.Random, most: int = 6, rate: float = 0.3) -> tuple[int | None, float]:
    """By number or by rate."""
    return (chance.randint(1, most), 0.0) if chance.random() < 0.6 else (None, round(chance.uniform(0.05, rate), 3))


def _frame(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    message = int(chance.choice(FRAMES))
    nth, rate = _when(chance, 40 if message in {0, 90} else 12, 0.02 if message == 0 else 0.3)
    if verb is Verb.DROP and message == Message.POSITION:
        nth, rate = chance.randint(1, 12), 0.0  # an answer that is complete without it says: flat
    if verb is Verb.TRUNCATE:
        nth, rate = chance.randint(1, 60 if message in {0, 90} else 10), 0.0
    seconds = round(chance.uniform(0.05, 20.0), 2)
    return Fault(do=verb, message=message, nth=nth, rate=rate, seconds=seconds)


def _at_a_bar(verb: Verb, chance: random.Random, bars: int) -> Fault:
    lasts = chance.randint(1, 3)
    return Fault(
        do=verb,
        bar=chance.randint(2, bars - lasts - 1),
        bars=lasts,
        ticks=chance.randint(-8, 8),
        ids=chance.randint(1, 12),
    )


def _outage(verb: Verb, chance: random.Random, bars: int) -> Fault:
    lasts = chance.randint(1, 4)
    return Fault(
        do=verb,
        bar=chance.randint(2, bars - lasts - 1),
        bars=lasts,
        code=chance.choice((1101, 1102)),
        tells=chance.random() < 0.4,
    )


def _note(verb: Verb, chance: random.Random, bars: int) -> Fault:
    return Fault(do=verb, bar=chance.randint(2, bars - 1), code=chance.choice(NOTES), text="by script")


def _hold(verb: Verb, chance: random.Random, bars: int) -> Fault:
    lasts = chance.randint(1, 4)
    return Fault(do=verb, bar=chance.randint(2, bars - lasts - 1), bars=lasts, client=17)


def _clock(verb: Verb, chance: random.Random, bars: int) -> Fault:
    return Fault(do=verb, bar=chance.randint(2, bars - 1), seconds=chance.choice((-90.0, -5.0, -1.0, 1.0, 5.0, 90.0)))


def _reject(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    nth, rate = _when(chance)
    step = chance.choice((None, Step.NEW, Step.MODIFY))
    leg = chance.choice((None, *Leg))
    return Fault(do=verb, nth=nth, rate=rate, code=chance.choice(REFUSALS), leg=leg, step=step)


def _lie(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    nth, rate = _when(chance)
    kind = chance.random()
    if kind < 0.3:
        request, codes = chance.choice(ANSWERS)
        return Fault(do=verb, nth=nth, rate=rate, message=int(request), code=chance.choice(codes), text="by script")
    leg = chance.choice((None, *Leg))
    if kind < 0.5:
        nth = None if nth is None else 1
        return Fault(do=verb, nth=nth, rate=rate, step=Step.CANCEL, code=chance.choice(CANCEL_LIES))
    step = chance.choice((None, Step.NEW, Step.MODIFY))
    return Fault(do=verb, nth=nth, rate=rate, leg=leg, step=step, code=chance.choice(LIES), text="by script")


def _on_order(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    nth, rate = _when(chance)
    return Fault(do=verb, nth=nth, rate=rate, leg=chance.choice((None, *Leg)))


def _on_cancel(verb: Verb, chance: random.Random, bars: int) -> Fault:
    """Cancels are few: each of them."""
    del chance, bars
    return Fault(do=verb, rate=1.0)


def _partial(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    nth, rate = _when(chance, rate=0.9)
    leg = chance.choice((None, Leg.ENTRY, Leg.ENTRY, Leg.CLOSE, Leg.STOP))
    return Fault(do=verb, nth=nth, rate=rate, leg=leg, portions=(1,) * chance.randint(1, 2))


def _correction(verb: Verb, chance: random.Random, bars: int) -> Fault:
    del bars
    nth, rate = _when(chance)
    return Fault(do=verb, nth=nth, rate=rate, ticks=chance.choice((-4, -1, 1, 4)))


def _by_hand(verb: Verb, chance: random.Random, bars: int) -> Fault:
    kind = chance.choice((Kind.LIMIT, Kind.STOP))
    qty = chance.choice((-2, -1, 1, 2))
    return Fault(do=verb, bar=chance.randint(2, bars - 1), qty=qty, kind=kind, ticks=chance.randint(2, 40))


WEIGHTS = dict.fromkeys(Verb, 1.0) | {
    Verb.EXPIRY: 0.4,
    Verb.REJECT: 2.0,
    Verb.ERROR_ON: 3.0,
    Verb.PARTIAL: 2.0,
    Verb.FILL_BEFORE_CANCEL: 3.0,
    Verb.FILL_AFTER_CANCEL: 5.0,
    Verb.LOSE: 2.0,
    Verb.SWALLOW: 2.0,
}
DRAWN: dict[Verb, Callable[[Verb, random.Random, int], Fault]] = {
    Verb.DROP: _frame,
    Verb.DELAY: _frame,
    Verb.DUPLICATE: _frame,
    Verb.REORDER: _frame,
    Verb.TRUNCATE: _frame,
    Verb.OUTAGE: _outage,
    Verb.ERROR: _note,
    Verb.HOLD_ID: _hold,
    Verb.CLOCK_JUMP: _clock,
    Verb.REJECT: _reject,
    Verb.ERROR_ON: _lie,
    Verb.PARTIAL: _partial,
    Verb.FILL_BEFORE_CANCEL: _on_cancel,
    Verb.FILL_AFTER_CANCEL: _on_cancel,
    Verb.SWALLOW: _on_order,
    Verb.LOSE: _on_order,
    Verb.CORRECTED_EXECUTION: _correction,
    Verb.MANUAL_TRADE: _by_hand,
    Verb.MANUAL_ORDER: _by_hand,
}
