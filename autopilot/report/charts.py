"""The charts of a report, each an Altair chart of figures from `statistics.py` or evidence; notebooks show them too.

One look for all: 420 pixels wide with everything, so that text has the same size in all of them, and on a phone too;
grey for the constant guess and for what is usual, blue for the model, colours that colour-blind people can tell apart
(Okabe and Ito, "Color Universal Design", 2008). A title says what is seen, a subtitle how to read it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.report.numerals import metric_name, number, percent
from autopilot.report.statistics import Band, CalibrationBin, Confusion, Coverage, Curve, Step, calibration_error
from autopilot.search.frontier import Point
from storage.drawing import GUESS, INK, LINE, MODEL, QUIET, WIDTH, configured, styled

if TYPE_CHECKING:
    import altair as alt

Values = NDArray[np.float64]

_HEIGHT = 285
#: Of several classes or families, in this order; the last is for all that have none of their own.
SERIES = (MODEL, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
OTHERS = "#7a8794"
#: Shares of rows by how far predictions and truth are apart are drawn in so many cells each way, or bars.
_CELLS, _BARS = 30, 30
#: Points of the search.
_MOST_TRIALS = 300
#: Characters of a class's name in a legend of two columns.
_NAME = 18


# -------------------------------------------------------------------------------------------------------- classes


def roc_chart(curves: Mapping[str, Curve]) -> "alt.LayerChart":
    """ROC curves by class."""
    import altair as alt

    diagonal = alt.Chart(pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]}))
    guess = diagonal.mark_line(color=GUESS, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    drawn = _curves(curves, "Others taken for the class", "Of the class, found", "AUC")
    return styled(
        alt.layer(guess, drawn),
        "ROC: what is found, for how many false alarms",
        "Each point is a threshold. The dashed line is guessing; the further above it, the better.",
    )


def precision_recall_chart(curves: Mapping[str, Curve], usual: float | None) -> "alt.LayerChart":
    """Precision by recall. usual: the share of the class among all rows, what guessing gives; None for several."""
    import altair as alt

    drawn = _curves(curves, "Recall: of the class, found", "Precision: of those found, right", "mean")
    layers: list[Any] = [drawn]
    if usual is not None:
        rule = alt.Chart(pl.DataFrame({"y": [usual]})).mark_rule(color=GUESS, strokeDash=[4, 3])
        layers.insert(0, rule.encode(y="y:Q"))
    told = f"Each point is a threshold. The dashed line is guessing: {percent(usual)}." if usual is not None else ""
    return styled(alt.layer(*layers), "Precision and recall", told or "Each point is a threshold.")


def gain_chart(curve: Curve) -> "alt.LayerChart":
    """What share of the class one finds among the rows of greatest probability."""
    import altair as alt

    frame = pl.DataFrame({"x": curve.x, "y": curve.y})
    diagonal = alt.Chart(pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]}))
    guess = diagonal.mark_line(color=GUESS, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    model = (
        alt.Chart(frame)
        .mark_line(color=MODEL, strokeWidth=2.5)
        .encode(
            x=alt.X("x:Q", title="Rows taken, greatest probability first", axis=_shares(), scale=_unit()),
            y=alt.Y("y:Q", title="Of the class, among them", axis=_shares(), scale=_unit()),
        )
    )
    return styled(
        alt.layer(guess, model),
        f"Gain: the first tenth holds {curve.area:.1f} times its share",
        "If only some rows can be acted on, take those on the left. The dashed line takes them at random.",
    )


def calibration_chart(bins: Sequence[CalibrationBin], of: str) -> "alt.LayerChart":
    """What came true of what was predicted. of: whose probability it is, for people."""
    import altair as alt

    frame = pl.DataFrame(bins, schema=CalibrationBin._fields, orient="row")
    line = alt.Chart(pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]}))
    ideal = line.mark_line(color=GUESS, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    shared = alt.Chart(frame).encode(
        x=alt.X("predicted:Q", title="Predicted probability", axis=_shares(), scale=_unit())
    )
    whiskers = shared.mark_rule(color=MODEL, strokeWidth=1.5, opacity=0.6).encode(
        y=alt.Y("lower:Q", title="Came true", axis=_shares(), scale=_unit()), y2="upper:Q"
    )
    points = shared.mark_circle(color=MODEL, size=55, opacity=1).encode(y="observed:Q")
    return styled(
        alt.layer(ideal, whiskers, points),
        f"Calibration: off by {percent(calibration_error(bins))} on average",
        f"Probability of {of}. On the dashed line, what is said to be 70% comes true in 70 of 100 rows. Bars are 95% "
        "intervals.",
    )


def separation_chart(is_class: NDArray[np.bool_], share: Values, weights: Values, of: str) -> "alt.Chart":
    """How far the predicted probabilities of a class and of the others lie apart. All (rows,)."""
    import altair as alt

    edges = np.linspace(0.0, 1.0, _BARS + 1)
    sides = [(of, is_class, MODEL), ("others", ~is_class, GUESS)]
    frame = pl.concat(
        [
            pl.DataFrame(
                {"start": edges[:-1], "end": edges[1:], "rows": _histogram(share, weights, inside, edges)}
            ).with_columns(side=pl.lit(name))
            for name, inside, _ in sides
        ]
    )
    chart = (
        alt.Chart(frame)
        .mark_bar(opacity=0.65)
        .encode(
            x=alt.X("start:Q", bin="binned", title="Predicted probability", axis=_shares(), scale=_unit()),
            x2="end:Q",
            y=alt.Y("rows:Q", title="Share of its rows", axis=_shares(), stack=None),
            color=_colours("side", [name for name, *_ in sides], [colour for *_, colour in sides]),
        )
    )
    return styled(
        chart,
        f"How far {of} and the others are apart",
        "The less both shapes overlap, the surer the labels.",
    )


def confusion_chart(matrix: Confusion) -> "alt.LayerChart":
    """The confusion matrix: for each true class, how its rows were labelled."""
    import altair as alt

    names, shares = list(matrix.names), matrix.shares
    places = [(true, given) for true in range(len(names)) for given in range(len(names))]
    frame = pl.DataFrame(
        {
            "true": [names[true] for true, _ in places],
            "label": [names[given] for _, given in places],
            "share": [float(shares[place]) for place in places],
            "told": [_cell(matrix.counts[place], shares[place], brief=len(names) > 6) for place in places],
            "is_dark": [bool(shares[place] > 0.55) for place in places],
        }
    )
    shared = alt.Chart(frame).encode(
        x=alt.X("label:N", title="Label given", sort=names, axis=alt.Axis(labelAngle=-40 if len(names) > 3 else 0)),
        y=alt.Y("true:N", title="True class", sort=names),
    )
    cells = shared.mark_rect(stroke=LINE).encode(
        color=alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["#f7f9fc", MODEL]), legend=None)
    )
    texts = shared.mark_text(fontSize=12 if len(names) <= 6 else 10).encode(
        text="told:N",
        color=alt.condition("datum.is_dark", alt.value("#ffffff"), alt.value("#16202d")),
    )
    return styled(
        alt.layer(cells, texts),
        "Confusion matrix",
        "A row is a true class, and how its rows were labelled; the diagonal is right.",
        height=max(_HEIGHT, 90 + 32 * len(names)),
    )


# --------------------------------------------------------------------------------------------------------- values


def prediction_chart(y: Values, predicted: Values, weights: Values) -> "alt.LayerChart":
    """True by predicted values, in cells that are darker the more rows they hold. All (rows,)."""
    import altair as alt

    low, high = (float(end) for end in np.quantile(np.concatenate([y, predicted]), [0.005, 0.995]))
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, _CELLS + 1)
    counts, _, _ = np.histogram2d(predicted.clip(low, high), y.clip(low, high), bins=[edges, edges], weights=weights)
    across, up = np.nonzero(counts)
    held = counts[across, up]
    frame = pl.DataFrame(
        {
            "x": edges[across],
            "x2": edges[across + 1],
            "y": edges[up],
            "y2": edges[up + 1],
            "depth": np.sqrt(held / held.max()),
        }
    )
    axis = alt.Scale(domain=[low, high], nice=False)
    cells = (
        alt.Chart(frame)
        .mark_rect(stroke=None)
        .encode(
            x=alt.X("x:Q", title="Predicted", scale=axis),
            x2="x2:Q",
            y=alt.Y("y:Q", title="True", scale=axis),
            y2="y2:Q",
            color=alt.Color("depth:Q", scale=alt.Scale(domain=[0, 1], range=["#dfe8fa", "#12337f"]), legend=None),
        )
    )
    line = alt.Chart(pl.DataFrame({"x": [low, high], "y": [low, high]}))
    ideal = line.mark_line(color=QUIET, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    return styled(
        alt.layer(cells, ideal),
        "Predicted and true values",
        "Darker cells hold more rows; on the dashed line the prediction is right. The outermost 0.5% are drawn at the "
        "edge.",
    )


def residual_chart(found: Sequence[Band]) -> "alt.LayerChart":
    """Residuals by prediction: the median, and where nine of ten lie."""
    import altair as alt

    frame = pl.DataFrame(found, schema=Band._fields, orient="row")
    shared = alt.Chart(frame).encode(x=alt.X("predicted:Q", title="Predicted", scale=alt.Scale(zero=False, nice=False)))
    area = shared.mark_area(color=MODEL, opacity=0.18).encode(y=alt.Y("low:Q", title="True − predicted"), y2="high:Q")
    middle = shared.mark_line(color=MODEL, strokeWidth=2.5, point=True).encode(y="middle:Q")
    zero = alt.Chart(pl.DataFrame({"y": [0.0]})).mark_rule(color=QUIET, strokeDash=[4, 3]).encode(y="y:Q")
    return styled(
        alt.layer(area, zero, middle),
        "How far predictions are off, by prediction",
        "The line is the median, the band holds nine of ten rows. A line away from 0 is a bias; a band that widens, "
        "doubt that grows.",
    )


def residual_histogram(residuals: Values, weights: Values) -> "alt.LayerChart":
    """How often predictions are off by how much. Both (rows,)."""
    import altair as alt

    low, high = (float(end) for end in np.quantile(residuals, [0.005, 0.995]))
    high = high if high > low else low + 1.0
    edges = np.linspace(low, high, _BARS + 1)
    everyone = np.ones(len(residuals), dtype=np.bool_)
    rows = _histogram(residuals.clip(low, high), weights, everyone, edges)
    frame = pl.DataFrame({"start": edges[:-1], "end": edges[1:], "rows": rows})
    bars = (
        alt.Chart(frame)
        .mark_bar(color=MODEL, opacity=0.85)
        .encode(
            x=alt.X("start:Q", bin="binned", title="True − predicted", scale=alt.Scale(domain=[low, high], nice=False)),
            x2="end:Q",
            y=alt.Y("rows:Q", title="Share of rows", axis=_shares()),
        )
    )
    zero = alt.Chart(pl.DataFrame({"x": [0.0]})).mark_rule(color=QUIET, strokeDash=[4, 3]).encode(x="x:Q")
    return styled(
        alt.layer(bars, zero),
        "How often predictions are off by how much",
        "Left of 0 the prediction was too high, right of it too low. The outermost 0.5% are in the last bars.",
    )


def coverage_chart(each: Sequence[Coverage], promised: float) -> "alt.LayerChart":
    """Whether intervals hold the true value as often as promised, by range of the prediction."""
    import altair as alt

    frame = pl.DataFrame(each, schema=Coverage._fields, orient="row").with_columns(
        range=pl.Series([f"{number(one.start)} to {number(one.end)}" for one in each])
    )
    shared = alt.Chart(frame).encode(
        x=alt.X("range:N", title="Predicted", sort=None, axis=alt.Axis(labelAngle=-25 if len(each) > 3 else 0))
    )
    whiskers = shared.mark_rule(color=MODEL, strokeWidth=1.5, opacity=0.6).encode(
        y=alt.Y("lower:Q", title="Rows whose interval holds the truth", axis=_shares(), scale=alt.Scale(zero=False)),
        y2="upper:Q",
    )
    points = shared.mark_circle(color=MODEL, size=60, opacity=1).encode(y="share:Q")
    rule = alt.Chart(pl.DataFrame({"y": [promised]})).mark_rule(color=QUIET, strokeDash=[4, 3]).encode(y="y:Q")
    return styled(
        alt.layer(rule, whiskers, points),
        f"Do {percent(promised)} of the intervals hold the truth?",
        f"By range of the prediction, with 95% intervals; the dashed line is the {percent(promised)} promised.",
    )


# --------------------------------------------------------------------------------------------------------- search


def course_chart(steps: Sequence[Step], metric: str, *, greater_is_better: bool) -> "alt.LayerChart":
    """The learning curve of the search: each trial's score when it ended, and the best one so far."""
    import altair as alt

    scored = [step for step in steps if step.score is not None]
    shown = _evenly([step for step in scored if step.candidate != "baseline"] or scored, _MOST_TRIALS)
    families = _named_series([step.candidate for step in shown])
    domain = _domain([step.score for step in shown if step.score is not None], greater_is_better=greater_is_better)
    scale, title = alt.Scale(domain=domain, clamp=True, nice=False), f"Validation {metric_name(metric)}"
    points = pl.DataFrame(
        {
            "s": [step.ended_s for step in shown],
            "score": [step.score for step in shown],
            "family": [step.candidate if step.candidate in families else _OTHER for step in shown],
            "whole": [step.is_complete for step in shown],
        }
    )
    dots = (
        alt.Chart(points)
        .mark_point(filled=True, size=38, strokeWidth=1.3)
        .encode(
            x=alt.X("s:Q", title="Seconds since the start", scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=6)),
            y=alt.Y("score:Q", title=title, scale=scale),
            color=_colours("family", list(families), list(families.values())),
            opacity=alt.condition("datum.whole", alt.value(1.0), alt.value(0.35)),
        )
    )
    gains = [step for step in steps if step.best is not None and _is_within(step.best, domain)]
    line = alt.Chart(pl.DataFrame({"s": [step.ended_s for step in gains], "best": [step.best for step in gains]}))
    best = line.mark_line(color=INK, interpolate="step-after", strokeWidth=1.5).encode(
        x="s:Q", y=alt.Y("best:Q", title=title, scale=scale)
    )
    better = "higher" if greater_is_better else "lower"
    return styled(
        alt.layer(best, dots),
        "What the search found, and when",
        f"Each dot is a trial; {better} is better, and the line is the best so far. Pale trials were given up early; "
        "far worse ones are drawn at the edge.",
    )


