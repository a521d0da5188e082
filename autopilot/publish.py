"""From a blend of trials to a published version: refit, assemble, gate, store."""

import io
import platform
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import NamedTuple

import msgspec
import numpy as np
import onnx
import polars as pl

from autopilot.card import digest_of
from autopilot.deadline import Deadline
from autopilot.errors import ParityError
from autopilot.events import Note, Observer
from autopilot.graph import parity
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.model import outputs_of
from autopilot.search.assembly import Assembled, Ingredient, Refitted, assemble, plan_key, refit
from autopilot.search.ensemble import Blend, single
from autopilot.search.kept import Kept
from autopilot.search.matrices import ALL, Part
from autopilot.search.study import Study
from autopilot.search.trial import Outcome, refit_rounds
from autopilot.table.infer import Table
from autopilot.workers import Shared, Workers
from storage.predictor import frame_of_outputs
from storage.records import Card, Member, ModelVersion, Run, Scores
from storage.signature import Signature
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX

_LIBRARIES = ("autopilot", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
#: Those of the extra `boost`, recorded where they are installed. xgboost-cpu is xgboost without CUDA.
_MORE_LIBRARIES = ("catboost", "xgboost", "xgboost-cpu")
_REFERENCE_ROWS = 10_000
#: Kept between the refits and the end, as a multiple of what the last assembly took.
_ASSEMBLY_MARGIN = 1.3


class Passed(NamedTuple):
    """A blend whose file passed the gate."""

    blend: Blend
    head: Head
    assembled: Assembled
    ingredients: tuple[Ingredient, ...]


class Publisher:
    """Turns blends into files until one is exact.

    assembly_s: what an assembly takes, in seconds, by the longest so far. `deadline` is for all of it.
    """

    def __init__(
        self,
        study: Study,
        shared: Shared,
        kept: Kept,
        workers: Workers,
        deadline: Deadline,
        observe: Observer,
        *,
        keeps_folds: bool,
        max_latency_us: float | None,
        assembly_s: float,
    ) -> None:
        self._study, self._shared, self._kept, self._workers = study, shared, kept, workers
        self._deadline, self._observe = deadline, observe
        self.keeps_folds, self._max_latency_us = keeps_folds, max_latency_us
        self._refitted: dict[int, bytes] = {}
        self.assembly_s = assembly_s

    def first_exact(self, blends: Iterable[tuple[Blend, Head]], others: Sequence[Outcome]) -> Passed:
        """The first blend whose file gives what was trained; else the first such single trial of the others.

        Raises ParityError if none does, TimeoutError if there was no time for one.
        """
        for blend, head in blends:
            passed = self.attempt(blend, head)
            if passed is not None:
                return passed
        for outcome in others:
            if self._deadline.passed:
                raise TimeoutError("no time was left to write the model file")
            passed = self.attempt(single(outcome), NO_HEAD)
            if passed is not None:
                return passed
        raise ParityError(
            "No model's ONNX file gave what was trained, so none was published. Update onnxruntime; if that does not "
            "help, please report the columns' types."
        )

    def attempt(self, blend: Blend, head: Head, parts: tuple[Part, ...] = ()) -> Passed | None:
        """Refit, export and measure; None if that fails, or the file is not exact or too slow, which is noted.

        parts: take the models of these parts as they are, in place of a refit.
        """
        if not self.keeps_folds and not parts:
            self._refit(blend.outcomes)
        found = self._ingredients(blend, parts)
        if not found:
            return None
        future = self._workers.submit(assemble, self._shared, found, head, limit_s=self._deadline.left_s)
        try:
            assembled = future.result()
        except Exception as error:  # noqa: BLE001 - a candidate may raise anything; the next best is taken
            self._observe(Note(f"{_named(blend)} has no ONNX file: {type(error).__name__}: {error}."))
            return None
        self.assembly_s = max(self.assembly_s, assembled.seconds)
        is_slow = self._max_latency_us is not None and assembled.latency_us > self._max_latency_us
        if parity.passes(assembled.parity) and not is_slow:
            return Passed(blend, head, assembled, found)
        if is_slow:
            self._observe(Note(f"{_named(blend)} takes {assembled.latency_us:.0f} us a row: more than was allowed."))
            return None
        tell = assembled.parity
        where = f", furthest {tell.worst.words}" if tell.worst else ""
        self._observe(
            Note(
                f"Not published: the ONNX file of {_named(blend)} differs from what was trained "
                f"(by {tell.max_abs_diff:.2g} at most{where}; {tell.label_flips} labels of {tell.rows})."
            )
        )
        return None

    def _refit(self, outcomes: Sequence[Outcome]) -> None:
        """Train on all rows, members at once."""
        until = self._deadline.earlier(_ASSEMBLY_MARGIN * self.assembly_s)
        wanted = [outcome for outcome in outcomes if outcome.spec.number not in self._refitted]
        folds = len(self._study.folds.folds)
        futures: dict[Future[Refitted], Outcome] = {}
        for outcome in wanted:
            rounds = refit_rounds(outcome.trial, 1 if outcome.is_out_of_bag else folds)
            limit_s = max(0.1, until.left_s)
            future = self._workers.submit(refit, self._shared, outcome.spec, rounds, 0.9 * limit_s, limit_s=limit_s)
            futures[future] = outcome
        wait_for(futures)
        for future, outcome in futures.items():
            error = future.exception()
            if error is None:
                self._refitted[outcome.spec.number] = future.result().fitted
            else:
                self._observe(Note(f"{_named(single(outcome))} was not refitted: {type(error).__name__}: {error}."))

    def _ingredients(self, blend: Blend, parts: tuple[Part, ...]) -> tuple[Ingredient, ...]:
        """The fitted models of a blend; empty if one is missing."""
        found: list[Ingredient] = []
        for outcome, weight in zip(blend.outcomes, blend.weights, strict=True):
            number = outcome.spec.number
            if self.keeps_folds or parts:
                of = parts or outcome.fitted_parts
                models = [(part, self._kept.get(number, part)) for part in of]
            else:
                models = [(ALL, self._refitted.get(number))]
            for part, fitted in models:
                if fitted is None:
                    return ()
                found.append(Ingredient(outcome.spec, part, weight / len(models), fitted))
        return tuple(found)


def _named(blend: Blend) -> str:
    return " + ".join(f"{outcome.spec.candidate.name} #{outcome.spec.number}" for outcome in blend.outcomes)


def make_card(
    table: Table,
    members: tuple[Member, ...],
    assembled: Assembled,
    scores: Scores,
    notes: tuple[str, ...],
    run: Run,
    *,
    now: datetime,
    seconds: float,
) -> Card:
    """The model's card."""
    return Card(
        name=run.experiment,
        created_at=now,
        rows=len(table.y),
        seed=run.seed,
        seconds=round(seconds, 3),
        digest=digest_of(onnx.load_from_string(assembled.graph)),
        scores=scores,
        parity=assembled.parity,
        members=members,
        versions=_versions(),
        plans=assembled.plans,
        latency_us=assembled.latency_us,
        notes=notes,
    )


def _versions() -> dict[str, str]:
    """Of Python and the libraries that make a model."""
    found = {"python": platform.python_version(), **{library: version_of(library) for library in _LIBRARIES}}
    for library in _MORE_LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version_of(library)
    return found


def members_of(ingredients: Sequence[Ingredient]) -> tuple[Member, ...]:
    """The card's members: fold models of one trial count as one."""
    found: dict[int, Member] = {}
    for one in ingredients:
        spec = one.spec
        known = found.get(spec.number)
        weight = one.weight + (known.weight if known else 0.0)
        found[spec.number] = Member(spec.number, spec.candidate.name, weight, spec.params, plan_key(one))
    return tuple(found.values())


def make_file(assembled: Assembled, signature: Signature, card: Card) -> bytes:
    """The portable model file: the graph and its metadata, with a few rows and their answers to check it by."""
    metadata = {"signature": signature, "classes": signature.classes, "card": card, "vectors": assembled.vectors}
    model = onnx.load_from_string(assembled.graph)
    onnx.helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in metadata.items()})
    return model.SerializeToString(deterministic=True)


def reference_sample(study: Study, blend: Blend, head: Head) -> pl.DataFrame:
    """At most 10,000 rows with predictions of models that had not seen them: what monitoring compares traffic with."""
    folds, signature = study.folds, study.table.signature
    validated, first = np.unique(folds.validated, return_index=True)
    rows = np.concatenate([validated, folds.test])
    predicted = np.concatenate([blend.valid[first], blend.test])
    drawn = np.random.default_rng(study.seed).permutation(len(rows))[:_REFERENCE_ROWS]
    outputs = frame_of_outputs(signature, outputs_of(signature, study.unit, predicted[drawn], head))
    named = outputs.rename(lambda name: OUTPUT_PREFIX + name)
    return pl.concat([study.table.frame[rows[drawn]], named], how="horizontal")


def publish(
    store: Store,
    run_id: str,
    file: bytes,
    card: Card,
    reference: pl.DataFrame,
    signature: Signature,
    *,
    replacing: int | None = None,
) -> ModelVersion:
    """Store file and reference sample, then record the version: whoever sees it can read both.

    replacing: an earlier version of the same run, whose number it takes unless that is deployed.
    """
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
    return store.models.publish(record, replacing=replacing)
