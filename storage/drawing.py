"""The look of charts, and a chart as SVG text, drawn in this process by vl-convert: no browser, no script, no network.

One look for all: 420 pixels wide with everything, so that text has the same size in all of them, and on a phone too.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from msgspec import Struct

if TYPE_CHECKING:
    import altair as alt

WIDTH = 420
INK, QUIET, LINE, GUESS, MODEL, ALARM = "#16202c", "#5b6775", "#e3e7ec", "#aab4c0", "#2457c5", "#b3261e"
#: Their letters are as wide as those that vl-convert measures with, or narrower.
_SANS = "Helvetica, Arial, 'Liberation Sans', sans-serif"

#: Of all charts, as Vega-Lite's `config` has it.
_LOOK: dict[str, Any] = {
    "font": _SANS,
    "aria": False,
    "padding": {"left": 2, "right": 10, "top": 6, "bottom": 2},
    "view": {"stroke": None},
    "mark": {"color": MODEL},
    "header": {"labelColor": INK, "labelFontSize": 13, "labelAnchor": "start"},
    "axis": {
        "labelColor": QUIET,
        "titleColor": QUIET,
        "gridColor": LINE,
        "domainColor": GUESS,
        "tickColor": GUESS,
        "tickSize": 4,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 130,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 13,
        "labelColor": INK,
        "labelLimit": 190,
        "columns": 2,
        "symbolType": "circle",
        "offset": 6,
        "symbolSize": 70,
    },
    "title": {
        "anchor": "start",
        "fontSize": 15,
        "color": INK,
        "subtitleColor": QUIET,
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
        "offset": 12,
        "limit": WIDTH,
    },
}

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

#: The references of a drawing to parts of itself, which would meet those of other drawings on a page.
_NAMED = re.compile(r'(\bid="|url\(#)(?=[A-Za-z_])')
#: Coordinates with more digits than pixels need; texts are left alone.
_COORDINATES = re.compile(r' (?:d|transform|x|y|x1|x2|y1|y2|width|height)="[^"]*"')
_LONG = re.compile(r"(\d+\.\d)\d+")
#: What a drawing that nobody reads aloud or clicks at does without: a third of its size.
_SPARE = re.compile(r' (?:class|role|aria-[a-z]+|pointer-events|stroke-miterlimit)="[^"]*"| opacity="1"(?=[ />])')
_OPENING = re.compile(r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>")


class Drawn(Struct, frozen=True):
    """A chart on a page. title, subtitle: taken out of the drawing, so that they wrap as text does."""

    title: str
    subtitle: str
    svg: Markup


def draw(chart: "alt.TopLevelMixin | dict[str, Any]", name: str) -> Drawn:
    """Draw a chart, or its specification. name: of letters and digits, unlike that of any other drawing on the page.

    Texts come out escaped. Width and height are left out: the drawing is as wide as its place.
    """
    # What `framed` gives needs no Altair, whose import takes as long as eight drawings.
    spec: dict[str, Any] = {**chart} if isinstance(chart, dict) else chart.to_dict(validate=False)
    title, subtitle = _titles(spec.pop("title", ""))
    spec["background"] = "transparent"  # the page has its own
    drawn: str = _converter().vegalite_to_svg(spec, allowed_base_urls=[])
    return Drawn(title, subtitle, Markup(_embedded(drawn, name)))  # noqa: S704 - vl-convert escapes all texts


def framed(spec: dict[str, Any], title: str, *, height: int) -> dict[str, Any]:
    """A specification of marks and data with the look that all share; `alt.Chart.from_dict` makes a chart of it."""
    size = {"width": WIDTH, "height": height, "autosize": {"type": "fit", "contains": "padding"}}
    return {"$schema": _SCHEMA, **spec, "title": {"text": title}, **size, "config": _LOOK}


def styled(chart: Any, title: str, subtitle: str = "", *, height: int = 285) -> Any:
    """An Altair chart with the look that all share. height: in pixels, with axes and legend."""
    import altair as alt

    titled = chart.properties(
        title=alt.Title(title, subtitle=subtitle),
        width=WIDTH,
        height=height,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
    )
    return configured(titled)


def configured(chart: Any) -> Any:
    """The look alone, of a chart that has its size."""
    return chart.configure(**_LOOK)


def _titles(title: Any) -> tuple[str, str]:
    """Title and subtitle of a specification, where a title may be a text or an object of both."""
    told = title if isinstance(title, dict) else {"text": title}
    return _line(told.get("text", "")), _line(told.get("subtitle", ""))


def _line(text: str | list[str]) -> str:
    return text if isinstance(text, str) else " ".join(text)


def _embedded(drawn: str, name: str) -> str:
    """Its opening tag replaced, its names made its own, its coordinates to a tenth of a pixel.

    >>> _embedded('<svg class="marks" width="9" viewBox="0 0 9 9"><path id="a" d="M0.123,4"/></svg>', "c1")
    '<svg class="drawing" viewBox="0 0 9 9" aria-hidden="true"><path id="c1a" d="M0.1,4"/></svg>'
    """
    box = _OPENING.match(drawn)
    if box is None:
        raise ValueError(f"vl-convert gave {drawn[:60]!r}. Update vl-convert-python.")
    body = _NAMED.sub(rf"\g<1>{name}", drawn[box.end() :])
    short = _COORDINATES.sub(lambda found: _LONG.sub(r"\1", found[0]), _SPARE.sub("", body))
    return f'<svg class="drawing" viewBox="{box[1]}" aria-hidden="true">{short}'


@cache
def _converter() -> Any:
    """Loaded when the first chart is drawn: 150 MB of memory, and half a second or more."""
    import vl_convert

    return vl_convert