def frontier_chart(points: Sequence[Point], metric: str) -> "alt.LayerChart":
    """What a better score costs: ensembles of which none is both slower and worse than another."""
    import altair as alt

    frame = pl.DataFrame(
        {
            "us": [point.latency_us for point in points],
            "score": [point.score for point in points],
            "is_chosen": [point.chosen for point in points],
        }
    ).sort("us")
    scale = alt.Scale(zero=False, padding=12)
    shared = alt.Chart(frame).encode(
        x=alt.X("us:Q", title="One row, in microseconds", scale=scale, axis=alt.Axis(tickCount=6)),
        y=alt.Y("score:Q", title=f"Validation {metric_name(metric)}", scale=scale),
    )
    line = shared.mark_line(color=GUESS, interpolate="step-after")
    dots = shared.mark_circle(opacity=1).encode(
        color=alt.condition("datum.is_chosen", alt.value(MODEL), alt.value(GUESS)),
        size=alt.condition("datum.is_chosen", alt.value(140), alt.value(60)),
    )
    told = shared.transform_filter("datum.is_chosen").mark_text(dx=8, dy=-14, align="right", color=INK, fontSize=13)
    return styled(
        alt.layer(line, dots, told.encode(text=alt.value("published"))),
        "What a better score costs",
        "Each dot is an ensemble that no other beats in both speed and score; the blue one was published.",
    )


