"""What a person has to be told at once."""

from enum import StrEnum


class AlertKind(StrEnum):
    """Of what. Each value is also the name of its line in the operational log."""

    PROTECT_ONLY = "protect_only"
    LIMIT_HIT = "limit_hit"
    ACCOUNT_EXHAUSTED = "account_exhausted"
    ADVISOR_AWAY = "advisor_away"
    ADVISOR_FAILING = "advisor_failing"
    JOURNAL_TROUBLE = "journal_trouble"
    KILL_SWITCH = "kill_switch"
    ACCOUNT_TAKEN = "account_taken"
    UNATTENDED_RESTART = "unattended_restart"
    LINK_DOWN = "link_down"
    LINK_LIMITED = "link_limited"
    STALE_BARS = "stale_bars"
    IN_DOUBT = "in_doubt"
    UNPROTECTED = "unprotected"
    FOREIGN_TRADE = "foreign_trade"
    BOOKS_DIFFER = "books_differ"
    MARGIN = "margin"
    STATE_TROUBLE = "state_trouble"
