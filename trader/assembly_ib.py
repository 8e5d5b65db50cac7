"""From settings to the terms of Interactive Brokers' link, feed and broker. No file is read here."""

from zoneinfo import ZoneInfo

import tzlocal

from trader import assembly
from trader.adapters.ib.closed_bars import ClosingTerms
from trader.adapters.ib.dialing import DialTerms
from trader.adapters.ib.feed import FeedTerms
from trader.adapters.ib.feed_watch import WatchTerms
from trader.adapters.ib.history import HistoryTerms
from trader.adapters.ib.live_bars import LiveTerms
from trader.adapters.ib.margin import MarginTerms
from trader.adapters.ib.nights import NightTerms, OutageWindow
from trader.adapters.ib.pacing import PaceTerms
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.ib.room import BrokerTerms
from trader.adapters.ib.sender import SenderTerms
from trader.adapters.ib.supervisor import LinkTerms
from trader.adapters.ib.wire import WireTerms
from trader.domain.instruments import Instrument
from trader.live.ib_venue import IbVenueTerms
from trader.live.session_books import BooksTerms
from trader.settings import Settings

MINUTE_S = 60.0
OWN_ID_SOON_S = 10.0
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
FRIDAY = (4,)
NEW_YORK = "America/New_York"
LATE_S = 5.0
"""What is due by the clock waits so long for its bar, and a bar for its decision."""
HALT_LEAD_S = 5.0
"""So long before trading halts an entry that is still at work is taken back: a cancel takes less."""
MESSAGES_A_SECOND = 40
"""The broker takes 50, the client library queues at 45: below that nothing of ours waits in a queue of others."""
ANY_NUMBER = 1_000_000
"""A gateway in lockstep counts no messages by the second."""
HISTORY_PACE = PaceTerms(requests=50, window_s=600.0, apart_s=0.05)
"""The broker refuses more than 60 requests for small bars in ten minutes."""


def link_terms(settings: Settings, *, lockstep: bool) -> LinkTerms:
    """The connection. In lockstep nothing is sent or noticed by the clock."""
    ib = settings.ib
    return LinkTerms(
        wire=WireTerms(
            host=ib.host,
            port=ib.port,
            connect_timeout_s=ib.connect_timeout_s,
            request_timeout_s=ib.request_timeout_s,
        ),
        dial=DialTerms(
            client_id=ib.client_id,
            fallback_client_id=ib.fallback_client_id,
            in_use_tries=ib.in_use_tries,
            account=ib.account or "",
            is_live=settings.live,
        ),
        nights=night_terms(settings),
        probe_every_s=0.0 if lockstep else ib.probe_every_s,
        probe_misses=ib.probe_misses,
        backoff_first_s=ib.backoff_first_s,
        backoff_max_s=ib.backoff_max_s,
        loop_pause_s=0.0 if lockstep else ib.loop_pause_s,
        sync_tries=3,
        sync_timeout_s=4 * ib.request_timeout_s,
        lost_max_s=ib.lost_max_min * MINUTE_S,
        own_id_every_s=MINUTE_S,
        own_id_soon_s=OWN_ID_SOON_S,
    )


def night_terms(settings: Settings) -> NightTerms:
    """The planned outages."""
    ib, outages = settings.ib, settings.ib.outages
    windows = [
        OutageWindow(
            name="server reset",
            zone=NEW_YORK,
            start=f"{outages.reset_start:%H:%M}",
            end=f"{outages.reset_end:%H:%M}",
            days=EVERY_DAY,
        ),
        OutageWindow(
            name="weekend reset",
            zone=NEW_YORK,
            start=f"{outages.weekend_start:%H:%M}",
            end=f"{outages.weekend_end:%H:%M}",
            days=FRIDAY,
        ),
    ]
    at = outages.restart_at
    if at is not None:
        end = (at.hour * 60 + at.minute + outages.restart_min) % (24 * 60)
        windows.append(
            OutageWindow(
                name="application's restart",
                zone=outages.restart_zone or tzlocal.get_localzone_name() or str(ZoneInfo("UTC")),
                start=f"{at:%H:%M}",
                end=f"{end // 60:02d}:{end % 60:02d}",
                days=EVERY_DAY,
            )
        )
    return NightTerms(
        windows=tuple(windows),
        no_entries_before_s=outages.no_entries_before_min * MINUTE_S,
        outlast_s=outages.alert_after_min * MINUTE_S,
        down_alert_s=ib.down_alert_s,
        down_alert_open_s=ib.down_alert_open_s,
        settled_s=MINUTE_S,
    )