# ---------------------------------------------------------------------------------------------------------- parts

_OTHER = "others"


def _curves(curves: Mapping[str, Curve], x: str, y: str, area: str) -> "alt.Chart":
    """Lines by class, in the classes' order; each name with the area under its curve."""
    import altair as alt

    told = zip(_brief(list(curves)), curves.values(), strict=True)
    names = [f"{name} ({area} {curve.area:.3f})" for name, curve in told]
    frame = pl.concat(
        [
            pl.DataFrame({"x": curve.x, "y": curve.y}).with_columns(name=pl.lit(name))
            for name, curve in zip(names, curves.values(), strict=True)
        ]
    )
    return (
        alt.Chart(frame)
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("x:Q", title=x, axis=_shares(), scale=_unit()),
            y=alt.Y("y:Q", title=y, axis=_shares(), scale=_unit()),
            order="x:Q",
            color=_colours("name", names, [*SERIES, OTHERS][: len(names)]),
        )
    )


def dressed(chart: Any) -> Any:
    """A chart of another package, such as one of `autopilot.explain`, in this look; facets keep their own widths."""
    import altair as alt

    if isinstance(chart, alt.FacetChart):
        return configured(chart)
    return configured(chart.properties(width=WIDTH, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")))


def _shares() -> Any:
    """An axis of shares, in per cent."""
    import altair as alt

    return alt.Axis(format="%", tickCount=5)


def _unit() -> Any:
    """From 0 to 1."""
    import altair as alt

    return alt.Scale(domain=[0, 1], nice=False)


def _colours(field: str, names: Sequence[str], colours: Sequence[str]) -> Any:
    """A colour for each name, told in a legend."""
    import altair as alt

    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(names), range=list(colours)), sort=list(names))


