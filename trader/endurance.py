"""What a run does at an unexpected error in a bar's decision."""

from collections.abc import Callable

from trader.book import Book
from trader.errors import InvariantError


class Endurance:
    """Goes on while something is open, which is guarded better by this run than by none; `protect_only` is then called.

    With a position open no entry waits to leave: what does reduces it, or moves its levels.
    """

    def __init__(self, book: Book, protect_only: Callable[[str], None]) -> None:
        self._book = book
        self._protect_only = protect_only
        self._has_fault = False
        self.on_fault: Callable[[Exception], None] | None = None
        """Live: told of each error. Where nobody is, it ends the run."""

    def bear(self, error: Exception) -> None:
        """Say so, once. The error itself where nothing is open, or where this program contradicts itself."""
        if self.on_fault is None or isinstance(error, InvariantError) or not self._book.position_qty:
            raise error
        self.on_fault(error)
        if not self._has_fault:
            self._has_fault = True
            self._protect_only(f"an unexpected error in a bar's decision: {error!r}")
