"""What a prompt may tell beside the market: events, headlines and another market, from files that the user supplies.

`load_events(path) -> Events`, `EconomicCalendar(events, minutes)`; `load_headlines(path) -> Headlines`,
`RecentHeadlines(headlines, minutes, count)`; `open_correlated(path, market=..., calendar=...) -> CorrelatedMarket`. The
second of each is a ContextSource (trader/advisor/prompt.py).
"""

from trader.adapters.context.correlated import CorrelatedMarket, open_correlated
from trader.adapters.context.events import EconomicCalendar, Event, Events, Importance, load_events
from trader.adapters.context.headlines import Headline, Headlines, RecentHeadlines, load_headlines

__all__ = [
    "CorrelatedMarket",
    "EconomicCalendar",
    "Event",
    "Events",
    "Headline",
    "Headlines",
    "Importance",
    "RecentHeadlines",
    "load_events",
    "load_headlines",
    "open_correlated",
]
