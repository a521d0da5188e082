"""Attribution drift: does the model still look at the same columns?

A column's attribution is the mean size of its Shapley values over rows (`storage/explain/`), for each class. Rows of
the window are ranked by it, and the ranking is scored by the reference's attributions:

    NDCG = Σ a(f'ᵢ) / log₂(i + 1)  /  Σ a(fᵢ) / log₂(i + 1)

where a are the reference's attributions, f its columns in their order, and f' the columns in the window's order. 1 is
the same order; Clarify calls less than 0.90 a violation (Hardt et al., "Amazon SageMaker Clarify", KDD 2021; Järvelin
and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002). Of 200 rows an attribution is an estimate, so
our verdict asks two things more: that the interval of the score, by the bootstrap over rows, is below the threshold
too; and that dealing the rows of both sides out again at random gives as low a score with a chance of at most `level`.

One part of the reference is what predictions are held against, and another is explained: so without drift both sides
are rows of one kind, and the second test is exact.
"""

from collections.abc import Mapping
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from monitor.calibrated import check_level
from monitor.charts import number
from monitor.performance.reference import read_sample
from storage.boundary import checked, typed
from storage.errors import SettingError
from storage.predictor import Predictor
from storage.signature import Signature
from storage.traffic import redactions_of

if TYPE_CHECKING:
    from storage.store import Store

Values = NDArray[np.float64]

#: Clarify's.
THRESHOLD = 0.90
#: Rows of each side that are explained. Trees take 1 to 35 ms a row, other models `_EVALUATIONS` times 14 to 31 us.
_ROWS, _EVALUATIONS = 200, 1_000
#: Of the reference, the rows that predictions are held against: what `Explainer` takes at most.
_BACKGROUND_ROWS = 100
#: Fewer rows on a side are not judged: as many as a comparison of columns needs.
_LEAST_ROWS = 30
#: Rows that are explained to see how long it takes.
_TIMED_ROWS = 4
#: Resamples for the interval, and at least as many dealings for the p-value.
_DRAWS = 1_000
_MOST_DRAWS = 20_000


class Attribution(Struct, frozen=True):
    """One column: its mean absolute Shapley value on either side, in units of the output, and its ranks from 1."""

    column: str
    reference: float
    current: float
    reference_rank: int
    current_rank: int


class AttributionDrift(Struct, frozen=True):
    """How the attributions for one output differ from the reference's.

    label: the class, or `prediction`. ndcg: None where nothing was explained or no column matters; `note` says why.
    low, high: its 95 % interval. p_value: of a score as low without drift. expected: the mean output of the rows that
    predictions are held against. violates: ndcg < threshold, Clarify's rule. drifted: high < threshold and p_value <=
    level. columns: those that the model looked at most in the reference first.
    """

    label: str
    ndcg: float | None
    low: float | None
    high: float | None
    p_value: float | None
    expected: float | None
    level: float
    threshold: float
    violates: bool
    drifted: bool
    rows: int
    reference_rows: int
    columns: tuple[Attribution, ...]
    note: str = ""

    @property
    def words(self) -> str:
        """The finding in a sentence, for a report."""
        if self.ndcg is None or self.low is None or self.high is None:
            return f"For {self.label!r} nobody knows what the model looks at: answers were not explained. {self.note}"
        score = f"{number(self.ndcg)} of 1, 95% interval {number(self.low)} to {number(self.high)}"
        if not self.drifted:
            return f"For {self.label!r} the model looks at the columns in about the same order ({score})."
        most = max(self.columns, key=lambda column: (column.current_rank - column.reference_rank, column.reference))
        moved = f"{most.column!r} went from place {most.reference_rank} to {most.current_rank}"
        return f"For {self.label!r} the model looks at the columns in another order ({score}): {moved}."


def ndcg(reference: Mapping[str, float], current: Mapping[str, float]) -> float | None:
    """How well the current attributions rank the columns, 0 to 1; None where no column of the reference matters.

    reference, current: attribution of each column, at least 0; the same columns. Columns with equal current
    attributions share the places that they hold, as scikit-learn's `ndcg_score` has it.

    >>> round(ndcg({"SAT": 0.70, "GPA": 0.50, "rank": 0.05}, {"SAT": 0.10, "GPA": 0.20, "rank": 0.70}), 4)
    0.6876
    """
    names = sorted(reference)
    gains, scores = ([side[name] for name in names] for side in (reference, current))
    found = float(_ndcg(np.array([gains]), np.array([scores]))[0])
    return None if np.isnan(found) else found


