"""Decision logs for tests, sealed with hashlib alone: one record varied, or a random run that also feeds a tally."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trader.domain.instruments import instrument
from trader.records import (
    AccountRecord,
    BarRecord,
    Canonical,
    ContinueRecord,
    EndRecord,
    EventRecord,
    FeaturesRecord,
    FillRecord,
    FusionRecord,
    IdsRecord,
    LimitsRecord,
    LlmRecord,
    OrderRecord,
    QueryRecord,
    RiskRecord,
    RlRecord,
    StartRecord,
)

NQ = instrument("NQ")
MINUTE_NS = 60_000_000_000
START_CENTS = 5_000_000
COMMISSION_CENTS = 225
TICK_CENTS = 500
X = b'{"mode":"replay","run_id":"r1"}'
KEYS = {Canonical: "c", EventRecord: "e", StartRecord: "start", ContinueRecord: "continue", EndRecord: "end"}

ACCOUNT = AccountRecord(
    position=0,
    entry=None,
    stop=None,
    target=None,
    trailing=False,
    balance=50_000.0,
    equity=50_000.0,
    drawdown=0.0,
    streak=0,
    win_rate=0.5,
    trades=0,
    account=1,
)
IDS = IdsRecord(config="c0", bundle="b0", advisor="rules", schema="5c")
START = StartRecord(
    v=1,
    code_version="0.1.0",
    market="NQ",
    bars={"source": "sample.csv.gz", "sha256": "aa", "synthetic": True, "bar_minutes": 1, "has_volume": True},
    strategy="ppo",
    strategy_sha256="5e" * 32,
    ids=IDS,
    config={"execution": {"slippage_ticks": 1, "forced_close_slippage_factor": 2}},
    calendar="ca",
    bundle={
        "name": "embedded",
        "market": "NQ",
        "provenance": {
            "label": "synthetic",
            "training": {"sha256": "bb", "first_session": "2020-01-02", "last_session": "2020-12-31", "seed": 1},
        },
    },
    mismatches=(),
    account=ACCOUNT,
    advisor=None,
    previous_run=None,
)
NO_ADVICE = LlmRecord(
    action=None,
    confidence=None,
    raw=None,
    calibrated=None,
    base_rate=None,
    verbal=None,
    legal_mass=None,
    reason=None,
    status="late",
    from_cache=False,
    age_s=0,
    reuse=0,
    prompt_sha256=None,
    visible_from_bar=None,
)


def a_bar(close_utc: datetime, session: str, close: float = 15_000.25) -> BarRecord:
    """A one-minute bar of NQ in winter time (UTC-5)."""
    open_utc = close_utc - timedelta(minutes=1)
    open_et, close_et = open_utc - timedelta(hours=5), close_utc - timedelta(hours=5)
    return BarRecord(
        open_utc=f"{open_utc:%Y-%m-%dT%H:%M:%S}Z",
        close_utc=f"{close_utc:%Y-%m-%dT%H:%M:%S}Z",
        open_et=f"{open_et:%Y-%m-%dT%H:%M:%S}-05:00",
        close_et=f"{close_et:%Y-%m-%dT%H:%M:%S}-05:00",
        session=session,
        symbol="NQH23",
        o=close,
        h=close,
        l=close,
        c=close,
        v=100,
        roll_offset=0.0,
    )


def a_record(seq: int = 0, *, minute: int = 0, session: str = "2023-01-10", **changes: object) -> Canonical:
    """A bar on which nothing happens, closing `minute` minutes after 09:31 in New York, unless changed."""
    close_utc = datetime.fromisoformat(f"{session}T14:31:00") + timedelta(minutes=minute)
    record = Canonical(
        v=1,
        seq=seq,
        bar=a_bar(close_utc, session),
        features=FeaturesRecord(
            sha256="ab" * 32,
            ready=True,
            adx=21.5,
            rsi=48.25,
            atr=12.0,
            vwap=15_001.0,
            vwap_distance=-0.00005,
            momentum=3.25,
            sma_20=15_000.0,
            sma_50=14_990.0,
            regime=1,
        ),
        rl=RlRecord(
            action="HOLD",
            confidence=0.61,
            probs=(0.61, 0.2, 0.19, 0.0, 0.0, 0.0),
            mask=(1, 1, 1, 0, 0, 0),
            forced=False,
        ),
        query=QueryRecord(asked=False, triggers=(), skipped_because="no_trigger"),
        llm=None,
        fusion=FusionRecord(method="rl_only", action="HOLD", confidence=0.61, weight=0.3),
        risk=RiskRecord(
            verdict="idle",
            vetoes=(),
            active=(),
            veto_enabled=True,
            limits=LimitsRecord(to_threshold=2_500.0, to_daily_limit=1_000.0, trades_in_session=0),
        ),
        orders=(),
        fills=(),
        account=ACCOUNT,
        ids=IDS,
    )
    return replace(record, **changes)


def a_fill(**changes: object) -> FillRecord:
    """One contract bought at 15,000.25 at 09:32 in New York, unless changed."""
    fill = FillRecord(
        ref="NQH23-1",
        nth=1,
        side="BUY",
        qty=1,
        price=15_000.25,
        commission=2.25,
        ts_utc="2023-01-10T14:32:00Z",
        reason=None,
        optimistic=None,
        pnl=None,
        risk=None,
    )
    return replace(fill, **changes)


def an_order(**changes: object) -> OrderRecord:
    """A bracket to buy one, unless changed."""
    order = OrderRecord(kind="bracket", ref="NQH23-1", side="BUY", qty=1, stop=14_990.0, target=15_030.0, reason=None)
    return replace(order, **changes)


class Sealer:
    """Writes lines as the format says: the chain of the spec, with hashlib and bytes only."""

    def __init__(self) -> None:
        self.head = ""
        self.lines = 0

    def seal(self, record: Struct, x: bytes = X) -> bytes:
        """One line with its newline."""
        payload = msgspec.json.encode(record)
        self.head = hashlib.sha256(self.head.encode("ascii") + payload).hexdigest()
        self.lines += 1
        x_hash = hashlib.sha256(x).hexdigest()
        x_sealed = x[:-1] + (b"," if len(x) > 2 else b"") + f'"sha256":"{x_hash}"}}'.encode()
        return (
            f'{{"{KEYS[type(record)]}":'.encode()
            + payload
            + b',"x":'
            + x_sealed
            + f',"hash":"{self.head}"}}\n'.encode()
        )


Day = tuple[str, Sequence[Struct]]


def log_files(
    days: Sequence[Day], *, start: StartRecord = START, closed: bool = True
) -> tuple[dict[str, list[bytes]], Sealer]:
    """The lines of each file of a run: `days` hold what stands between the joining lines."""
    sealer = Sealer()
    files: dict[str, list[bytes]] = {}
    before = ""
    for session, records in days:
        name = f"decisions-{session}.jsonl"
        opening = start if not files else ContinueRecord(previous_file=before, head=sealer.head)
        files[name] = [sealer.seal(opening), *[sealer.seal(record) for record in records]]
        before = name
    if closed:
        bars = sum(isinstance(record, Canonical) for _, records in days for record in records)
        end = EndRecord(bars=bars, lines=sealer.lines + 1, fills=(), account=ACCOUNT)
        files[before].append(sealer.seal(end))
    return files, sealer


def write_files(folder: Path, files: dict[str, list[bytes]], head: Sealer | None = None) -> Path:
    """Put a run's files into `folder`, with the head beside them where one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_bytes(b"".join(lines))
    if head is not None:
        (folder / "head.json").write_text(json.dumps({"lines": head.lines, "hash": head.head}) + "\n")
    return folder


def write_run(folder: Path, days: Sequence[Day], *, start: StartRecord = START, closed: bool = True) -> Path:
    """A run on disk, with its head if it is closed."""
    files, sealer = log_files(days, start=start, closed=closed)
    return write_files(folder, files, sealer if closed else None)


def weekdays(count: int, first: str = "2023-01-02") -> list[str]:
    """`count` dates from Monday to Friday."""
    day = date.fromisoformat(first)
    dates: list[str] = []
    while len(dates) < count:
        if day.weekday() < 5:
            dates.append(day.isoformat())
        day += timedelta(days=1)
    return dates


def three_days() -> tuple[dict[str, list[bytes]], Sealer]:
    """The files of three sessions of four bars, an event in the second."""
    first, second, third = weekdays(3)
    event = EventRecord(kind="account_renewed", from_bar=4, detail={"account": 2})
    middle = [a_record(seq, session=second) for seq in (4, 5, 6, 7)]
    return log_files(
        [
            (first, [a_record(seq, session=first) for seq in range(4)]),
            (second, [middle[0], event, *middle[1:]]),
            (third, [a_record(seq, session=third) for seq in range(8, 12)]),
        ]
    )
