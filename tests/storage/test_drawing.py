"""Charts become SVG that is whole, escaped and short, and that does not meet another's names."""

import re
from xml.etree import ElementTree

import altair as alt
import polars as pl
import pytest

from storage.drawing import draw

NASTY = """<script>alert("1")</script> & 'Ünï' ]]> {{ 7 * 7 }}"""


def chart(name: str = "a name") -> alt.Chart:
    """Bars that are cut at the edge, so that the drawing refers to a part of itself."""
    frame = pl.DataFrame({"x": [name, "other"], "y": [0.123456789, 4.0]})
    scale = alt.Scale(domain=[0, 1])
    marks = alt.Chart(frame, title=alt.Title(name, subtitle=[name, "second"])).mark_bar(clip=True)
    return marks.encode(x=alt.X("x:N", title=name), y=alt.Y("y:Q", scale=scale), color="x:N")


def test_texts_come_out_escaped() -> None:
    """Names of levels, axes and legends; as text they are what they were."""
    drawn = draw(chart(NASTY), "c1")
    assert "<script" not in drawn.svg
    drawing = ElementTree.fromstring(drawn.svg)  # noqa: S314 - we drew it
    texts = [element.text for element in drawing.iter() if element.text]
    assert NASTY in texts
    assert sum(text.startswith(NASTY[:15]) for text in texts) == 3  # those of axis and legend are cut


def test_title_and_subtitle_are_for_the_page() -> None:
    """They are taken out of the drawing, as they were written."""
    drawn = draw(chart("Some title"), "c1")
    assert (drawn.title, drawn.subtitle) == ("Some title", "Some title second")
    bare = draw(chart().properties(title="plain"), "c1")
    assert (bare.title, bare.subtitle) == ("plain", "")
    assert "plain" not in bare.svg


def test_drawings_on_one_page_do_not_share_names() -> None:
    """What one cuts its bars with is not the other's; each finds its own."""
    first, second = (draw(chart(), name).svg for name in ("c1", "c2"))
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    used = [set(re.findall(r"url\(#([^)]+)\)", svg)) for svg in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    assert used[0] <= names[0]
    assert used[1] <= names[1]


def test_coordinates_are_short_and_texts_whole() -> None:
    """To a tenth of a pixel; a number that is told keeps its digits."""
    frame = pl.DataFrame({"x": [0.123456, 0.2], "told": ["0.00012345", "b"]})
    svg = draw(alt.Chart(frame).mark_text().encode(x="x:Q", text="told:N"), "c1").svg
    assert "0.00012345" in svg
    assert not re.search(r' (?:d|transform)="[^"]*\d\.\d\d', svg)


def test_what_vega_refuses_is_an_error() -> None:
    """The page tells it in the chart's place."""
    broken = alt.Chart(pl.DataFrame({"x": [1]})).mark_bar().encode(x=alt.X("x:Q", bin=alt.Bin(step=-1)))
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Vega's own
        draw(broken.transform_calculate(y="no_such_function("), "c1")
