"""Partial dependence: what the model says on average where one column is set to the same value in all rows.

Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001. The lines of single
rows, of which it is the mean, are told by their spread (Goldstein et al., "Peeking inside the black box", Journal of
Computational and Graphical Statistics 2015): where they run apart, the column matters in another way to other rows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from storage.boundary import Blocks, blocks_of_frame, typed
from storage.errors import InputError, listed
from storage.explain.explanation import place_of
from storage.predictor import Predictor
from storage.signature import BLOCKS, Column, Kind

if TYPE_CHECKING:
    import altair as alt

Values = NDArray[np.float64]

_POINTS = 20
_ROWS = 200
#: Of the values of a number: single values beyond are so far away that the others would stand in one place.
_ENDS = (0.01, 0.99)
_FIGURES = ("mean", "lower", "upper")
_BLUE = "#0072b2"


class Dependence(Struct, frozen=True):
    """What a model says for values of a column.

    output: the class whose probability it is, or `prediction`. values: of the column, rising; numbers, times, or for
    categories their levels, the most frequent first, "" for missing. mean: (values,), over all rows. lower, upper: the
    quantiles of single rows between which the share `level` of them lies.
    """

    column: str
    kind: Kind
    target: str
    output: str | int
    values: tuple[float | str | datetime, ...]
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    rows: int
    level: float

    def frame(self) -> pl.DataFrame:
        """A line for each value: `value`, `mean`, `lower`, `upper`."""
        return pl.DataFrame({"value": self.values, **{name: getattr(self, name) for name in _FIGURES}})


def partial_dependence(
    predictor: Predictor,
    frame: pl.DataFrame,
    columns: Sequence[str],
    *,
    class_: str | int | None = None,
    points: int = _POINTS,
    rows: int = _ROWS,
    level: float = 0.8,
    seed: int = 0,
) -> tuple[Dependence, ...]:
    """Partial dependence on each of the columns, in one call of the graph for each.

    frame: raw columns; so many of its rows are drawn by the seed. Numbers and times are set to as many of their
    quantiles as there are points, from 1 % to 99 %; categories to their most frequent levels. class_: None for the
    second of two classes, or the most frequent of several in the rows' predictions.

    Where columns go together, it asks for rows that there are not: an income of a million at the age of 18.

    Raises DataError for a cell that is not as in training, InputError for a column that the model does not take or that
    is text, an unknown class, or rows without a value.
    """
    signature = predictor.signature
    if not frame.height:
        raise InputError("There are no rows to set columns in. Give at least one.")
    known = {column.name: column for column in signature.columns}
    _refuse(known, columns)
    drawn = np.sort(np.random.default_rng(seed).permutation(frame.height)[:rows])
    clean = typed(signature, frame)
    blocks = blocks_of_frame(signature, clean[drawn])
    output = _output(predictor, blocks, class_)
    found: list[Dependence] = []
    for name in columns:
        grid = _grid(known[name], clean.get_column(name), points)
        lines = _lines(predictor, blocks, name, grid, output)
        ends = np.quantile(lines, [(1 - level) / 2, (1 + level) / 2], axis=0)
        found.append(
            Dependence(
                column=name,
                kind=known[name].kind,
                target=signature.target,
                output=signature.classes[output] if signature.classes else "prediction",
                values=tuple(_shown(known[name], value) for value in grid.tolist()),
                mean=tuple(lines.mean(axis=0).tolist()),
                lower=tuple(ends[0].tolist()),
                upper=tuple(ends[1].tolist()),
                rows=len(drawn),
                level=level,
            )
        )
    return tuple(found)


def dependence_chart(found: Dependence) -> "alt.Chart":
    """An Altair chart: the mean and the spread of single rows; a line for numbers and times, points for categories."""
    import altair as alt

    told = found.target if found.output == "prediction" else f"p({found.target} = {found.output})"
    title = alt.TitleParams(
        f"{told} by {found.column}",
        subtitle=f"Mean of {found.rows} rows with the column set; {found.level:.0%} of rows are in the band",
    )
    kind = {"number": "Q", "time": "T"}.get(found.kind, "N")
    x = alt.X(
        f"value:{kind}", title=found.column, sort=None, scale=alt.Undefined if kind == "N" else alt.Scale(nice=False)
    )
    y = alt.Y("mean:Q", title=told, scale=alt.Scale(zero=False))
    frame = found.frame()
    if kind == "N":
        frame = frame.with_columns(value=pl.col("value").replace("", "missing"))
    chart = alt.Chart(frame).encode(x=x, tooltip=["value", *(alt.Tooltip(f"{n}:Q", format=".4g") for n in _FIGURES)])
    band: Any = (
        chart.mark_rule(strokeWidth=6, opacity=0.3, color=_BLUE)
        if kind == "N"
        else chart.mark_area(opacity=0.2, color=_BLUE)
    )
    middle: Any = (
        chart.mark_point(filled=True, size=60, opacity=1, color=_BLUE)
        if kind == "N"
        else chart.mark_line(color=_BLUE, point=alt.OverlayMarkDef(color=_BLUE))
    )
    whole: Any = alt.layer(band.encode(y="lower:Q", y2="upper:Q"), middle.encode(y=y))
    return whole.properties(title=title, width=360, height=220)


def _lines(predictor: Predictor, blocks: Blocks, column: str, grid: NDArray[Any], output: int) -> Values:
    """What each row would get with each value: (rows, values)."""
    names = [predictor.signature.block(block) for block in BLOCKS]
    kind = next(index for index, each in enumerate(names) if column in each)
    parts: list[Any] = [np.repeat(part, len(grid), axis=0) for part in blocks]
    parts[kind][:, names[kind].index(column)] = np.tile(grid, blocks.rows)
    outputs = predictor.run(Blocks(*parts))
    found = outputs.prediction if outputs.probabilities is None else outputs.probabilities[:, output]
    return np.asarray(found, dtype=np.float64).reshape(blocks.rows, len(grid))


def _grid(column: Column, values: pl.Series, points: int) -> NDArray[Any]:
    """The values that the column is set to, as the graph takes them."""
    if column.kind == "category":
        counted = values.fill_null("").alias("level").value_counts().sort("count", "level", descending=[True, False])
        return np.array(counted.head(points).get_column("level").to_list(), dtype=object)
    present = values.drop_nulls().to_physical().to_numpy()
    if not len(present):
        raise InputError(f"Column {column.name!r} has no value in these rows. Give rows that have one.")
    wanted = np.linspace(*_ENDS, points)
    return np.unique(np.quantile(present, wanted, method="inverted_cdf"))


def _shown(column: Column, value: Any) -> float | str | datetime:
    """A value for people: times as such."""
    if column.kind != "time":
        return value
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)


def _output(predictor: Predictor, blocks: Blocks, class_: str | int | None) -> int:
    """The number of the class that is told, 0 for values."""
    classes = predictor.signature.classes
    if class_ is not None:
        return place_of(classes or ("prediction",), class_)
    if len(classes) <= 2:
        return max(0, len(classes) - 1)
    shares = predictor.run(blocks).probabilities
    return int(np.argmax(np.asarray(shares).mean(axis=0)))


def _refuse(known: dict[str, Column], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in known:
            raise InputError(f"The model takes no column {name!r}. It takes {listed(tuple(known))}.")
        if known[name].kind == "text":
            raise InputError(f"Column {name!r} is text, which has no order to go along. Choose other columns.")
