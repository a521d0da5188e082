"""The evidence: all that a report on a run tells, in one record that can be kept and sent."""

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace
from numpy.typing import NDArray

from autopilot.events import Note, Phase, TrialEnded, Working, event_of
from autopilot.explain import Dependence, Fairness, Importances
from autopilot.graph.calibration import Head
from autopilot.search.ensemble import Blend
from autopilot.search.frontier import Point
from autopilot.search.study import Study
from autopilot.search.trial import Outcome
from autopilot.table.findings import Finding
from storage.errors import FailureError
from storage.records import ModelVersion, Run, RunEvent, Trial
from storage.signature import Kind, Signature

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]

#: What evidence may hold: together at most about 2 MB.
MOST_ROWS, _MOST_CELLS = 20_000, 400_000
_MOST_TRIALS, _MOST_NOTES, _MOST_REASON = 2_000, 100, 500
#: Trials that keep their parameters: the best ones, more than any page lists.
_WITH_PARAMS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = ("completed", "raced", "failed")
_MAGIC, _VERSION = b"autopilot evidence", 1


class HeldOut(Struct, frozen=True):
    """Rows that no model had seen, and what was predicted for them.

    y: (rows,) class numbers or values. predicted: as the published model gives it, (rows, classes) probabilities,
    rounded to float32, or (rows, 1) values. guesses: what the constant guess gives, (distinct, outputs), and guess_at
    (rows,) which of them a row got: each fold has its own. weights: (rows,) or None. part: (rows,) which fold validated
    the row, 0 in a test set: parts are scored one by one. unit: (rows,) what rows are drawn by when their noise is
    measured: the number of the group, or of the row, which repeated folds validate several times. of_rows: how many
    there were, of which these are a sample if there were more.
    """

    y: Values
    predicted: Values
    guesses: Values
    guess_at: Numbers
    weights: Values | None
    part: Numbers
    unit: Numbers
    of_rows: int

    @property
    def guess(self) -> Values:
        """The constant guess for each row, (rows, outputs)."""
        return self.guesses[self.guess_at]

    @property
    def shares(self) -> Values:
        """Weight of each row, (rows,), summing to 1."""
        weights = np.ones(len(self.y)) if self.weights is None else self.weights
        return weights / weights.sum()


class TimedTrial(Struct, frozen=True):
    """A trial and the second of the run's budget at which it ended."""

    trial: Trial
    ended_s: float


class Stage(Struct, frozen=True):
    """A stretch of the run, in words, and the second at which it began."""

    name: str
    began_s: float


class KeptDependence(Struct, frozen=True):
    """A `Dependence` in a form that can be kept: all its fields, but of times the seconds since 1970 UTC."""

    column: str
    kind: Kind
    target: str
    output: str | int
    values: tuple[float | str, ...]
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    rows: int
    level: float

    @classmethod
    def of(cls, found: Dependence) -> "KeptDependence":
        """The same."""
        values = tuple(value.timestamp() if isinstance(value, datetime) else value for value in found.values)
        fields: dict[str, Any] = {**asdict(found), "values": values}
        return cls(**fields)

    @property
    def whole(self) -> Dependence:
        """What it was."""
        values: tuple[Any, ...] = self.values
        if self.kind == "time":
            values = tuple(_EPOCH + timedelta(seconds=value) for value in values)
        fields: dict[str, Any] = {**asdict(self), "values": values}
        return Dependence(**fields)


