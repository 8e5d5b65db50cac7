"""What a person is told of the advisor's breaker, and reads of the connection in `trader status`."""

from functools import partial
from pathlib import Path

from desk_builders import Told
from ib_runs import ib_run

from trader.commands.control import status_lines
from trader.commands.run import _note_breaker
from trader.domain.alerts import AlertKind
from trader.status import status_of


def test_a_breaker_that_opens_is_an_alert_and_one_that_closes_is_none() -> None:
    """With the last failure as its reason."""
    told = Told()
    note = partial(_note_breaker, told)
    note("no answer in 2 s")
    note(None)
    assert told.kinds == [AlertKind.ADVISOR_FAILING]


async def test_status_tells_link_and_age_of_the_last_price_and_doubt_where_there_is_one(tmp_path: Path) -> None:
    """A line each, behind who trades."""
    async with ib_run(tmp_path) as run:
        await run.bar()
        place = run.daemon._gear.desk._place
        lines = {line[:10].strip(): line[10:] for line in status_lines(status_of(run.engine, place))}
        assert lines["link"].startswith("up: in step with the broker; last price ")
        assert "doubt" not in lines
        run.venue._broker.heed(lambda: "KILL is there")
        await run.until(lambda: run.venue._broker.doubt is not None)
        lines = {line[:10].strip(): line[10:] for line in status_lines(status_of(run.engine, place))}
        assert lines["doubt"] == "KILL is there"
        run.venue._broker.heed(lambda: None)
