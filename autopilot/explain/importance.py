"""Permutation importance: how much worse the model gets where one raw column is shuffled."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from autopilot.metrics import Metric
from storage.boundary import Blocks, blocks_of_frame, typed
from storage.errors import InputError, listed
from storage.explain.anatomy import used_columns
from storage.predictor import Outputs, Predictor
from storage.signature import BLOCKS, Signature

if TYPE_CHECKING:
    import altair as alt

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: Groups of rows that are left out in turn: the error of a standard error is 16 % with 20.
_GROUPS = 20
_LEAST_GROUP_ROWS = 10
#: Rows that a limit leaves, where there are as many.
_LEAST_ROWS = 200
#: Rows that the speed is measured on.
_TIMED_ROWS = 1_000
#: Of a limit: what is planned for. The rest is for what takes longer than the rows that were timed.
_PLANNED_SHARE = 0.8


class Importance(Struct, frozen=True):
    """One column. importance: by how much the loss rises, in the metric's unit, with its interval. rank: from 1."""

    column: str
    importance: float
    lower: float
    upper: float
    rank: int


class Importances(Struct, frozen=True):
    """The importance of each column that the model takes, the largest first.

    metric, score: of the rows as they are. level: of the intervals. rows, repeats: what was shuffled, how many times
    each column. notes: what a limit left out.
    """

    metric: str
    score: float
    columns: tuple[Importance, ...]
    level: float
    rows: int
    repeats: int
    notes: tuple[str, ...] = ()

    def frame(self) -> pl.DataFrame:
        """A line for each column: `rank`, `column`, `importance`, `lower`, `upper`."""
        fields = ("rank", "column", "importance", "lower", "upper")
        return pl.DataFrame({field: [getattr(each, field) for each in self.columns] for field in fields})


def permutation_importance(
    predictor: Predictor,
    frame: pl.DataFrame,
    y: Values,
    metric: Metric,
    *,
    weights: Values | None = None,
    repeats: int = 5,
    seed: int = 0,
    level: float = 0.95,
    limit_s: float | None = None,
) -> Importances:
    """How much worse the model gets on rows that it was not trained on, for each raw column that is shuffled.

    frame: raw columns. y: float64 (rows,), class numbers or values. weights: (rows,). limit_s: seconds that it may take
    about, by the speed of the first rows: repeats are left out, then rows. Columns that the model does not use have an
    importance of exactly 0. Columns that say the same share what they are worth: each alone may seem to matter little.

    The loss is the score, negated where greater is better. A row never gets its own value back, which makes the mean
    free of bias (Fisher, Rudin and Dominici, "All models are wrong, but many are useful", JMLR 2019). Rows are divided
    at random into up to 20 groups and values change places within a group, so that groups are independent: leaving out
    each in turn (the delete-a-group jackknife; Kott, "The delete-a-group jackknife", Journal of Official Statistics
    2001) measures the noise of the rows and that of the shuffling together, for any metric. The interval is that of
    Student's t with one degree of freedom less than groups.

    Raises DataError for a cell that is not as in training, InputError for fewer than 20 rows, or where y or weights are
    not as many.
    """
    _refuse(frame, y, weights, repeats, level)
    signature = predictor.signature
    rng = np.random.default_rng(seed)
    trial = _Rows.of(predictor, frame, y, weights)
    used = used_columns(predictor, trial.blocks)
    plan = _plan(trial, metric, repeats, len(used), limit_s)
    rows = trial if plan.rows == trial.blocks.rows else trial.take(np.sort(rng.permutation(len(y))[: plan.rows]))
    grouped = _Grouped.of(rows, metric, rng)
    found = [
        grouped.importance(predictor, column, plan.repeats, rng, level) if column in used else (0.0, 0.0, 0.0)
        for column in range(len(signature.columns))
    ]
    order = sorted(range(len(found)), key=lambda column: -found[column][0])
    return Importances(
        metric=metric.name,
        score=metric.score(rows.y, grouped.predicted, rows.weights),
        columns=tuple(Importance(signature.names[at], *found[at], rank) for rank, at in enumerate(order, start=1)),
        level=level,
        rows=plan.rows,
        repeats=plan.repeats,
        notes=plan.notes,
    )


