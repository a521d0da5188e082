"""From trials to one file, in a worker: train on all rows, put members together, export, and compare.

Fitted models travel as pickled bytes, so that each step may run on another machine.
"""

import pickle
import time
from typing import NamedTuple

import cloudpickle
import polars as pl

from autopilot.deadline import Answers
from autopilot.graph import parity
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.model import TrainedMember, TrainedModel
from autopilot.search.latency import model_us
from autopilot.search.matrices import ALL, Part
from autopilot.search.study import opened
from autopilot.search.trial import Spec, job_of, taped
from autopilot.vectors import Vectors, make_vectors
from autopilot.workers import Shared
from storage.records import Parity


class Ingredient(NamedTuple):
    """A fitted model, pickled, the part that it was trained on, and its weight in the average."""

    spec: Spec
    part: Part
    weight: float
    fitted: bytes


class Refitted(NamedTuple):
    """A model of all rows, pickled, how long it trained, and whether the time was up before that was enough.

    answers: what the training was told of the time.
    """

    fitted: bytes
    rounds: int
    is_cut: bool
    answers: Answers = ()


class Assembled(NamedTuple):
    """A graph and how it was found.

    plans: what each plan does, in words. latency_us: one row through the whole graph, measured. seconds: of all this.
    """

    graph: bytes
    parity: Parity
    plans: dict[str, tuple[str, ...]]
    vectors: Vectors
    latency_us: float
    seconds: float


def refit(shared: Shared, spec: Spec, rounds: int, limit_s: float, answers: Answers | None = None) -> Refitted:
    """Train on all rows. answers: of an earlier training, which is done again, in place of the limit."""
    at = opened(shared)
    samples = at.matrices.of(ALL, spec.candidate.recipe)
    deadline = taped(limit_s, answers)
    fitted = spec.candidate.fit(job_of(at.study, spec, samples, deadline, rounds))
    told = deadline.answers
    is_cut = fitted.rounds < rounds and answers is None and deadline.passed
    return Refitted(cloudpickle.dumps(fitted), fitted.rounds, is_cut, told)


def assemble(
    shared: Shared, ingredients: tuple[Ingredient, ...], head: Head = NO_HEAD, rows: int | None = None
) -> Assembled:
    """The members' average as one graph, compared with what was trained. rows: of the table, to compare it on."""
    began = time.monotonic()
    at = opened(shared)
    table, seed = at.study.table, at.study.seed
    plans = {plan_key(one): at.matrices.plan(one.part, one.spec.candidate.recipe) for one in ingredients}
    members = tuple(
        TrainedMember(pickle.loads(one.fitted), plan_key(one), one.weight)  # noqa: S301 - this run trained it
        for one in ingredients
    )
    model = TrainedModel(table.signature, plans, members, at.study.unit, head)
    frame = table.frame if rows is None else table.frame.sample(min(rows, table.frame.height), seed=seed)
    return written(model, frame, seed, began)


def written(model: TrainedModel, frame: pl.DataFrame, seed: int, began: float) -> Assembled:
    """A model as a graph, held against what was trained. frame: the training rows; began: when work on it did."""
    graph = model.export().SerializeToString()
    found = parity.measure(model, graph, frame, seed)
    vectors = make_vectors(graph, model.signature, frame)
    latency_us = model_us(graph, model.signature, frame)
    words = {key: plan.words() for key, plan in model.plans.items()}
    return Assembled(graph, found, words, vectors, latency_us, time.monotonic() - began)


def plan_key(ingredient: Ingredient) -> str:
    """A name for the plan that makes a member's features: its recipe, and the part if that is not all rows."""
    recipe, part = ingredient.spec.candidate.recipe, ingredient.part
    return recipe if part == ALL else f"{recipe} {part.key}"
