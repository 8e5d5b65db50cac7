"""The planned outages and what hangs together in the settings of Interactive Brokers."""

from line_builders import settings_with

from trader.adapters.ib.nights import OutageWindow
from trader.assembly_ib import feed_terms, link_terms, night_terms, venue_terms
from trader.domain.instruments import instrument

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


def test_outages_become_windows_of_their_own_zones() -> None:
    """The servers' are New York's; the application's restart may run past midnight."""
    settings = settings_with(
        "ib.outages.restart_at=23:55",
        "ib.outages.restart_zone=Europe/Berlin",
        "ib.outages.restart_min=12",
        "ib.outages.reset_start=00:10",
        "ib.outages.reset_end=01:50",
        "ib.outages.weekend_start=22:45",
        "ib.outages.weekend_end=03:30",
    )
    zone = "America/New_York"
    assert night_terms(settings).windows == (
        OutageWindow(name="server reset", zone=zone, start="00:10", end="01:50", days=EVERY_DAY),
        OutageWindow(name="weekend reset", zone=zone, start="22:45", end="03:30", days=(4,)),
        OutageWindow(name="application's restart", zone="Europe/Berlin", start="23:55", end="00:07", days=EVERY_DAY),
    )


def test_application_that_is_never_restarted_has_no_window() -> None:
    """null in the file."""
    windows = night_terms(settings_with("ib.outages.restart_at=null")).windows

    assert [window.name for window in windows] == ["server reset", "weekend reset"]


def test_request_timeout_bounds_answers_and_synchronisation() -> None:
    """A synchronisation is several requests."""
    terms = link_terms(settings_with("ib.request_timeout_s=11"), lockstep=False)

    assert (terms.wire.request_timeout_s, terms.sync_timeout_s) == (11.0, 44.0)


def test_position_is_closed_before_a_reset_only_where_that_is_wanted() -> None:
    """The minutes count together with the switch."""
    assert venue_terms(settings_with("ib.outages.flatten_before_min=7"), lockstep=False).flatten_before_s is None
    wanted = settings_with("ib.outages.flatten_before_min=7", "ib.outages.flatten_before_reset=true")
    assert venue_terms(wanted, lockstep=False).flatten_before_s == 420.0


def test_lockstep_waits_for_no_clock() -> None:
    """Nothing is sent that the gateway would take for the end of a bar."""
    settings = settings_with()
    link = link_terms(settings, lockstep=True)
    feed = feed_terms(settings, instrument("NQ"), 1, lockstep=True)

    assert (link.probe_every_s, link.loop_pause_s, feed.live.grace_s, feed.quotes) == (0.0, 0.0, 0.0, False)
    assert feed.closing.lockstep
