"""The charts of a report as Altair charts, for its page and for notebooks: a column on both sides and over time, and
the model's quality over time.

Grey is the reference, blue what is looked at. They are drawn without a browser by `storage.drawing`: 36 ms each, and
0.6 s before the first. So the page draws them for some columns (`page.DRAWN_COLUMNS`), and thumbnails by hand.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from monitor.charts import Side, level_names, percent, shares
from monitor.drift import Bars, ColumnDrift, Histogram
from monitor.performance.estimated import EstimatedQuality
from monitor.performance.realised import RealisedQuality
from monitor.report import OverTime
from storage.drawing import GUESS, MODEL, framed, styled
from storage.errors import DataError

if TYPE_CHECKING:
    import altair as alt

_SIDES: tuple[Side, Side] = ("reference", "current")
_ESTIMATE = "#e69f00"
_SHARE = {"type": "quantitative", "title": "Share of rows", "axis": {"format": "%", "tickCount": 4}}
_MOMENT = {"start": pl.Datetime("us", "UTC"), "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def distribution_chart(column: ColumnDrift) -> "alt.LayerChart | alt.Chart":
    """A column on both sides: shares of rows over bins, or by level. Raises DataError for one without values."""
    import altair as alt

    return cast("alt.LayerChart | alt.Chart", alt.Chart.from_dict(distribution(column)))


def distribution(column: ColumnDrift) -> dict[str, Any]:
    """The specification of that chart, for `storage.drawing.draw`."""
    match column.chart:
        case Histogram():
            return _histogram(column.name, column.chart)
        case Bars():
            return _bars(column.name, column.chart)
        case None:
            raise DataError(f"Column {column.name!r} has no values to draw. Its note says why: {column.note}")


def _histogram(name: str, chart: Histogram) -> dict[str, Any]:
    is_time = chart.unit == "time"
    title = {"value": name, "characters": f"{name}: length in characters", "time": f"{name}, UTC"}[chart.unit]
    edges = [edge / 1000 if is_time else edge for edge in chart.edges]  # milliseconds
    before, after = (_heights(counts) for counts in (chart.reference, chart.current))
    scale = {"nice": False, "type": "utc"} if is_time else {"nice": False, "zero": False}
    rows = zip(edges, before, after, strict=True)
    spec = {
        "data": {"values": [{"edge": edge, "reference": old, "current": new} for edge, old, new in rows]},
        "encoding": {
            "x": {"field": "edge", "type": "temporal" if is_time else "quantitative", "title": title, "scale": scale}
        },
        "layer": [
            {
                "mark": {"type": "area", "interpolate": "step-after", "color": GUESS, "opacity": 0.55},
                "encoding": {"y": _SHARE | {"field": "reference"}},
            },
            {
                "mark": {"type": "line", "interpolate": "step-after", "color": MODEL, "strokeWidth": 2},
                "encoding": {"y": {"field": "current", "type": "quantitative"}},
            },
        ],
    }
    return framed(spec, f"{name}: both sides", height=220)


def _heights(counts: Sequence[int]) -> list[float]:
    """Shares of rows by bin; the last again at the last edge, where its step ends."""
    heights = [count / (sum(counts) or 1) for count in counts]
    return [*heights, heights[-1]]


def _bars(name: str, chart: Bars) -> dict[str, Any]:
    """A bar for each place: levels whose names were cut may look the same, and are two all the same.

    The sum of all other levels is told without bars, which would be longer than all others and say nothing.
    """
    names = level_names(chart)
    rows: list[dict[str, Any]] = [
        {"place": place, "side": side, "share": share}
        for side in _SIDES
        for place, share in enumerate(shares(chart, side)[: len(chart.levels)])
    ]
    if chart.others:
        told = " → ".join(percent(shares(chart, side)[-1]) for side in _SIDES)
        rows.append({"place": len(chart.levels), "told": told})
    spec = {
        "data": {"values": rows},
        "encoding": {
            "y": {
                "field": "place",
                "type": "nominal",
                "title": None,
                "sort": None,
                "axis": {"labelExpr": f"{json.dumps(names)}[datum.value]"},  # texts of JSON are texts of Vega
            },
        },
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.share)"}],
                "mark": "bar",
                "encoding": {
                    "yOffset": {"field": "side", "type": "nominal", "sort": list(_SIDES)},
                    "x": _SHARE | {"field": "share"},
                    "color": {
                        "field": "side",
                        "type": "nominal",
                        "scale": {"domain": list(_SIDES), "range": [GUESS, MODEL]},
                        "legend": None,
                    },
                },
            },
            {
                "transform": [{"filter": "isValid(datum.told)"}],
                "mark": {"type": "text", "align": "left", "dx": 4},
                "encoding": {"text": {"field": "told"}, "x": {"value": 0}},
            },
        ],
    }
    return framed(spec, f"{name}: both sides", height=60 + 24 * len(names))


def over_time_chart(found: OverTime) -> "alt.LayerChart":
    """A column in each piece of the window: its value, the reference's, and the band of 95 of 100 such pieces."""
    import altair as alt

    rows = [(moment.start, moment.value, moment.low, moment.high) for moment in found.moments]
    base = alt.Chart(pl.DataFrame(rows, schema=_MOMENT, orient="row")).encode(x=alt.X("start:T", title="UTC"))
    own = alt.Scale(zero=False)
    band = base.mark_area(color=GUESS, opacity=0.35).encode(y=alt.Y("low:Q", title=found.of, scale=own), y2="high:Q")
    usual = alt.Chart(pl.DataFrame({"usual": [found.usual]})).mark_rule(color=GUESS, strokeDash=[4, 3])
    drawn = alt.layer(
        band,
        usual.encode(y="usual:Q"),
        base.mark_line(color=MODEL, strokeWidth=2).encode(y="value:Q"),
        base.mark_circle(color=MODEL, size=28, opacity=1).encode(y="value:Q"),
    )
    told = "The grey band holds 95 of 100 such pieces of the reference, the dashed line is its value."
    return styled(drawn, f"{found.column} over time: {found.of}", told, height=200)


