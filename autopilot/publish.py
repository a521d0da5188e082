"""From a blend of trials to a published version: refit, assemble, gate, store."""

import io
import platform
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import onnx
import polars as pl
from numpy.typing import NDArray

from autopilot.card import digest_of
from autopilot.deadline import Deadline
from autopilot.errors import ParityError
from autopilot.events import Note, Observer, RefitEnded, Used
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
from storage.labels.joined import TRUTH
from storage.predictor import Outputs, frame_of_outputs
from storage.records import Card, Member, ModelVersion, Run, Scores
from storage.signature import Signature
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from autopilot.plan import Recipe

_LIBRARIES = ("autopilot", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
#: Those of the extra `boost`, recorded where they are installed. xgboost-cpu is xgboost without CUDA.
_MORE_LIBRARIES = ("catboost", "xgboost", "xgboost-cpu")
_REFERENCE_ROWS = 10_000
#: Of a longer table in time order, so many stretches of neighbours are kept. Traffic of an hour is alike, and only rows
#: that were neighbours show how much: against single rows of an AR(1) of 0.9, 30% of windows of 50 rows raised false
#: alarms, and 56% of a weekly season's; against stretches none did.
_REFERENCE_STRETCHES = 20
#: An assembly takes so many times what measuring a member's latency took, and so much for the smallest.
_MEASURES, _LEAST_MEMBER_S = 2.5, 0.1
#: Of a refit's limit: what it may train, beside making its features and sending what it found.
_TRAINED_SHARE = 0.9
#: Where a holdout left all but so many rows to train on, a refit is left out that takes more than this share of the
#: budget. In 60 s on 2 cores the refit of an ensemble on 160,000 flights took half of the time, and gained less than
#: the search does with it: rmse 12.53 with a refit, 12.32 without.
_MOST_MORE_ROWS, _MOST_REFIT_SHARE = 1.25, 0.15


class Passed(NamedTuple):
    """A blend whose file passed the gate. notes: on what it was trained, where that is not all rows."""

    blend: Blend
    head: Head
    assembled: Assembled
    ingredients: tuple[Ingredient, ...]
    notes: tuple[str, ...] = ()


class Publisher:
    """Turns blends into files until one is exact.

    `deadline` is for all of it. compared_rows: fewer than usual where there is little time. prepare_s: seconds that
    making each recipe's features took for a part.
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
        budget_s: float,
        keeps_folds: bool,
        max_latency_us: float | None,
        least_s: float,
    ) -> None:
        self._study, self._shared, self._kept, self._workers = study, shared, kept, workers
        self.deadline, self._observe = deadline, observe
        self.keeps_folds, self._max_latency_us = keeps_folds, max_latency_us
        self._refitted: dict[int, bytes] = {}
        self._least_s, self._budget_s = least_s, budget_s
        self.compared_rows: int | None = None
        self.prepare_s: Mapping[Recipe, float] = {}

    def first_exact(self, blends: Iterable[tuple[Blend, Head]], others: Sequence[Outcome]) -> Passed:
        """The first blend whose file gives what was trained; else the first such single trial of the others.

        Raises ParityError if none does, TimeoutError if there was no time for one.
        """
        for blend, head in blends:
            passed = self.attempt(blend, head)
            if passed is not None:
                return passed
        for outcome in others:
            if self.deadline.passed:
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
        models = sum(len(one.parts) if self.keeps_folds else 1 for one in outcomes) / max(len(outcomes), 1)
        return self._least_s + _MEASURES * models * sum(_LEAST_MEMBER_S + one.measure_s for one in outcomes)

    def refit_s(self, outcomes: Sequence[Outcome]) -> float:
        """Seconds that training these on all rows takes, by what their parts took; 0 where it is left out."""
        wanted_s = 0.0 if self.keeps_folds else self._wanted_s(outcomes)
        return 0.0 if self._is_spared(wanted_s) else wanted_s

    def _wanted_s(self, outcomes: Sequence[Outcome]) -> float:
        """At most, as a refit looks for no best round."""
        rows, folds = len(self._study.table.y), self._study.folds
        each = [one.part_s * (rows / len(folds.search) if one.is_out_of_bag else self._more_rows) for one in outcomes]
        recipes: set[Recipe] = {one.spec.candidate.recipe for one in outcomes}
        prepare_s = self._more_rows * sum(self.prepare_s.get(recipe, 0.0) for recipe in recipes)
        return max([(sum(each) + prepare_s) / self._workers.count, *each, 0.0])

    def _is_spared(self, wanted_s: float) -> bool:
        """Whether a refit of so many seconds is worth less than the search in that time."""
        has_most = self._study.folds.scheme.kind == "holdout" and self._more_rows <= _MOST_MORE_ROWS
        return has_most and wanted_s > _MOST_REFIT_SHARE * self._budget_s

    @property
    def _more_rows(self) -> float:
        """How many times the rows of a fold all rows are."""
        return len(self._study.table.y) / len(self._study.folds.folds[0].train)

    def attempt(self, blend: Blend, head: Head, parts: tuple[Part, ...] = ()) -> Passed | None:
        """Refit, export and measure; None if that fails, or the file is not exact or too slow, which is noted.

        parts: take the models of these parts as they are, in place of a refit.
        """
        notes: tuple[str, ...] = ()
        if not self.keeps_folds and not parts:
            wanted_s = self._wanted_s(blend.outcomes)
            if self._is_spared(wanted_s):
                notes = (self._told_rows(wanted_s),)
            else:
                self._refit(blend.outcomes)
        found = self._ingredients(blend, parts)
        if not found:
            return None
        limit_s = self.deadline.left_s
        future = self._workers.submit(assemble, self._shared, found, head, self.compared_rows, limit_s=limit_s)
        try:
            assembled = future.result()
        except Exception as error:  # noqa: BLE001 - a candidate may raise anything; the next best is taken
            self._observe(Note(f"{_named(blend)} has no ONNX file: {type(error).__name__}: {str(error).rstrip('.')}."))
            return None
        is_slow = self._max_latency_us is not None and assembled.latency_us > self._max_latency_us
        if parity.passes(assembled.parity) and not is_slow:
            return Passed(blend, head, assembled, found, notes)
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

    def unseen(self, passed: Passed, limit_s: float) -> Assembled | None:
        """The same average of the models of first parts, which have not seen the test rows; None if one is not kept.

        Raises TimeLimitError beyond the limit.
        """
        found: list[Ingredient] = []
        for outcome, weight in zip(passed.blend.outcomes, passed.blend.weights, strict=True):
            fitted = self._kept.get(outcome.spec.number, outcome.parts[0])
            if fitted is None:
                return None
            found.append(Ingredient(outcome.spec, outcome.parts[0], weight, fitted))
        return self._workers.submit(assemble, self._shared, tuple(found), passed.head, limit_s=limit_s).result()

    def _told_rows(self, wanted_s: float) -> str:
        trained, rows = len(self._study.folds.folds[0].train), len(self._study.table.y)
        return (
            f"Trained on {trained:,} of the {rows:,} rows, the others validated: to train on all would have taken "
            f"{wanted_s:.0f} s more, which the search could use better."
        )

    def _refit(self, outcomes: Sequence[Outcome]) -> None:
        """Train on all rows, as many members at once as there are workers, until only the assembly's time is left."""
        until = self.deadline.earlier(self.assembly_s(outcomes))
        for number in [outcome.spec.number for outcome in outcomes]:
            fitted = self._kept.get(number, ALL)  # of an earlier process
            if fitted is not None:
                self._refitted[number] = fitted
        waiting = [outcome for outcome in outcomes if outcome.spec.number not in self._refitted]
        waiting.sort(key=lambda outcome: -outcome.part_s)
        flying: dict[Future[Refitted], Outcome] = {}
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

    def _submit_refit(self, outcome: Outcome, left_s: float) -> "Future[Refitted]":
        rounds = self._refit_rounds(outcome)
        return self._workers.submit(
            refit, self._shared, outcome.spec, rounds, _TRAINED_SHARE * left_s, limit_s=max(0.1, left_s)
        )

    def _refit_rounds(self, outcome: Outcome) -> int:
        return refit_rounds(outcome.trial, 1 if outcome.is_out_of_bag else len(self._study.folds.folds))

    def _take_refit(self, outcome: Outcome, future: "Future[Refitted]") -> None:
        named, error = _named(single(outcome)), future.exception()
        if error is not None:
            told = f"{type(error).__name__}: {error}"
            self._observe(Note(f"{named} was not trained on all rows: {told}"))
            return
        found, number = future.result(), outcome.spec.number
        self._refitted[number] = found.fitted
        self._kept.put(number, ALL, found.fitted)
        self._observe(RefitEnded(number, self._refit_rounds(outcome), found.answers))
        if found.is_cut:
            told = f"{found.rounds} rounds of {self._refit_rounds(outcome)}"
            self._observe(Note(f"{named} was trained on all rows for {told}: there was no more time."))

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
                of = parts or (outcome.parts if self.keeps_folds else outcome.parts[:1])
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
        fairness=() if table.facets is None else tuple(table.facets.columns),
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


def used_of(passed: Passed) -> tuple[Used, ...]:
    """What a published model was made of, for the run's tape."""
    return tuple(Used(one.spec.number, one.part.key, one.weight) for one in passed.ingredients)


def make_file(assembled: Assembled, signature: Signature, card: Card) -> bytes:
    """The portable model file: the graph and its metadata, with a few rows and their answers to check it by."""
    metadata = {"signature": signature, "classes": signature.classes, "card": card, "vectors": assembled.vectors}
    model = onnx.load_from_string(assembled.graph)
    onnx.helper.set_model_props(model, {key: msgspec.json.encode(value).decode() for key, value in metadata.items()})
    return model.SerializeToString(deterministic=True)


def reference_sample(study: Study, blend: Blend, head: Head) -> pl.DataFrame:
    """At most 10,000 rows with predictions of models that had not seen them, and with what happened: what monitoring
    compares traffic with. In time order where the table has one."""
    folds, signature = study.folds, study.table.signature
    validated, first = np.unique(folds.validated, return_index=True)
    rows = np.concatenate([validated, folds.test])
    predicted = np.concatenate([blend.valid[first], blend.test])
    drawn = reference_places(None if study.table.times is None else study.table.times[rows], len(rows), study.seed)
    outputs = outputs_of(signature, study.unit, predicted[drawn], head)
    return with_outputs(study.table.frame[rows[drawn]], study.table.y[rows[drawn]], outputs, signature)


def reference_places(times: NDArray[np.int64] | None, rows: int, seed: int) -> NDArray[np.int64]:
    """Which of so many rows a reference sample holds, and in which order.

    times: (rows,) of each its time; None where nobody knows an order: the rows' own may be anybody's sorting, against
    which traffic looks odd, so they are shuffled, as rows of the same time are. With times, the earliest come first;
    of more rows than are kept, stretches of neighbours, evenly spread over all.

    >>> reference_places(np.array([30, 10, 20]), 3, seed=0)
    array([1, 2, 0])
    """
    shuffled = np.random.default_rng(seed).permutation(rows)
    if times is None:
        return shuffled[:_REFERENCE_ROWS]
    ordered = shuffled[np.argsort(times[shuffled], kind="stable")]
    if rows <= _REFERENCE_ROWS:
        return ordered
    length = _REFERENCE_ROWS // _REFERENCE_STRETCHES
    starts = np.linspace(0, rows - length, _REFERENCE_STRETCHES).astype(np.int64)
    return ordered[(starts[:, None] + np.arange(length)).ravel()]


def with_outputs(frame: pl.DataFrame, y: NDArray[np.float64], outputs: Outputs, signature: Signature) -> pl.DataFrame:
    """Rows with what a model gives for them, and what happened, beside, as captured traffic with labels has it."""
    named = frame_of_outputs(signature, outputs).rename(lambda name: OUTPUT_PREFIX + name)
    happened = y if signature.task == "regression" else [signature.classes[int(number)] for number in y]
    return pl.concat([frame, named, pl.DataFrame({TRUTH: happened})], how="horizontal")


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
