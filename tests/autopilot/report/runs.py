"""Runs whose models scikit-learn trained: real rows, folds and predictions, without the minutes of a search."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression

from autopilot.candidates.baseline import Baseline
from autopilot.events import Event, Note, Phase, TrialEnded, Working
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.metrics import metric_named
from autopilot.report.evidence import Evidence, collect, held_out
from autopilot.scores import scores_of
from autopilot.search.ensemble import Blend, single
from autopilot.search.folds import Scheme, divide
from autopilot.search.frontier import Point
from autopilot.search.nested import Nested
from autopilot.search.study import Study
from autopilot.search.trial import Outcome, Spec
from autopilot.table.infer import infer
from autopilot.table.roles import Roles
from storage.records import Card, Member, ModelVersion, Parity, Run, RunEvent, Trial
from tests.records import NOW, run

Values = NDArray[np.float64]


def table(
    task: str, rows: int = 400, *, classes: Sequence[str] = ("no", "yes", "perhaps"), seed: int = 0
) -> pl.DataFrame:
    """Three numbers, a weight, a group of four rows, and a target `y` that depends on two of them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    score = x[:, 0] + 0.7 * x[:, 1] + rng.normal(size=rows)
    if task == "regression":
        y = pl.Series(100.0 + 20.0 * score)
    else:
        cuts = [0.4] if task == "binary" else np.quantile(score, np.arange(1, len(classes)) / len(classes))
        y = pl.Series([classes[at] for at in np.searchsorted(cuts, score)])
    frame = pl.DataFrame(x, schema=["a", "b", "c"])
    return frame.with_columns(weight=pl.Series(rng.uniform(0.5, 2.0, rows)), group=pl.arange(rows) // 4, y=y)


def study(frame: pl.DataFrame, scheme: Scheme, *, metric: str = "auto", **roles: str) -> Study:
    """The rows of a table, divided. roles: which columns weigh or group its rows."""
    left = frame.drop([name for name in ("weight", "group") if name not in roles.values()])
    learnt = infer(left, "y", roles=Roles(**roles))
    task, classes = learnt.signature.task, learnt.signature.classes
    scheme = replace(scheme, classes=len(classes))
    return Study.of(learnt, divide(learnt.y, scheme, 0, learnt.groups), metric_named(metric, task, classes), 0)


def trained(of: Study, number: int = 1) -> Outcome:
    """A linear model by scikit-learn, on each fold."""

    def fit(rows: Values) -> Any:
        model = LinearRegression() if of.table.signature.task == "regression" else LogisticRegression()
        return model.fit(_features(of)[rows], of.unit.scale(of.table.y)[rows])

    def predict(model: Any, rows: Values) -> Values:
        if not len(rows):
            return np.empty((0, max(1, len(of.table.signature.classes))))
        if of.table.signature.task == "regression":
            return model.predict(_features(of)[rows])[:, None]
        return model.predict_proba(_features(of)[rows])

    models = [fit(fold.train) for fold in of.folds.folds]
    valid = np.concatenate([predict(model, fold.valid) for model, fold in zip(models, of.folds.folds, strict=True)])
    return _outcome(of, number, valid, np.mean([predict(model, of.folds.test) for model in models], axis=0))


def guessed(of: Study) -> Outcome:
    """The constant guess, on each fold."""

    def guess(rows: Values, count: int) -> Values:
        y = of.unit.scale(of.table.y)[rows]
        classes = len(of.table.signature.classes)
        each = np.bincount(y.astype(int), minlength=classes) / len(y) if classes else y.mean(keepdims=True)
        return np.tile(each, (count, 1))

    valid = np.concatenate([guess(fold.train, len(fold.valid)) for fold in of.folds.folds])
    tests = [guess(fold.train, len(of.folds.test)) for fold in of.folds.folds]
    return _outcome(of, 0, valid, np.mean(tests, axis=0), candidate="baseline")


def evidence(
    of: Study, head: Head = NO_HEAD, *, nested: Nested | None = None, events: Sequence[Event] = (), **more: Any
) -> Evidence:
    """What a run with this study collects. more: further arguments of `collect`."""
    model, guess = trained(of), guessed(of)
    blend = single(model)
    told: list[Event] = [
        Working(1, 0.0),
        Phase("searching"),
        TrialEnded(guess.trial, None),
        TrialEnded(model.trial, None),
        Note("Validated on folds."),
        *events,
    ]
    version = version_of(of, blend, head, guess, nested)
    points = [Point(40.0, blend.score, version.card.members, chosen=True)]
    return collect(
        of,
        version,
        run_of(of),
        tape(told),
        **{"head": head, "held": held_out(of, blend, head, guess), "points": points, **more},
    )


def tape(events: Sequence[Event], every_s: float = 1.0) -> list[RunEvent]:
    """The events as a store keeps them, so many seconds apart."""
    return [
        RunEvent("r1", number, NOW + timedelta(seconds=number * every_s), type(event).__name__, _body(event))
        for number, event in enumerate(events)
    ]


def run_of(of: Study) -> Run:
    """The record of a run."""
    signature = of.table.signature
    return replace(run(), target=signature.target, task=signature.task, metric=of.metric.name, seed=of.seed)


def version_of(of: Study, blend: Blend, head: Head, guess: Outcome, nested: Nested | None) -> ModelVersion:
    """The published version of a blend."""
    pairs = zip(blend.outcomes, blend.weights, strict=True)
    members = tuple(
        Member(one.spec.number, one.trial.candidate, weight, {"penalty": 1.0}, "linear") for one, weight in pairs
    )
    card = Card(
        name="demo",
        created_at=NOW,
        rows=len(of.table.y),
        seed=of.seed,
        seconds=12.0,
        digest="0" * 64,
        scores=scores_of(of, blend, head, guess, nested),
        parity=Parity(rows=10, max_abs_diff=1e-7, label_flips=0),
        members=members,
        versions={"autopilot": "0.1.0"},
        plans={"linear": ("scales 3 numbers",)},
        latency_us=41.0,
    )
    return ModelVersion("demo", 1, "r1", "1" * 64, 48_000, "2" * 64, of.table.signature, card, NOW)


def _outcome(of: Study, number: int, valid: Values, test: Values, candidate: str = "linear") -> Outcome:
    score = of.scoring.score(valid)
    record = Trial("r1", number, candidate, {}, "completed", score, (score,), 0.5)
    return Outcome(Spec(number, Baseline(), {}, 0), record, valid, test, (), 40.0)


def _features(of: Study) -> Values:
    return of.table.frame.select("a", "b", "c").to_numpy()


def _body(event: Event) -> str:
    return msgspec.json.encode(event).decode()
