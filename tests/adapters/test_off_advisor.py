"""No advisor."""

import pytest
from builders import a_question, an_account

from trader.adapters.off_advisor import OffAdvisor
from trader.errors import InvariantError


async def test_answer_with_the_advisor_off_is_a_contradiction() -> None:
    """The gate of a run without an advisor asks nothing."""
    with pytest.raises(InvariantError, match="bar 100"):
        await OffAdvisor().answer(a_question())


async def test_late_answer_with_the_advisor_off_is_none() -> None:
    """And nothing is counted, kept or left to end."""
    advisor = OffAdvisor()
    advisor.forget()
    assert advisor.late_answer(1, 0, 0b000111, an_account()) is None
    assert advisor.counts().asked == 0
    assert await advisor.close()