def _brief(names: Sequence[str]) -> list[str]:
    """Names that fit a legend and are still told apart: what is cut is taken out of the middle.

    >>> _brief(["late", "a district of the capital", "a district of the capitol"])
    ['late', 'a distric…capital', 'a distric…capitol']
    """
    short = [name if len(name) <= _NAME else f"{name[:9]}…{name[-7:]}" for name in names]
    return short if len(set(short)) == len(short) else [f"{at}. {name}" for at, name in enumerate(short, start=1)]


def _histogram(values: Values, weights: Values, inside: NDArray[np.bool_], edges: Values) -> Values:
    """The share of the rows inside that is in each bin."""
    counts, _ = np.histogram(values[inside], edges, weights=weights[inside])
    return counts / max(counts.sum(), 1e-300)


def _cell(count: float, share: float, *, brief: bool) -> str:
    """What a cell of a confusion matrix says: rows and their share; in small cells the rows alone, nothing for none."""
    if brief:
        return number(count) if count else ""
    return f"{number(count)} ({percent(share)})"


def _evenly(steps: list[Step], most: int) -> list[Step]:
    """At most so many, spread evenly over the course."""
    at = np.unique(np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int))
    return [steps[number] for number in at.tolist()]


def _named_series(names: Sequence[str]) -> dict[str, str]:
    """A colour for each of the most frequent names, and one for all others."""
    frequent = sorted(dict.fromkeys(names), key=lambda name: -names.count(name))
    named: dict[str, str] = dict(zip(sorted(frequent[: len(SERIES)]), SERIES, strict=False))
    return named if len(frequent) <= len(SERIES) else {**named, _OTHER: OTHERS}


def _domain(scores: Sequence[float], *, greater_is_better: bool) -> list[float]:
    """From the best score to one that a fifth of all are worse than, with a margin: far worse ones squeeze the rest."""
    turned = np.array(scores) if greater_is_better else -np.array(scores)
    best, worst = float(turned.max()), float(np.quantile(turned, 0.2))
    margin = 0.08 * (best - worst) or max(abs(best), 1.0) * 1e-3
    ends = [worst - margin, best + margin]
    return ends if greater_is_better else [-ends[1], -ends[0]]


def _is_within(score: float, domain: list[float]) -> bool:
    return domain[0] <= score <= domain[1]
