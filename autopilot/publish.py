"""From a blend of trials to a published version: refit, export, gate, store."""

import io
import platform
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import onnx
import polars as pl

from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.card import digest_of
from autopilot.deadline import Deadline
from autopilot.errors import ParityError
from autopilot.events import Note, Observer
from autopilot.graph import parity
from autopilot.metrics import Metric, metrics_of
from autopilot.model import TrainedMember, TrainedModel, outputs_of
from autopilot.search.ensemble import Blend, single
from autopilot.search.matrices import Matrices
from autopilot.search.trial import Outcome
from autopilot.vectors import make_vectors
from storage.predictor import frame_of_outputs
from storage.records import Card, Member, ModelVersion, Parity, Run, Scores
from storage.signature import Signature
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from autopilot.plan import Plan, Recipe

_LIBRARIES = ("autopilot", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
#: Those of the extra `boost`, recorded where they are installed. xgboost-cpu is xgboost without CUDA.
_MORE_LIBRARIES = ("catboost", "xgboost", "xgboost-cpu")
_REFERENCE_ROWS = 10_000
#: A refit trains on more rows than a fold did, so boosting goes a little further.
_MORE_ROUNDS = 1.1
#: Kept for export, gate and registration after the refit.
_EXPORT_S = 1.5


class Passed(NamedTuple):
    """A blend whose file passed the gate; plans: its features in words, by recipe."""

    blend: Blend
    graph: onnx.ModelProto
    parity: Parity
    plans: dict[str, tuple[str, ...]]


class Publisher:
    """Turns blends into files until one is exact, and stores that one."""

    def __init__(self, matrices: Matrices, deadline: Deadline, seed: int, observe: Observer) -> None:
        self._matrices, self._deadline, self._seed, self._observe = matrices, deadline, seed, observe
        self._refitted: dict[int, Fitted] = {}
        self._plans: dict[Recipe, tuple[Plan, Matrix, Values]] = {}

    def first_exact(self, blend: Blend, others: Sequence[Outcome], executor: Executor) -> Passed:
        """The blend if its file gives what was trained; else the first of its members, or of the next best trials.

        Raises ParityError if none does, which would take a constant guess that differs.
        """
        self._refit(blend.outcomes, executor)
        passed = self._attempt(blend)
        if passed is not None:
            return passed
        members = {outcome.spec.number for outcome in blend.outcomes}
        for outcome in [*blend.outcomes, *(other for other in others if other.spec.number not in members)]:
            self._refit((outcome,), executor)
            passed = self._attempt(single(outcome))
            if passed is not None:
                return passed
        raise ParityError(
            "No model's ONNX file gave what was trained, so none was published. Update onnxruntime; if that does not "
            "help, please report the columns' types."
        )

    def _refit(self, outcomes: Sequence[Outcome], executor: Executor) -> None:
        """Train on all rows, members at once."""
        for outcome in outcomes:
            recipe: Recipe = outcome.spec.candidate.recipe
            if recipe not in self._plans:
                self._plans[recipe] = self._matrices.of_all(recipe)
        wanted = [outcome for outcome in outcomes if outcome.spec.number not in self._refitted]
        futures = [executor.submit(self._refit_one, outcome) for outcome in wanted]
        for outcome, future in zip(wanted, futures, strict=True):
            error = future.exception()
            if error is None:
                self._refitted[outcome.spec.number] = future.result()
            else:
                self._observe(
                    Note(f"{_named(single(outcome))} could not be refitted: {type(error).__name__}: {error}.")
                )

    def _refit_one(self, outcome: Outcome) -> Fitted:
        spec, matrices = outcome.spec, self._matrices
        _, X, y = self._plans[spec.candidate.recipe]
        rounds = round(outcome.trial.rounds * _MORE_ROUNDS) if len(matrices.folds.folds) > 1 else outcome.trial.rounds
        problem = Problem(matrices.table.signature.task, matrices.outputs, len(X))
        until = self._deadline.earlier(_EXPORT_S)
        job = Job(X, y, None, None, spec.params, max(rounds, 1), until, spec.seed, problem)
        return spec.candidate.fit(job)

    def _attempt(self, blend: Blend) -> Passed | None:
        """Export and measure; None if the file is not exact, or there is none, which is noted."""
        if any(outcome.spec.number not in self._refitted for outcome in blend.outcomes):
            return None
        try:
            model = self._assemble(blend)
            graph = model.export()
            found = parity.measure(model, graph.SerializeToString(), self._matrices.table.frame, self._seed)
        except Exception as error:  # noqa: BLE001 - a candidate may raise anything; the next best is taken
            self._observe(Note(f"{_named(blend)} has no ONNX file: {type(error).__name__}: {error}."))
            return None
        if parity.passes(found):
            return Passed(blend, graph, found, {recipe: plan.words() for recipe, plan in model.plans.items()})
        where = f", furthest {found.worst.words}" if found.worst else ""
        self._observe(
            Note(
                f"Not published: the ONNX file of {_named(blend)} differs from what was trained "
                f"(by {found.max_abs_diff:.2g} at most{where}; {found.label_flips} labels of {found.rows})."
            )
        )
        return None

    def _assemble(self, blend: Blend) -> TrainedModel:
        members = tuple(
            TrainedMember(self._refitted[outcome.spec.number], outcome.spec.candidate.recipe, weight)
            for outcome, weight in zip(blend.outcomes, blend.weights, strict=True)
        )
        plans: dict[Recipe, Plan] = {member.recipe: self._plans[member.recipe][0] for member in members}
        return TrainedModel(self._matrices.table.signature, plans, members, self._matrices.unit)


def _named(blend: Blend) -> str:
    return " + ".join(f"{outcome.spec.candidate.name} #{outcome.spec.number}" for outcome in blend.outcomes)


def score(matrices: Matrices, metric: Metric, blend: Blend, baseline: Outcome) -> Scores:
    """The blend's scores, and the constant guess's beside them, on the rows that no decision has seen."""
    y = matrices.table.y[matrices.folds.test]
    ours, constant = (matrices.unit.unscale(found) for found in (blend.test, single(baseline).test))
    metrics = metrics_of(matrices.table.signature.task, y)
    return Scores(
        metric=metric.name,
        validation_score=blend.score,
        test_score=metric.score(y, ours),
        baseline_score=metric.score(y, constant),
        test_rows=len(y),
        test={other.name: other.score(y, ours) for other in metrics},
        baseline={other.name: other.score(y, constant) for other in metrics},
    )


def make_card(matrices: Matrices, passed: Passed, scores: Scores, run: Run, *, now: datetime, seconds: float) -> Card:
    """The model's card."""
    members = zip(passed.blend.outcomes, passed.blend.weights, strict=True)
    return Card(
        name=run.experiment,
        created_at=now,
        rows=len(matrices.table.y),
        seed=run.seed,
        seconds=round(seconds, 3),
        digest=digest_of(passed.graph),
        scores=scores,
        parity=passed.parity,
        members=tuple(_member(outcome, weight) for outcome, weight in members),
        versions=_versions(),
        plans=passed.plans,
    )


def _versions() -> dict[str, str]:
    """Of Python and the libraries that make a model."""
    found = {"python": platform.python_version(), **{library: version_of(library) for library in _LIBRARIES}}
    for library in _MORE_LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version_of(library)
    return found


def _member(outcome: Outcome, weight: float) -> Member:
    spec = outcome.spec
    return Member(spec.number, spec.candidate.name, weight, spec.params, spec.candidate.recipe)


def make_file(matrices: Matrices, passed: Passed, card: Card) -> bytes:
    """The portable model file: the graph and its metadata, with a few rows and their answers to check it by."""
    signature = matrices.table.signature
    vectors = make_vectors(passed.graph.SerializeToString(), signature, matrices.table.frame)
    metadata = {"signature": signature, "classes": signature.classes, "card": card, "vectors": vectors}
    model = onnx.ModelProto()
    model.CopyFrom(passed.graph)
    onnx.helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in metadata.items()})
    return model.SerializeToString(deterministic=True)


