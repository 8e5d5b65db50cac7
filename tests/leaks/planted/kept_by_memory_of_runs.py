"""A module of a user's beside the strategy: it lives as long as the process."""

CLOSES: dict[int, float] = {}