def quality_chart(realised: RealisedQuality | None, estimated: EstimatedQuality | None) -> "alt.LayerChart | None":
    """The judged metric in each window with its 95% interval, by labels and estimated; the reference as a line.

    None where neither has two windows with a value. Where they judge different metrics, the one by labels is drawn.
    """
    import altair as alt

    told = [one for one in (realised, estimated) if one is not None and len(_windows(one)) > 1]
    if not told:
        return None
    metric = told[0].metric
    rows = [
        ("by labels" if isinstance(one, RealisedQuality) else "estimated", *window)
        for one in told
        if one.metric == metric
        for window in _windows(one)
    ]
    frame = pl.DataFrame(rows, schema={"how": pl.String, **_MOMENT}, orient="row")
    colours = alt.Scale(domain=["by labels", "estimated"], range=[MODEL, _ESTIMATE])
    base = alt.Chart(frame).encode(x=alt.X("start:T", title="UTC"), color=alt.Color("how:N", scale=colours))
    whiskers = base.mark_rule(opacity=0.6).encode(
        y=alt.Y("low:Q", title=metric, scale=alt.Scale(zero=False)), y2="high:Q"
    )
    layers: list[Any] = [
        whiskers,
        base.mark_line(strokeWidth=2).encode(y="value:Q"),
        base.mark_circle(size=34, opacity=1).encode(y="value:Q"),
    ]
    usual = [figure.value for figure in told[0].reference if figure.metric == metric and figure.value is not None]
    if usual:
        rule = alt.Chart(pl.DataFrame({"usual": usual[:1]})).mark_rule(color=GUESS, strokeDash=[4, 3])
        layers.insert(0, rule.encode(y="usual:Q"))
    return styled(
        alt.layer(*layers),
        f"{metric} over time",
        "Bars are 95% intervals; the dashed line is the reference.",
        height=240,
    )


def _windows(found: RealisedQuality | EstimatedQuality) -> Sequence[tuple[datetime, float, float | None, float | None]]:
    """Start, value and interval of the windows in which the judged metric has a value."""
    figures = [(window.start, figure) for window in found.windows for figure in window.figures]
    return [
        (start, figure.value, figure.low, figure.high)
        for start, figure in figures
        if figure.metric == found.metric and figure.value is not None
    ]