def reference_sample(matrices: Matrices, blend: Blend, seed: int) -> pl.DataFrame:
    """At most 10,000 rows with predictions of models that had not seen them: what monitoring compares traffic with."""
    signature = matrices.table.signature
    rows = np.concatenate([matrices.folds.validated, matrices.folds.test])
    predicted = np.concatenate([blend.valid, blend.test])
    outputs = frame_of_outputs(signature, outputs_of(signature, matrices.unit, predicted))
    named = outputs.rename(lambda name: OUTPUT_PREFIX + name)
    whole = pl.concat([matrices.table.frame[rows], named], how="horizontal")
    return whole.sample(min(_REFERENCE_ROWS, whole.height), seed=seed)


def publish(
    store: Store, run_id: str, file: bytes, card: Card, reference: pl.DataFrame, signature: Signature
) -> ModelVersion:
    """Store file and reference sample, then record the version: whoever sees it can read both."""
    parquet = io.BytesIO()
    reference.write_parquet(parquet)
    record = ModelVersion(
        name=card.name,
        version=0,
        run_id=run_id,
        digest=store.blobs.put(file),
        size_bytes=len(file),
        reference_digest=store.blobs.put(parquet.getvalue()),
        signature=signature,
        card=card,
        created_at=card.created_at,
    )
    return store.models.publish(record)
