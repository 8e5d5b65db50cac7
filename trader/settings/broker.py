"""The keys of Interactive Brokers: the connection, how long is waited, its nights, and what is done when in doubt.

All are marked ASIDE: the line decides the same wherever its bars come from and its orders go. What such a key does lead
to (no entries, a protected position) stands in the log as an event.
"""

import re
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from trader.settings.marks import LIMIT, Section
from trader.settings.values import TimeOfDay

_ACCOUNT = re.compile("D?[A-Z]{1,3}[0-9]{4,12}")
Seconds = Annotated[float, Field(gt=0, le=3_600)]
Minutes = Annotated[int, Field(ge=0, le=240)]
ClientId = Annotated[
    int, Field(ge=1, le=999_999)
]  # 0 would take over the orders that a person makes in the application


def _account(value: str) -> str:
    if not _ACCOUNT.fullmatch(value):
        # The message must not repeat the value: it may be a number with one wrong letter.
        msg = "must be an account as the application shows it, such as DU1234567 (DU: paper), or null"
        raise ValueError(msg)
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # not known, no name of a zone, a folder of zones
        msg = "must be a time zone such as America/New_York, or null for this machine's"
        raise ValueError(msg) from None
    return value


class OutageSettings(Section):
    """When the broker is away by plan; the reset's times are New York's, the restart's are `restart_zone`'s."""

    restart_at: TimeOfDay | None
    restart_zone: Annotated[str, AfterValidator(_zone)] | None
    restart_min: Annotated[int, Field(ge=1, le=120)]
    reset_start: TimeOfDay
    reset_end: TimeOfDay
    weekend_start: TimeOfDay
    weekend_end: TimeOfDay
    no_entries_before_min: Minutes
    alert_after_min: Minutes
    flatten_before_reset: bool
    flatten_before_min: Annotated[int, Field(ge=1, le=240)]

    @model_validator(mode="after")
    def _windows_end_after_they_start(self) -> Self:
        if self.reset_start >= self.reset_end:
            msg = f"reset_start {self.reset_start:%H:%M} is not before reset_end {self.reset_end:%H:%M}"
            raise ValueError(msg)
        return self


class IbSettings(Section):
    """The connection to TWS or IB Gateway, and the patience with it."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    allow_remote: bool
    port: Annotated[int, Field(ge=1, le=65_535)]
    client_id: ClientId
    fallback_client_id: ClientId
    account: Annotated[str, AfterValidator(_account)] | None
    library: Literal["auto", "ib_insync", "ib_async"]
    connect_timeout_s: Seconds
    request_timeout_s: Seconds
    probe_every_s: Annotated[float, Field(ge=0, le=60)]
    probe_misses: Annotated[int, Field(ge=1, le=10)]
    backoff_first_s: Seconds
    backoff_max_s: Seconds
    in_use_tries: Annotated[int, Field(ge=1, le=100)]
    loop_pause_s: Seconds
    down_alert_s: Seconds
    down_alert_open_s: Seconds
    grace_s: Annotated[float, Field(ge=0, le=30)]
    stale_after_s: Annotated[float, Field(gt=0, le=600)]
    warmup_sessions: Annotated[int, Field(ge=0, le=60)]
    ask_every_s: Seconds
    change_tries: Annotated[int, Field(ge=1, le=20)]
    close_tries: Annotated[int, Field(ge=1, le=100)]
    lost_max_min: Annotated[float, Field(gt=0, le=240)]
    disk_patience_s: Annotated[float, Field(gt=0, le=10)]
    position_poll_s: Seconds
    orders_poll_s: Seconds
    margin_every_s: Seconds
    margin_age_s: Annotated[float, Field(gt=0, le=86_400), LIMIT]
    ack_timeout_s: Annotated[float, Field(gt=0, le=60), LIMIT]
    unresolved_s: Annotated[float, Field(gt=0, le=600), LIMIT]
    naked_grace_s: Annotated[float, Field(gt=0, le=10), LIMIT]
    foreign: Annotated[Literal["adopt", "ignore", "refuse"], LIMIT]
    outages: OutageSettings

    @model_validator(mode="after")
    def _figures_fit_together(self) -> Self:
        if self.client_id == self.fallback_client_id:
            msg = (
                f"client_id and fallback_client_id are both {self.client_id}: the second is for when the first is taken"
            )
            raise ValueError(msg)
        if self.unresolved_s <= self.ack_timeout_s:
            msg = f"unresolved_s {self.unresolved_s:g} is not above ack_timeout_s {self.ack_timeout_s:g}"
            raise ValueError(msg)
        if self.margin_age_s <= self.margin_every_s:
            msg = f"margin_age_s {self.margin_age_s:g} is not above margin_every_s {self.margin_every_s:g}"
            raise ValueError(msg)
        if self.backoff_max_s < self.backoff_first_s:
            msg = f"backoff_max_s {self.backoff_max_s:g} is below backoff_first_s {self.backoff_first_s:g}"
            raise ValueError(msg)
        return self


class GuardSettings(Section):
    """What watches a live position beside the bars."""

    quote_watch: Annotated[bool, LIMIT]
    protective_stop_ticks: Annotated[int, Field(ge=1, le=10_000), LIMIT]
    unattended_restart: Annotated[bool, LIMIT]
