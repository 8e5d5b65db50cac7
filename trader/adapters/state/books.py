"""The account's book as it is kept, and back."""

import numpy as np

from trader.adapters.state.records import BookRow
from trader.book import Book
from trader.errors import StateDamagedError
from trader.kernels import book as k


def book_row(book: Book) -> BookRow:
    """All that the book holds besides the terms of trade, which are the configuration's."""
    return BookRow(row=tuple(book.row.tolist()), accounts_used=book.accounts_used)


def restore_book(book: Book, kept: BookRow) -> None:
    """Make the book what it was; StateDamagedError for a row of another layout."""
    if len(kept.row) != k.SIZE:
        msg = f"the book's row has {len(kept.row)} places, this program's has {k.SIZE}: the state needs a migration"
        raise StateDamagedError(msg)
    book.row[:] = np.array(kept.row, dtype=np.int64)
    book.accounts_used = kept.accounts_used
    book.touch()