def importance_chart(found: Importances, *, most: int = 20) -> "alt.Chart":
    """An Altair chart: a bar for each of the most important columns, with its interval."""
    import altair as alt

    title = alt.TitleParams(
        f"How much worse {found.metric} gets where a column is shuffled",
        subtitle=f"{found.rows:,} held-out rows, {found.repeats}× each; lines are {found.level:.0%} intervals",
    )
    y = alt.Y("column:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    figures = [alt.Tooltip(f"{name}:Q", format=".4g") for name in ("importance", "lower", "upper")]
    bars = alt.Chart(found.frame().head(most)).encode(y=y, tooltip=["column:N", *figures])
    whole: Any = alt.layer(
        bars.mark_bar(color="#0072b2").encode(x=alt.X("importance:Q", title=f"rise of the loss ({found.metric})")),
        bars.mark_rule(color="#333333").encode(x="lower:Q", x2="upper:Q"),
    )
    return whole.properties(title=title, width=420)


class _Plan(NamedTuple):
    """How much is done."""

    rows: int
    repeats: int
    notes: tuple[str, ...]


class _Rows(NamedTuple):
    """Rows as a metric and the graph take them."""

    signature: Signature
    predictor: Predictor
    blocks: Blocks
    y: Values
    weights: Values | None

    @classmethod
    def of(cls, predictor: Predictor, frame: pl.DataFrame, y: Values, weights: Values | None) -> "_Rows":
        signature = predictor.signature
        return cls(signature, predictor, blocks_of_frame(signature, typed(signature, frame)), y, weights)

    def take(self, rows: Numbers) -> "_Rows":
        """Some of them."""
        number, text, time_us = self.blocks
        weights = None if self.weights is None else self.weights[rows]
        return self._replace(blocks=Blocks(number[rows], text[rows], time_us[rows]), y=self.y[rows], weights=weights)

    def shuffled(self, column: int, donor: Numbers) -> tuple[Blocks, NDArray[np.bool_]]:
        """The rows that get another value than they have, with the donor's, and which ones these are."""
        kind, place = _place(self.signature, column)
        values = self.blocks[kind][:, place]
        given = values[donor]
        changed = given != values
        if BLOCKS[kind] == "number":
            changed &= ~(np.isnan(given) & np.isnan(values))
        parts: list[Any] = [part[changed] for part in self.blocks]
        parts[kind][:, place] = given[changed]
        return Blocks(*parts), changed


class _Grouped(NamedTuple):
    """Rows in groups. losses: (groups,), of the rows as they are without each group; whole_loss: of all."""

    rows: _Rows
    metric: Metric
    group: Numbers
    predicted: Values
    losses: Values
    whole_loss: float

    @classmethod
    def of(cls, rows: _Rows, metric: Metric, rng: np.random.Generator) -> "_Grouped":
        count = min(_GROUPS, len(rows.y) // _LEAST_GROUP_ROWS)
        group = rng.permutation(np.arange(len(rows.y)) % count)
        predicted = taken(rows.signature, rows.predictor.run(rows.blocks), metric)
        bare = cls(rows, metric, group, predicted, np.empty(count), 0.0)
        whole_loss, *losses = bare.all_losses(predicted)
        return bare._replace(losses=np.array(losses), whole_loss=whole_loss)

    def importance(
        self, predictor: Predictor, column: int, repeats: int, rng: np.random.Generator, level: float
    ) -> tuple[float, float, float]:
        """The mean rise of the loss over the repeats, and its interval."""
        from scipy.stats import t as student

        losses = np.mean(
            [list(self.all_losses(self._shuffled(predictor, column, rng))) for _ in range(repeats)], axis=0
        )
        count = len(self.losses)
        rise = float(losses[0] - self.whole_loss)
        without = losses[1:] - self.losses
        error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
        reach = float(student.ppf((1 + level) / 2, count - 1) * error)
        return rise, rise - reach, rise + reach

    def all_losses(self, predicted: Values) -> Iterator[float]:
        """The loss of all rows, then that without each group."""
        y, weights = self.rows.y, self.rows.weights
        yield self.metric.loss(self.metric.score(y, predicted, weights))
        for number in range(len(self.losses)):
            kept = self.group != number
            own = None if weights is None else weights[kept]
            yield self.metric.loss(self.metric.score(y[kept], predicted[kept], own))

    def _shuffled(self, predictor: Predictor, column: int, rng: np.random.Generator) -> Values:
        """Predictions with the column shuffled within groups. Only rows whose value changes are asked again."""
        blocks, changed = self.rows.shuffled(column, _donors(self.group, rng))
        predicted = self.predicted.copy()
        if blocks.rows:
            predicted[changed] = taken(self.rows.signature, predictor.run(blocks), self.metric)
        return predicted


def taken(signature: Signature, outputs: Outputs, metric: Metric) -> Values:
    """A model's outputs as a metric takes them: (rows, classes), or (rows, 1) values.

    For metrics of labels: 1 for the label that the model gives, as its head decides.
    """
    if outputs.label is None or outputs.probabilities is None:
        return np.asarray(outputs.prediction, dtype=np.float64)[:, None]
    if metric.needs != "label":
        return outputs.probabilities.astype(np.float64)
    return (outputs.label[:, None] == np.array(signature.classes, dtype=object)).astype(np.float64)


def _donors(group: Numbers, rng: np.random.Generator) -> Numbers:
    """For each row the next one of its group, in a random circle: never itself."""
    order = np.lexsort([rng.random(len(group)), group])
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    following = np.roll(order, -1)
    following[np.append(begins[1:], len(order)) - 1] = order[begins]
    donor = np.empty_like(order)
    donor[order] = following
    return donor


def _place(signature: Signature, column: int) -> tuple[int, int]:
    """The block of a column, and where in it the column is."""
    name = signature.names[column]
    blocks = [signature.block(block) for block in BLOCKS]
    kind = next(index for index, names in enumerate(blocks) if name in names)
    return kind, blocks[kind].index(name)


def _plan(rows: _Rows, metric: Metric, repeats: int, columns: int, limit_s: float | None) -> _Plan:
    """What fits into the limit."""
    height = len(rows.y)
    if limit_s is None:
        return _Plan(height, repeats, ())
    once_s = columns * _shuffle_s(rows, metric)
    left_s = _PLANNED_SHARE * limit_s
    fitting = max(1, min(repeats, int(left_s / max(once_s, 1e-9))))
    share = min(1.0, left_s / max(once_s * fitting, 1e-9))
    kept = min(height, max(_LEAST_ROWS, int(share * height)))
    notes: list[str] = []
    if fitting < repeats:
        told = "once" if fitting == 1 else f"{fitting} times"
        notes.append(f"Columns were shuffled {told} instead of {repeats} times, to be done in {limit_s:g} s.")
    if kept < height:
        notes.append(f"{kept:,} of {height:,} rows were used, drawn at random, to be done in {limit_s:g} s.")
    return _Plan(kept, fitting, tuple(notes))


def _shuffle_s(rows: _Rows, metric: Metric) -> float:
    """Seconds of shuffling one column once, by some of the rows."""
    some = rows.take(np.arange(min(_TIMED_ROWS, len(rows.y))))
    began = time.monotonic()
    predicted = taken(some.signature, some.predictor.run(some.blocks), metric)
    run_s = time.monotonic() - began
    began = time.monotonic()
    metric.score(some.y, predicted, some.weights)
    score_s = time.monotonic() - began
    groups = min(_GROUPS, len(rows.y) // _LEAST_GROUP_ROWS)
    return len(rows.y) / len(some.y) * (run_s + (1 + groups) * score_s)


def _refuse(frame: pl.DataFrame, y: Values, weights: Values | None, repeats: int, level: float) -> None:
    least = 2 * _LEAST_GROUP_ROWS
    if frame.height < least:
        raise InputError(f"The importance of columns needs {least} rows or more; there are {frame.height}. Give more.")
    for name, given in (("y", y), ("weights", weights)):
        if given is not None and len(given) != frame.height:
            raise InputError(
                f"{name} has {len(given)} values for {frame.height} rows of {listed(frame.columns)}. Give one for each."
            )
    if repeats < 1 or not 0 < level < 1:
        raise InputError(
            f"repeats is {repeats} and level {level}. Shuffle at least once, with a level between 0 and 1."
        )
