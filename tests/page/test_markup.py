"""HTML is escaped unless it says that it is HTML."""

import math

import pytest

from trader.page.markup import Markup, escaped, joined, short, tag


def test_plain_text_and_attributes_are_escaped_and_markup_is_not():
    """A name out of a file cannot end an element, begin one, or end an attribute."""
    made = tag("p", "<b>&", tag("i", "x"), title='"<', class_="a")

    assert made == '<p title="&quot;&lt;" class="a">&lt;b&gt;&amp;<i>x</i></p>'
    assert isinstance(made, Markup)


def test_attributes_follow_pythons_names():
    """`_` is `-`, a trailing one keeps off keywords; None and False are left out, True has no value."""
    assert tag("td", data_x_y=3, class_=None, hidden=True, open=False) == '<td data-x-y="3" hidden></td>'


@pytest.mark.parametrize(
    ("made", "text"),
    [
        pytest.param(tag("br"), "<br>", id="void"),
        pytest.param(tag("line", x1=1.0), '<line x1="1"/>', id="SVG leaf"),
        pytest.param(
            tag("rect", tag("title", "t"), x=0.5), '<rect x="0.5"><title>t</title></rect>', id="leaf with title"
        ),
        pytest.param(tag("p"), "<p></p>", id="empty element"),
        pytest.param(tag("p", None, "a", None), "<p>a</p>", id="None is nothing"),
    ],
)
def test_elements_close_as_their_kind_does(made, text):
    """Void elements have no end, SVG leaves close themselves."""
    assert made == text


def test_joining_escapes_the_separator_too():
    """What stands between parts is text as well."""
    assert joined(["a", None, Markup("<br>")], " & ") == "a &amp; <br>"
    assert escaped(Markup("&amp;")) == "&amp;"


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (-0.001, "0"), (12.345, "12.35"), (100.0, "100"), (0.5, "0.5")]
)
def test_coordinates_are_short(value, text):
    """Two decimals are finer than a screen."""
    assert short(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_that_is_nowhere_is_an_error(value):
    """A drawing is never quietly wrong."""
    with pytest.raises(ValueError, match="no coordinate"):
        short(value)
