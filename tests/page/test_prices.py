"""What the page's script draws is what was recorded."""

import datetime
import json
from itertools import accumulate

from evaluation_rows import a_trade
from evaluations import a_chart, an_evaluation
from msgspec.structs import replace
from parsed import Parsed

from trader.page.prices import drawn_bars, json_block, prices_section, wall_clock_s


def utc_s(text: str) -> int:
    """Seconds of an ISO time in UTC."""
    return int(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp())


def test_the_wall_clock_follows_new_yorks_offset():
    """Winter, the first evening of summer time, and summer."""
    moments = ("2021-01-04T14:30", "2021-03-12T21:00", "2021-03-14T22:00", "2021-07-01T13:30")
    clocks = ("2021-01-04T09:30", "2021-03-12T16:00", "2021-03-14T18:00", "2021-07-01T09:30")

    assert wall_clock_s(tuple(map(utc_s, moments))) == list(map(utc_s, clocks))


def test_bars_survive_the_way_into_the_page():
    """Differences and ticks add up to the recorded times and prices again."""
    chart = a_chart(3)

    packed = drawn_bars(an_evaluation(3), chart)

    assert list(accumulate(packed.starts)) == wall_clock_s(chart.open_s)
    for column, recorded in ((packed.open, chart.open), (packed.high, chart.high), (packed.low, chart.low)):
        assert [ticks * packed.tick for ticks in column] == list(recorded)
    assert [ticks * packed.tick for ticks in packed.close] == list(chart.close)


def test_contracts_begin_where_the_bars_change_theirs():
    """The script names the contract under the pointer."""
    bars = a_chart(1)
    chart = replace(bars, symbols=("NQH21", "NQM21"), symbol_index=(0,) * 20 + (1,) * (len(bars.open_s) - 20))

    assert drawn_bars(an_evaluation(1), chart).symbol_from == [(0, "NQH21"), (20, "NQM21")]


def test_trades_are_handed_over_whole():
    """Times are New York's clock; a short points down."""
    trade = a_trade(7, side="short", r=None)
    evaluation = an_evaluation(1, (trade,))

    block = Parsed(prices_section(evaluation, a_chart(1))).scripts[0]
    drawn = json.loads(block[1])["trades"]

    opened_s = trade.opened_ns // 10**9 - 5 * 3600
    assert drawn == [
        [7, opened_s, opened_s + 1800, -1, 15000.25, trade.exit, 14990.25, 15020.25, 195.5, None, "target"]
    ]


def test_nothing_in_json_ends_the_element_that_holds_it():
    """The text is the same for a JSON parser, and no HTML for a browser."""
    payload = json.dumps({"a": "</script><!-- &amp;"})

    block = json_block("x", payload)

    assert "<" not in block[len('<script type="application/json" id="x">') : -len("</script>")]
    assert json.loads(Parsed(block).scripts[0][1]) == json.loads(payload)


def test_a_chart_without_bars_is_a_section_all_the_same():
    """The script says that there is nothing to draw."""
    empty = replace(a_chart(1), open_s=(), open=(), high=(), low=(), close=(), symbol_index=())

    assert drawn_bars(an_evaluation(1), empty).starts == []
