"""Which part each key of Interactive Brokers is for, and what it becomes there: see test_assembly.py."""

from collections.abc import Callable

from msgspec import Struct

from trader import assembly_ib
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.ib.sender import SenderTerms
from trader.domain.instruments import instrument
from trader.settings import Settings

Wire = tuple[str, Callable[[Settings], Struct], dict[str, object]]
NQ = instrument("NQ")
PATIENT = SenderTerms(messages_a_window=40, window_s=1.0, disk_patience_s=2.0)


class Own(Struct):
    """The supervisor's own figures, without those of its parts."""

    probe_every_s: float
    probe_misses: int
    backoff_first_s: float
    backoff_max_s: float
    loop_pause_s: float
    lost_max_s: float


def link(settings: Settings) -> Struct:
    terms = assembly_ib.link_terms(settings, lockstep=False)
    return Own(*(getattr(terms, name) for name in Own.__struct_fields__))


def wire(settings: Settings) -> Struct:
    return assembly_ib.link_terms(settings, lockstep=False).wire


def dial(settings: Settings) -> Struct:
    return assembly_ib.link_terms(settings, lockstep=False).dial


def nights(settings: Settings) -> Struct:
    return assembly_ib.night_terms(settings)


def live_bars(settings: Settings) -> Struct:
    return assembly_ib.feed_terms(settings, NQ, 1, lockstep=False).live


def watch(settings: Settings) -> Struct:
    return assembly_ib.feed_terms(settings, NQ, 1, lockstep=False).watch


def broker(settings: Settings) -> Struct:
    return assembly_ib.broker_terms(settings, NQ, lockstep=False)


def margin(settings: Settings) -> Struct:
    return assembly_ib.margin_terms(settings, lockstep=False)


def venue(settings: Settings) -> Struct:
    return assembly_ib.venue_terms(settings, lockstep=False)


WIRING: list[Wire] = [
    ("ib.host=127.0.0.2", wire, {"host": "127.0.0.2"}),
    ("ib.port=7497", wire, {"port": 7497}),
    ("ib.connect_timeout_s=3", wire, {"connect_timeout_s": 3.0}),
    ("ib.client_id=5", dial, {"client_id": 5}),
    ("ib.fallback_client_id=6", dial, {"fallback_client_id": 6}),
    ("ib.in_use_tries=2", dial, {"in_use_tries": 2}),
    ("ib.account=DU7654321", dial, {"account": "DU7654321"}),
    ("ib.account=DU7654321", broker, {"account": "DU7654321"}),
    ("ib.probe_every_s=7", link, {"probe_every_s": 7.0}),
    ("ib.probe_misses=3", link, {"probe_misses": 3}),
    ("ib.backoff_first_s=2", link, {"backoff_first_s": 2.0}),
    ("ib.backoff_max_s=61", link, {"backoff_max_s": 61.0}),
    ("ib.loop_pause_s=4", link, {"loop_pause_s": 4.0}),
    ("ib.down_alert_s=601", nights, {"down_alert_s": 601.0}),
    ("ib.down_alert_open_s=61", nights, {"down_alert_open_s": 61.0}),
    ("ib.outages.no_entries_before_min=20", nights, {"no_entries_before_s": 1_200.0}),
    ("ib.outages.alert_after_min=6", nights, {"outlast_s": 360.0}),
    ("ib.grace_s=1.5", live_bars, {"grace_s": 1.5}),
    ("ib.stale_after_s=9", watch, {"stale_after_s": 9.0}),
    ("ib.ack_timeout_s=4", broker, {"ack_timeout_s": 4.0}),
    ("ib.ask_every_s=2", broker, {"ask_every_s": 2.0}),
    ("ib.unresolved_s=31", broker, {"unresolved_s": 31.0}),
    ("ib.naked_grace_s=0.5", broker, {"naked_grace_s": 0.5}),
    ("ib.change_tries=4", broker, {"change_tries": 4}),
    ("ib.close_tries=6", broker, {"close_tries": 6}),
    ("ib.lost_max_min=16", link, {"lost_max_s": 960.0}),
    ("ib.disk_patience_s=2", broker, {"sender": PATIENT}),
    ("ib.position_poll_s=31", broker, {"position_poll_s": 31.0}),
    ("ib.orders_poll_s=6", broker, {"order_poll_s": 6.0}),
    ("ib.foreign=adopt", broker, {"policy": ForeignPolicy.ADOPT}),
    ("execution.commission_side_usd=1.29", broker, {"commission_cents": 129}),
    ("guard.protective_stop_ticks=81", broker, {"default_stop_ticks": 81}),
    ("ib.margin_every_s=600", margin, {"every_s": 600.0}),
    ("ib.margin_age_s=3700", margin, {"age_s": 3_700.0}),
    ("ib.account=DU7654321", margin, {"account": "DU7654321"}),
    ("guard.quote_watch=false", venue, {"quote_watch": False}),
    ("ib.grace_s=1.5", venue, {"late_bar_s": 11.5}),
    ("ib.stale_after_s=9", venue, {"late_bar_s": 14.8}),
    ("ib.warmup_sessions=3", venue, {"warmup_sessions": 3}),
    ("ib.outages.flatten_before_reset=true", venue, {"flatten_before_s": 600.0}),
]
PARTS = (link, wire, dial, nights, live_bars, watch, broker, margin, venue)

WINDOWS = {f"ib.outages.{name}" for name in (
    "restart_at", "restart_zone", "restart_min", "reset_start", "reset_end", "weekend_start", "weekend_end",
)}  # fmt: skip
TOGETHER = {"ib.request_timeout_s", "ib.outages.flatten_before_min"}
ELSEWHERE = {"ib.library", "ib.allow_remote", "live", "live_token", "guard.unattended_restart"}
"""What the commands read themselves."""
