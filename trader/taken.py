"""The account while another process owns it: the file KILL in the state folder, and how the account is given back."""

from collections.abc import Awaitable, Callable

from trader.adapters.state.kill_file import KillFile
from trader.controls import Controls
from trader.domain.alerts import AlertKind
from trader.errors import TraderError
from trader.ports import Alerts

TAKEN = "account_taken"
_NOTHING_IS_SENT = "nothing is sent, protective orders included, and no command is taken but status and kill"


class Taken:
    """One run's. `reconcile` compares book and broker anew; it raises LinkError where they do not get in step in time.

    What reconciling finds to be sent is not sent while the file is there: so it is done before and after.
    """

    def __init__(self, file: KillFile, alerts: Alerts, reconcile: Callable[[], Awaitable[None]]) -> None:
        self._file = file
        self._alerts = alerts
        self._reconcile = reconcile
        self._was_taken = False

    @property
    def why(self) -> str | None:
        """Why nothing may be sent; None where the account is ours."""
        return self._file.why

    def look(self, controls: Controls) -> None:
        """Withhold entries while the file is there, and say so once."""
        why = self.why
        controls.withhold(TAKEN, on=why is not None)
        if why is not None and not self._was_taken:
            self._alerts.alert(AlertKind.ACCOUNT_TAKEN, why=why, effect=_NOTHING_IS_SENT)
        self._was_taken = why is not None

    async def give_back(self, controls: Controls) -> str | None:
        """Take the account again; why that cannot be, and then the file stays. None: the file is gone."""
        try:
            await self._reconcile()
            self._file.remove()
        except TraderError as error:
            return str(error)
        try:
            await self._reconcile()
        except TraderError as error:
            self._alerts.alert(AlertKind.IN_DOUBT, why=str(error), effect="no entries until book and broker agree")
        self.look(controls)
        return None
