"""What was found about predictions: how much each column added, as a table and as a chart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from storage.errors import InputError
from storage.signature import Task

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

Values = NDArray[np.float64]
#: How values were found: all but the last are exact.
Method = Literal["tree paths", "all coalitions", "sampled orders"]

_SHOWN = 10
_UP, _DOWN, _NEITHER = "#d55e00", "#0072b2", "#999999"  # Okabe and Ito's, which the colour-blind tell apart


class Explanation(Struct, frozen=True, eq=False):
    """Shapley values of predictions: base + the sum of a row's values = its prediction.

    columns: the model's. outputs: names of classes, or `("prediction",)`. values: float64 (rows, columns, outputs), in
    units of the prediction or as probabilities; exactly 0 for columns that do not matter. base: (outputs,), the mean
    prediction of the background. prediction: (rows, outputs), as the model gives it. error: (rows, columns, outputs),
    the standard error of sampled values, 0 for exact ones. methods: how each row's values were found. cells: the rows
    as the model read them. background_rows: against how many rows they were held.

    In a notebook it shows as its chart.
    """

    task: Task
    target: str
    columns: tuple[str, ...]
    outputs: tuple[str | int, ...]
    values: Values
    base: Values
    prediction: Values
    error: Values
    methods: tuple[Method, ...]
    cells: "pl.DataFrame"
    background_rows: int

    @property
    def method(self) -> str:
        """How the values were found, in words."""
        held = f"against {self.background_rows} background rows"
        sampled = sum(each == "sampled orders" for each in self.methods)
        if not sampled:
            return f"exact, {held}, by {' and '.join(sorted(set(self.methods)))}" if self.methods else "no rows"
        rows = "" if sampled == len(self.methods) else f" for {sampled} of {len(self.methods)} rows"
        return f"sampled{rows}, {held}, with standard errors up to {self.error.max():.2g}"

    def frame(self) -> "pl.DataFrame":
        """A line for each row, class and column: `row`, `class` (not of values), `column`, `cell`, `value`, `error`.

        Lines of a row come with the largest value first. cell: the raw value as text, null where missing.
        """
        import polars as pl

        rows, columns, outputs = self.values.shape
        cells = [self.cells.get_column(name).cast(pl.String) for name in self.columns]
        ordered = np.argsort(-np.abs(self.values), axis=1, kind="stable")
        place = np.moveaxis(ordered, 1, 2).reshape(-1)
        row, output = (np.repeat(each, columns) for each in _grid(rows, outputs))
        found = pl.DataFrame(
            {
                "row": row,
                "class": np.array(self.outputs, dtype=object)[output].astype(str),
                "column": np.array(self.columns, dtype=object)[place].astype(str),
                "cell": pl.Series(
                    [cells[column][at] for at, column in zip(row.tolist(), place.tolist(), strict=True)],
                    dtype=pl.String,
                ),
                "value": self.values[row, place, output],
                "error": self.error[row, place, output],
            }
        )
        return found.drop("class") if self.task == "regression" else found

    def chart(self, row: int | None = None, class_: str | int | None = None, *, most: int = _SHOWN) -> "alt.Chart":
        """An Altair chart of one row: from the base to the prediction, a bar for each column, largest first.

        row: None for the only row, or, where there are several, the mean size of each column's values over all rows.
        class_: None for the only one, for the second of two classes, else for the likeliest one. most: columns that get
        a bar of their own. Raises InputError for a row or a class that is not there.
        """
        if row is None and len(self.values) != 1:
            return _sizes_chart(self, self._place(class_, None), most)
        number = row or 0
        if not 0 <= number < len(self.values):
            raise InputError(f"Row {number} is not explained; there are {len(self.values)} rows. Count from 0.")
        return _waterfall(self, number, self._place(class_, number), most)

    def _place(self, class_: str | int | None, row: int | None) -> int:
        """Of the output that is shown."""
        if class_ is not None:
            return place_of(self.outputs, class_)
        shown = self.prediction.mean(axis=0) if row is None else self.prediction[row]
        return int(usual_places(shown[None])[0])

    def __repr__(self) -> str:
        rows, columns, _ = self.values.shape
        return f"Explanation({rows} rows, {columns} columns, {self.method})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """What notebooks show."""
        if not len(self.values):
            return {"text/plain": repr(self)}
        return self.chart()._repr_mimebundle_(include, exclude)  # pyright: ignore[reportPrivateUsage] - Jupyter's own


def place_of(outputs: Sequence[str | int], class_: str | int) -> int:
    """The number of a class. Raises InputError that lists the classes.

    >>> place_of(("no", "yes"), "yes")
    1
    """
    names = [str(each) for each in outputs]
    if str(class_) not in names:
        raise InputError(f"There is no class {class_!r} to explain. Choose one of {', '.join(names)}.")
    return names.index(str(class_))


def usual_places(prediction: Values) -> NDArray[np.int64]:
    """The output that is told of each row, where none is asked for: the only one, the second of two, or the likeliest.

    prediction: (rows, outputs).

    >>> usual_places(np.array([[0.9, 0.1], [0.2, 0.8]])).tolist()
    [1, 1]
    >>> usual_places(np.array([[0.5, 0.3, 0.2], [0.2, 0.1, 0.7]])).tolist()
    [0, 2]
    """
    rows, outputs = prediction.shape
    return np.full(rows, outputs - 1) if outputs <= 2 else np.argmax(prediction, axis=1)


def _grid(rows: int, outputs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.repeat(np.arange(rows), outputs), np.tile(np.arange(outputs), rows)


def _waterfall(found: Explanation, row: int, output: int, most: int) -> "alt.Chart":
    import altair as alt

    bars = _bars(found, row, output, most)
    title = alt.TitleParams(
        f"Why {_what(found, output)} is {found.prediction[row, output]:.4g}",
        subtitle=f"From the mean of {found.base[output]:.4g}, column by column; {found.method}",
    )
    y = alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    colour = alt.Color(
        "direction:N",
        scale=alt.Scale(domain=["raises", "lowers", "total"], range=[_UP, _DOWN, _NEITHER]),
        legend=None,
    )
    x = alt.X("begin:Q", title=_what(found, output), scale=alt.Scale(zero=False))
    tooltip = ["label:N", alt.Tooltip("value:Q", format="+.4g"), alt.Tooltip("error:Q", format=".2g")]
    spans = alt.Chart(bars).mark_bar(height=14).encode(y=y, x=x, x2="end:Q", color=colour, tooltip=tooltip)
    points = alt.Chart(bars).transform_filter("datum.direction == 'total'").mark_tick(thickness=3, color=_NEITHER)
    texts = alt.Chart(bars).mark_text(align="left", dx=4).encode(y=y, x="high:Q", text="text:N")
    whole: Any = alt.layer(spans, points.encode(y=y, x="end:Q"), texts)
    return whole.properties(title=title, width=420)


def _bars(found: Explanation, row: int, output: int, most: int) -> "pl.DataFrame":
    """A line for the base, each column's step, all others, and the prediction."""
    import polars as pl

    values, errors = found.values[row, :, output], found.error[row, :, output]
    order = np.argsort(-np.abs(values), kind="stable")
    shown = [index for index in order.tolist()[:most] if values[index]]
    rest = [index for index in order.tolist() if index not in shown and values[index]]
    base, last = float(found.base[output]), float(found.prediction[row, output])
    steps = [(_label(found, row, index), float(values[index]), float(errors[index])) for index in shown]
    if rest:
        steps.append((f"{len(rest)} more", float(values[rest].sum()), float(np.sqrt((errors[rest] ** 2).sum()))))
    lines = [_line("mean", base, base, 0.0, f"{base:.4g}")]
    at = base
    for label, value, error in steps:
        lines.append(_line(label, at, at + value, error, f"{value:+.3g}"))
        at += value
    return pl.DataFrame([*lines, _line("prediction", last, last, 0.0, f"{last:.4g}")])