def feed_terms(settings: Settings, market: Instrument, bar_minutes: int, *, lockstep: bool) -> FeedTerms:
    """The bars."""
    ib = settings.ib
    return FeedTerms(
        market=market,
        bar_minutes=bar_minutes,
        quotes=not lockstep,
        live=LiveTerms(grace_s=0.0 if lockstep else ib.grace_s, list_bars=10, empty_tries=5, empty_wait_s=2.0),
        closing=ClosingTerms(
            fill_tries=3,
            fill_wait_s=2.0,
            last_bar_wait_s=10.0,
            roll_retry_s=MINUTE_S,
            clock_every_s=1.0,
            lockstep=lockstep,
        ),
        watch=WatchTerms(stale_after_s=ib.stale_after_s, quiet_s=30.0, rights_retry_s=MINUTE_S, every_s=1.0),
        history=HistoryTerms(page_s=86_400, tries=3, retry_s=5.0, complete_share=0.8, pace=HISTORY_PACE),
    )


def broker_terms(settings: Settings, market: Instrument, *, lockstep: bool) -> BrokerTerms:
    """The orders."""
    ib = settings.ib
    return BrokerTerms(
        account=ib.account or "",
        market=market,
        sender=SenderTerms(
            messages_a_window=ANY_NUMBER if lockstep else MESSAGES_A_SECOND,
            window_s=1.0,
            disk_patience_s=ib.disk_patience_s,
        ),
        ack_timeout_s=ib.ack_timeout_s,
        ask_every_s=ib.ask_every_s,
        unresolved_s=ib.unresolved_s,
        naked_grace_s=ib.naked_grace_s,
        position_poll_s=0.0 if lockstep else ib.position_poll_s,
        order_poll_s=0.0 if lockstep else ib.orders_poll_s,
        change_tries=ib.change_tries,
        close_tries=ib.close_tries,
        exit_pause_s=MINUTE_S,
        commission_cents=assembly.commission_side_cents(settings, market),
        default_stop_ticks=settings.guard.protective_stop_ticks,
        policy=ForeignPolicy(ib.foreign),
    )


def margin_terms(settings: Settings, *, lockstep: bool) -> MarginTerms:
    """The questions about margin. In lockstep it is asked once, before the bars begin."""
    ib = settings.ib
    return MarginTerms(
        account=ib.account or "",
        every_s=ib.margin_every_s,
        retry_s=MINUTE_S,
        age_s=0.0 if lockstep else ib.margin_age_s,
    )


def books_terms(settings: Settings) -> BooksTerms:
    """The comparison after each session."""
    return BooksTerms(
        account=settings.ib.account or "",
        every_s=10 * MINUTE_S,
        settle_s=MINUTE_S,
        slippage_ticks=settings.execution.slippage_ticks,
    )


def venue_terms(settings: Settings, *, lockstep: bool) -> IbVenueTerms:
    """What a start and each second do."""
    outages = settings.ib.outages
    return IbVenueTerms(
        warmup_sessions=settings.ib.warmup_sessions,
        late_s=LATE_S,
        halt_lead_s=HALT_LEAD_S,
        late_bar_s=settings.ib.grace_s + settings.ib.stale_after_s + LATE_S,
        flatten_before_s=outages.flatten_before_min * MINUTE_S if outages.flatten_before_reset else None,
        quote_watch=settings.guard.quote_watch,
        lockstep=lockstep,
        history_tries=3,
        history_retry_s=settings.ib.request_timeout_s,
        in_step_s=4 * settings.ib.request_timeout_s,
    )