def attribution_drift(
    predictor: Predictor,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    level: float = 0.05,
    threshold: float = THRESHOLD,
    rows: int = _ROWS,
    evaluations: int = _EVALUATIONS,
    seed: int = 0,
) -> tuple[AttributionDrift, ...]:
    """Attribution drift of each output: the second of two classes, each of more, or the prediction.

    reference, current: raw columns, of which those that the model takes are read; rows with a cell that is not as in
    training are left out. rows: that are explained of each side, drawn at random. evaluations: of the model for each of
    them, about, where its trees cannot be read. Raises DataError where a column is absent, SettingError for a level or
    a threshold out of its range.
    """
    from storage.explain import Explainer

    _refuse(level, threshold)
    signature, rng = predictor.signature, np.random.default_rng(seed)
    usual = _drawn(_sound(predictor, reference), _BACKGROUND_ROWS + rows, rng)
    background = usual.head(min(_BACKGROUND_ROWS, usual.height // 2))
    before, after = usual.slice(background.height), _drawn(_sound(predictor, current), rows, rng)
    labels = _labels(signature)
    if min(before.height, after.height) < _LEAST_ROWS:
        note = f"It takes {_LEAST_ROWS} rows on either side; there are {before.height:,} and {after.height:,}."
        return tuple(_untold(label, level, threshold, before.height, after.height, note) for label in labels)
    explainer = Explainer(predictor, background, seed=seed)
    sides = [np.abs(explainer.explain(frame, evaluations=evaluations).values) for frame in (before, after)]
    judge = _Judge(signature.names, level, threshold, seed)
    return tuple(
        judge.told(label, float(explainer.base[place]), *(side[:, :, place] for side in sides))
        for place, label in zip(range(-len(labels), 0), labels, strict=True)
    )


def attribution_drift_of_traffic(
    store: "Store", endpoint_name: str, window: tuple[datetime, datetime], *, level: float = 0.05, seed: int = 0
) -> tuple[AttributionDrift, ...]:
    """Attribution drift of what the version that an endpoint serves now answered in a window, `start <= time < end`.

    A redacted column cannot be explained: then each output says so. Raises UnknownNameError for an endpoint that the
    store does not hold; other arguments are those of `attribution_drift`.
    """
    endpoint = store.endpoints.get(endpoint_name)
    version = store.models.get(f"{endpoint.model}:{endpoint.version}")
    predictor = Predictor(store.models.read_file(version))
    reference = read_sample(store, version)
    start, end = window
    traffic = store.traffic.read(endpoint_name, start, end, model=version.name, version=version.version)
    if redacted := [name for name in redactions_of(traffic) if name in version.signature.names]:
        note = f"Captured traffic has no values of {', '.join(map(repr, redacted))}, so answers cannot be explained."
        rows = (reference.height, traffic.height)
        return tuple(_untold(label, level, THRESHOLD, *rows, note) for label in _labels(version.signature))
    current = traffic if traffic.width else reference.clear()
    return attribution_drift(predictor, reference, current, level=level, seed=seed)


def cost_of(predictor: Predictor, reference: pl.DataFrame) -> float:
    """About how many seconds `attribution_drift` takes: by the clock, of some rows of the reference.

    0 for a reference without rows that the model can read.
    """
    from storage.explain import Explainer

    usual = _sound(predictor, reference.head(_BACKGROUND_ROWS + _TIMED_ROWS))
    if usual.height <= _TIMED_ROWS:
        return 0.0
    explainer = Explainer(predictor, usual.slice(_TIMED_ROWS), seed=0)
    explainer.explain(usual.head(1), evaluations=_EVALUATIONS)  # what is made once is not of the rows
    began = perf_counter()
    explainer.explain(usual.head(_TIMED_ROWS), evaluations=_EVALUATIONS)
    return (perf_counter() - began) / _TIMED_ROWS * 2 * _ROWS


def violations(found: tuple[AttributionDrift, ...]) -> bytes:
    """What is below its threshold, as `constraint_violations.json` of SageMaker Clarify."""
    told = [
        {
            "label": one.label,
            "metric_name": "shap",
            "constraint_check_type": "feature_attribution_drift_check",
            "description": f"Feature attribution drift {one.ndcg} exceeds threshold {one.threshold:g}",
        }
        for one in found
        if one.violates
    ]
    return msgspec.json.format(msgspec.json.encode({"version": "1.0", "violations": told}), indent=4)


def explanations(found: tuple[AttributionDrift, ...]) -> bytes:
    """The current attributions as the section `explanations` of Clarify's `analysis.json`."""
    labels = {
        one.label: {
            "global_shap_values": {column.column: column.current for column in one.columns},
            "expected_value": one.expected,
        }
        for one in found
    }
    content = {"version": "1.0", "explanations": {"kernel_shap": labels}}
    return msgspec.json.format(msgspec.json.encode(content), indent=4)


def importances(found: tuple[AttributionDrift, ...]) -> dict[str, float]:
    """How much the model looks at each column, as shares that sum to 1: of the reference, over all outputs.

    Empty where nothing was explained.
    """
    sums: dict[str, float] = {}
    for one in found:
        for column in one.columns:
            sums[column.column] = sums.get(column.column, 0.0) + column.reference
    total = sum(sums.values())
    return {name: value / total for name, value in sums.items()} if total > 0 else {}


# ------------------------------------------------------------------------------------------------------------ rows


def _labels(signature: Signature) -> tuple[str, ...]:
    """The outputs that are told of: of two classes the second, since the first mirrors it."""
    told = signature.classes[-1:] if signature.task == "binary" else signature.classes
    return tuple(map(str, told)) or ("prediction",)


def _sound(predictor: Predictor, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that the model can read."""
    clean, errors = checked(predictor.signature, frame)
    return typed(predictor.signature, clean.filter(errors.is_null()))


def _drawn(frame: pl.DataFrame, rows: int, rng: np.random.Generator) -> pl.DataFrame:
    return frame[rng.permutation(frame.height)[:rows]]


# --------------------------------------------------------------------------------------------------------- verdicts


class _Judge(NamedTuple):
    """Judges outputs. names: of the columns."""

    names: tuple[str, ...]
    level: float
    threshold: float
    seed: int

    def told(self, label: str, expected: float, before: Values, after: Values) -> AttributionDrift:
        """before, after: sizes of Shapley values, (rows, columns)."""
        old, new = before.mean(axis=0), after.mean(axis=0)
        score = float(_ndcg(old[None], new[None])[0])
        if np.isnan(score):
            note = "No column changes this output in the reference, so there is no order to compare."
            return _untold(label, self.level, self.threshold, len(before), len(after), note)
        rng = np.random.default_rng(self.seed)
        low, high = _interval(before, after, rng)
        p_value = _p_value(before, after, score, self.level, rng)
        return AttributionDrift(
            label=label,
            ndcg=score,
            low=low,
            high=high,
            p_value=p_value,
            expected=expected,
            level=self.level,
            threshold=self.threshold,
            violates=score < self.threshold,
            drifted=high < self.threshold and p_value <= self.level,
            rows=len(after),
            reference_rows=len(before),
            columns=_columns(self.names, old, new),
        )


def _untold(label: str, level: float, threshold: float, reference_rows: int, rows: int, note: str) -> AttributionDrift:
    return AttributionDrift(
        label=label,
        ndcg=None,
        low=None,
        high=None,
        p_value=None,
        expected=None,
        level=level,
        threshold=threshold,
        violates=False,
        drifted=False,
        rows=rows,
        reference_rows=reference_rows,
        columns=(),
        note=note,
    )


def _columns(names: tuple[str, ...], old: Values, new: Values) -> tuple[Attribution, ...]:
    ranks = [np.argsort(np.argsort(-side, kind="stable"), kind="stable") + 1 for side in (old, new)]
    told = [
        Attribution(name, float(old[at]), float(new[at]), int(ranks[0][at]), int(ranks[1][at]))
        for at, name in enumerate(names)
    ]
    return tuple(sorted(told, key=lambda one: one.reference_rank))


def _ndcg(gains: Values, scores: Values) -> Values:
    """Of each line: (lines, columns) of the reference's and the current attributions; NaN where no gain is above 0."""
    places = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    best = (-np.sort(-gains, axis=1)) @ places
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked, held = (np.take_along_axis(side, order, axis=1) for side in (gains, scores))
    found = (_shared(ranked, held) * places).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(best > 0, found / best, np.nan)


def _shared(ranked: Values, held: Values) -> Values:
    """Gains in the order of the scores, those of equal scores replaced by their mean."""
    lines, columns = ranked.shape
    starts = np.ones((lines, columns), dtype=np.bool_)
    starts[:, 1:] = held[:, 1:] != held[:, :-1]
    group = np.cumsum(starts.ravel()) - 1
    return (np.bincount(group, ranked.ravel()) / np.bincount(group))[group].reshape(lines, columns)


def _interval(before: Values, after: Values, rng: np.random.Generator) -> tuple[float, float]:
    """Where 95 % of the scores are whose rows, of both sides, were drawn with replacement."""
    old, new = _resampled(before, rng), _resampled(after, rng)
    low, high = np.nanquantile(_ndcg(old, new), [0.025, 0.975]).tolist()
    return low, high


def _resampled(values: Values, rng: np.random.Generator) -> Values:
    """Means over resampled rows: (draws, columns)."""
    rows = len(values)
    weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=_DRAWS) / rows
    return weights @ values


def _p_value(before: Values, after: Values, score: float, level: float, rng: np.random.Generator) -> float:
    """The share of dealings of the rows to the two sides that give as low a score; the real one counts as one."""
    both, taken = np.concatenate([before, after]), len(after)
    draws = int(min(max(10 / level, _DRAWS), _MOST_DRAWS))
    reached = 1
    for start in range(0, draws, _DRAWS):
        lines = min(_DRAWS, draws - start)
        is_after = rng.random((lines, len(both))).argsort(axis=1) < taken  # ranks of random keys are a random order
        new = (is_after @ both) / taken
        old = (both.sum(axis=0) - new * taken) / len(before)
        found = _ndcg(old, new)
        reached += int(np.count_nonzero(~(found > score + 1e-12)))
    return reached / (draws + 1)


def _refuse(level: float, threshold: float) -> None:
    check_level(level)
    if not 0 < threshold <= 1:
        raise SettingError(f"threshold is {threshold!r}, which is no NDCG. Use a number above 0 and up to 1.")