def _line(label: str, begin: float, end: float, error: float, text: str) -> dict[str, Any]:
    direction = "total" if begin == end else "raises" if end > begin else "lowers"
    both = {"begin": begin, "end": end, "high": max(begin, end), "value": end - begin}
    return {"label": label, **both, "error": error, "direction": direction, "text": text}


def _label(found: Explanation, row: int, column: int) -> str:
    """A column and its cell, for an axis."""
    cell = found.cells[row, column]
    shown = "missing" if cell is None else f"{cell:g}" if isinstance(cell, float) else str(cell)
    return f"{found.columns[column]} = {shown[:30]}"


def _sizes_chart(found: Explanation, output: int, most: int) -> "alt.Chart":
    import altair as alt
    import polars as pl

    if not len(found.values):
        raise InputError("There are no rows to draw. Explain at least one.")
    sizes = pl.DataFrame({"column": found.columns, "size": np.abs(found.values[:, :, output]).mean(axis=0)})
    title = alt.TitleParams(
        f"How much each column moves {_what(found, output)}",
        subtitle=f"Mean size of its Shapley values over {len(found.values)} rows; {found.method}",
    )
    x = alt.X("size:Q", title="mean size of the Shapley values")
    y = alt.Y("column:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    bars = alt.Chart(sizes.sort("size", descending=True).head(most)).mark_bar(color=_DOWN)
    return bars.encode(x=x, y=y, tooltip=["column:N", alt.Tooltip("size:Q", format=".4g")]).properties(
        title=title, width=420
    )


def _what(found: Explanation, output: int) -> str:
    """What is explained, for people."""
    return found.target if found.task == "regression" else f"p({found.target} = {found.outputs[output]})"
