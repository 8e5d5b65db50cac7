"""How many nanoseconds a unit of time has; event times are whole nanoseconds since 1970 UTC."""

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
