"""From a blend of trials to a published version: refit, assemble, gate, store."""

import io
import platform
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
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
from autopilot.search.assembly import Assembled, Ingredient, assemble, plan_key, refit
from autopilot.search.ensemble import Blend, single
from autopilot.search.kept import Kept
from autopilot.search.matrices import ALL, Part
from autopilot.search.study import Study
from autopilot.search.trial import Outcome, refit_rounds
from autopilot.table.infer import Table
from autopilot.workers import Shared, Workers
from storage.predictor import Outputs, frame_of_outputs
from storage.records import Card, Member, ModelVersion, Run, Scores
from storage.signature import Signature
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX

_LIBRARIES = ("autopilot", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
#: Those of the extra `boost`, recorded where they are installed. xgboost-cpu is xgboost without CUDA.
_MORE_LIBRARIES = ("catboost", "xgboost", "xgboost-cpu")
_REFERENCE_ROWS = 10_000
#: An assembly takes so many times what measuring a member's latency took, and so much for the smallest.
_MEASURES, _LEAST_MEMBER_S = 2.5, 0.1
#: Of a refit's limit: what it may train, beside making its features and sending what it found.
_TRAINED_SHARE = 0.9


class Passed(NamedTuple):
    """A blend whose file passed the gate."""

    blend: Blend
    head: Head
    assembled: Assembled
    ingredients: tuple[Ingredient, ...]


class Publisher:
    """Turns blends into files until one is exact.

    `deadline` is for all of it.
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
        least_s: float,
    ) -> None:
        self._study, self._shared, self._kept, self._workers = study, shared, kept, workers
        self._deadline, self._observe = deadline, observe
        self.keeps_folds, self._max_latency_us = keeps_folds, max_latency_us
        self._refitted: dict[int, bytes] = {}
        self._least_s = least_s

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

    def assembly_s(self, outcomes: Sequence[Outcome]) -> float:
        """Seconds that writing a file of these and comparing it may take, by what measuring their latency took."""
        models = sum(len(one.fitted_parts) if self.keeps_folds else 1 for one in outcomes) / max(len(outcomes), 1)
        return self._least_s + _MEASURES * models * sum(_LEAST_MEMBER_S + one.measure_s for one in outcomes)

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
        """Train on all rows, as many members at once as there are workers, until only the assembly's time is left."""
        until = self._deadline.earlier(self.assembly_s(outcomes))
        waiting = [outcome for outcome in outcomes if outcome.spec.number not in self._refitted]
        waiting.sort(key=lambda outcome: -outcome.part_s)
        flying: dict[Future[bytes], Outcome] = {}
        while waiting or flying:
            while waiting and len(flying) < self._workers.count and not until.passed:
                outcome = waiting.pop(0)
                flying[self._submit_refit(outcome, until.left_s)] = outcome
            if not flying:
                break
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                self._take_refit(flying.pop(future), future)
        for outcome in waiting:
            self._observe(Note(f"{_named(single(outcome))} was not trained on all rows: there was no time."))

    def _submit_refit(self, outcome: Outcome, left_s: float) -> "Future[bytes]":
        rounds = refit_rounds(outcome.trial, 1 if outcome.is_out_of_bag else len(self._study.folds.folds))
        return self._workers.submit(
            refit, self._shared, outcome.spec, rounds, _TRAINED_SHARE * left_s, limit_s=max(0.1, left_s)
        )

    def _take_refit(self, outcome: Outcome, future: "Future[bytes]") -> None:
        error = future.exception()
        if error is None:
            self._refitted[outcome.spec.number] = future.result()
        else:
            told = f"{type(error).__name__}: {error}"
            self._observe(Note(f"{_named(single(outcome))} was not trained on all rows: {told}"))

    def _ingredients(self, blend: Blend, parts: tuple[Part, ...]) -> tuple[Ingredient, ...]:
        """The fitted models of a blend: those that were trained on all rows, else those that the search kept of them.

        Empty if there is none of a member.
        """
        found: list[Ingredient] = []
        for outcome, weight in zip(blend.outcomes, blend.weights, strict=True):
            number = outcome.spec.number
            if number in self._refitted and not parts:
                models = [(ALL, self._refitted[number])]
            else:
                of = parts or (outcome.fitted_parts if self.keeps_folds else outcome.fitted_parts[:1])
                models = [(part, self._kept.get(number, part)) for part in of]
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
    return with_outputs(
        study.table.frame[rows[drawn]], outputs_of(signature, study.unit, predicted[drawn], head), signature
    )


def with_outputs(frame: pl.DataFrame, outputs: Outputs, signature: Signature) -> pl.DataFrame:
    """Rows with what a model gives for them beside, as captured traffic has it."""
    named = frame_of_outputs(signature, outputs).rename(lambda name: OUTPUT_PREFIX + name)
    return pl.concat([frame, named], how="horizontal")


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