class Evidence(Struct, frozen=True):
    """What a report is made from.

    run: as it was when this was collected. model: the published version; levels of its columns are left out. held: None
    where only the constant guess, or a model from the middle of the search, was published. trials: in the order in
    which they ended; trial_count: how many there were, if these are not all. notes: what the run told on the way.
    """

    run: Run
    model: ModelVersion
    head: Head
    findings: tuple[Finding, ...]
    trials: tuple[TimedTrial, ...]
    trial_count: int
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    points: tuple[Point, ...]
    held: HeldOut | None
    is_nested: bool
    group_count: int = 0
    importances: Importances | None = None
    dependences: tuple[KeptDependence, ...] = ()
    fairness: tuple[Fairness, ...] = ()

    @property
    def signature(self) -> Signature:
        """Of the model."""
        return self.model.signature

    def to_bytes(self) -> bytes:
        """A version, then all of it; the same evidence gives the same bytes."""
        body = msgspec.msgpack.encode(self, enc_hook=_plain)
        return b"%s %d\n%s" % (_MAGIC, _VERSION, zlib.compress(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Evidence":
        """What `to_bytes` wrote. Raises FailureError for anything else, and for what a later version wrote."""
        first, _, body = data.partition(b"\n")
        magic, _, version = first.rpartition(b" ")
        if magic != _MAGIC:
            raise FailureError(f"This is no evidence of a run: it begins with {data[:24]!r}. Name the run by its id.")
        if version != b"%d" % _VERSION:
            raise FailureError(
                f"The evidence is of version {version.decode(errors='replace')}; this autopilot reads {_VERSION}. "
                "Update autopilot."
            )
        try:
            return msgspec.msgpack.decode(zlib.decompress(body), type=cls, dec_hook=_array)
        except (zlib.error, msgspec.MsgspecError) as error:
            raise FailureError(f"The evidence of the run cannot be read: {error}. Fit the model again.") from error


def held_out(study: Study, blend: Blend, head: Head, baseline: Outcome) -> HeldOut:
    """The rows that `scores_of` scores, with what the published model gives for them.

    The test rows; where there are none, the validated ones, each predicted by models that had not learnt from it. At
    most 20,000 rows, and 400,000 predictions, drawn by the study's seed.
    """
    folds, table = study.folds, study.table
    rows, ours, guess = folds.test, blend.test, baseline.test
    part = np.zeros(len(rows), dtype=np.int64)
    if folds.is_nested:
        rows, ours, guess = folds.validated, blend.valid, baseline.valid
        part = np.repeat(np.arange(len(folds.folds)), [len(fold.valid) for fold in folds.folds])
    assert guess is not None  # noqa: S101 - the constant guess always ends
    most = min(MOST_ROWS, max(1, _MOST_CELLS // ours.shape[1]))
    drawn = np.sort(np.random.default_rng(study.seed).permutation(len(rows))[:most])
    chosen, is_value = rows[drawn], table.signature.task == "regression"
    guesses, guess_at = np.unique(study.unit.unscale(guess[drawn]), axis=0, return_inverse=True)
    return HeldOut(
        y=table.y[chosen],
        predicted=study.unit.unscale(ours[drawn]) if is_value else _rounded(head.shares(ours[drawn])),
        guesses=guesses,
        guess_at=guess_at.astype(np.int64).reshape(-1),
        weights=None if table.weights is None else table.weights[chosen],
        part=part[drawn],
        unit=chosen if table.groups is None else table.groups[chosen],
        of_rows=len(rows),
    )


def _rounded(shares: Values) -> Values:
    """As they leave the model; what float32 has no digits for also packs into half the bytes."""
    return shares.astype(np.float32).astype(np.float64)


def collect(
    study: Study,
    model: ModelVersion,
    run: Run,
    records: Iterable[RunEvent],
    *,
    head: Head,
    held: HeldOut | None = None,
    points: Sequence[Point] = (),
    importances: Importances | None = None,
    dependences: Sequence[Dependence] = (),
    fairness: Sequence[Fairness] = (),
) -> Evidence:
    """The evidence of a run at its end.

    records: the run's tape, from which trials, stages and notes are read with the seconds at which they came. head: of
    the published model. held: of `held_out`; None where the model was not made at the run's end.
    """
    trials, stages, notes = _read(records)
    findings = study.table.findings
    told = {text for finding in findings for text in (finding.message, finding.told)}
    groups = study.table.groups
    return Evidence(
        run=run,
        model=replace(model, signature=_bare(model.signature)),
        head=head,
        findings=findings,
        trials=_bounded(trials, greater_is_better=study.metric.greater_is_better),
        trial_count=len(trials),
        stages=stages,
        notes=tuple(_cut(note) for note in notes if note not in told)[:_MOST_NOTES],
        points=tuple(points),
        held=held,
        is_nested=study.folds.is_nested,
        group_count=0 if groups is None else int(groups.max()) + 1,
        importances=importances,
        dependences=tuple(KeptDependence.of(one) for one in dependences),
        fairness=tuple(fairness),
    )


def _read(records: Iterable[RunEvent]) -> tuple[list[TimedTrial], tuple[Stage, ...], list[str]]:
    """Trials, stages and notes of a tape, by seconds of the budget: time between a kill and a resume does not count."""
    trials: dict[int, TimedTrial] = {}
    stages: list[Stage] = []
    notes: list[str] = []
    spent_s, began = 0.0, None
    for record in records:
        at_s = spent_s + (0.0 if began is None else (record.at - began).total_seconds())
        match event_of(record):
            case Working(spent_s=spent_s):
                began = record.at
            case TrialEnded(trial=trial):
                trials.pop(trial.number, None)  # one that a kill interrupted is done again
                trials[trial.number] = TimedTrial(trial, at_s)
            case Phase(name=name):
                stages.append(Stage(name, at_s))
            case Note(message=message):
                notes.append(message)
            case _:
                pass
    return list(trials.values()), tuple(stages), notes


def place_of(trial: Trial, *, greater_is_better: bool) -> tuple[int, float]:
    """What trials are ranked by: complete ones first, the better the earlier.

    >>> trials = [
    ...     Trial("r", 1, "mlp", {}, "raced", 0.9, (0.9,), 1.0),
    ...     Trial("r", 2, "linear", {}, "completed", 0.8, (), 1.0),
    ... ]
    >>> [trial.number for trial in sorted(trials, key=lambda trial: place_of(trial, greater_is_better=True))]
    [2, 1]
    """
    sign = -1.0 if greater_is_better else 1.0
    return _STATUSES.index(trial.status), float("inf") if trial.score is None else sign * trial.score


def _bounded(trials: list[TimedTrial], *, greater_is_better: bool) -> tuple[TimedTrial, ...]:
    """The best of very many trials, in their order; all but the first hundred without parameters."""
    ranked = sorted(range(len(trials)), key=lambda at: place_of(trials[at].trial, greater_is_better=greater_is_better))
    with_params = set(ranked[:_WITH_PARAMS])
    return tuple(
        replace(
            trials[at],
            trial=replace(
                trials[at].trial,
                params=trials[at].trial.params if at in with_params else {},
                reason=None if (reason := trials[at].trial.reason) is None else _cut(reason),
            ),
        )
        for at in sorted(ranked[:_MOST_TRIALS])
    )


def _bare(signature: Signature) -> Signature:
    """Without the levels of columns, of which there may be a thousand each."""
    return replace(signature, columns=tuple(replace(column, levels=()) for column in signature.columns))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_REASON else f"{text[: _MOST_REASON - 1]}…"


def _plain(value: Any) -> Any:
    """An array as its type, shape and bytes, little-endian in rows."""
    if isinstance(value, np.ndarray):
        ordered = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return ordered.dtype.str, ordered.shape, ordered.tobytes()
    raise NotImplementedError(f"Evidence cannot hold {type(value).__name__}.")


def _array(kind: Any, value: Any) -> Any:
    dtype, shape, data = value
    return np.frombuffer(data, dtype).reshape(shape)
