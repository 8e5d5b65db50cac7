"""Who is told of what happens to the link."""

from collections.abc import Awaitable, Callable

SyncHook = Callable[[], Awaitable[None]]
LostHook = Callable[[str], None]
ErrorHook = Callable[[int, int, str], None]


class Hooks:
    """Lists of callables, in the order in which they came. `broken` is what one of them raised."""

    def __init__(self) -> None:
        self.sync: list[SyncHook] = []
        self.lost: list[LostHook] = []
        self.error: list[ErrorHook] = []
        self.broken: Exception | None = None

    def tell_lost(self, why: str) -> None:
        """The connection, or the broker behind it, is gone."""
        for hook in self.lost:
            self._guard(hook, why)

    def tell_error(self, request: int, code: int, text: str) -> None:
        """The broker says that something is wrong."""
        for hook in self.error:
            self._guard(hook, request, code, text)

    def check(self) -> None:
        """Raise what a hook has raised."""
        if self.broken is not None:
            raise self.broken

    def _guard(self, hook: Callable[..., None], *args: object) -> None:
        try:
            hook(*args)
        except Exception as error:  # noqa: BLE001 - the library would log and forget it; the supervisor raises it
            self.broken = error
