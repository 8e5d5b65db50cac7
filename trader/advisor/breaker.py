"""Stops asking a back end that keeps failing. Pure; time is that of the questions, so that a replay repeats it."""

from trader.domain.units import SECOND_NS


class Breaker:
    """Open after `errors` failures in a row (0: never); `reset_s` of bar time later one question may try again."""

    def __init__(self, errors: int, reset_s: int) -> None:
        self._errors = errors
        self._reset_ns = reset_s * SECOND_NS
        self._in_a_row = 0
        self._retry_ns = 0

    @property
    def is_open(self) -> bool:
        """Whether the back end has failed so often in a row; half-open too."""
        return 0 < self._errors <= self._in_a_row

    def refuses(self, ts_ns: int) -> bool:
        """Whether a question at `ts_ns` must not be asked."""
        return self.is_open and ts_ns < self._retry_ns

    def failed(self, ts_ns: int) -> None:
        """The question of `ts_ns` ended in an error; the failure of a retry opens the breaker again."""
        self._in_a_row += 1
        self._retry_ns = ts_ns + self._reset_ns

    def succeeded(self) -> None:
        """A question was answered."""
        self._in_a_row = 0
