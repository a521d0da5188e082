"""Models that explanations are tried on: trained in a second, and files as training writes them."""

from collections.abc import Callable

import msgspec
import numpy as np
import onnx
import polars as pl
import pytest

from autopilot.candidates import CANDIDATES
from autopilot.candidates.candidate import Job, Problem
from autopilot.deadline import Deadline
from autopilot.graph.calibration import NO_HEAD, Head
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import infer
from storage import Predictor
from tests import portable

Train = Callable[..., tuple[Predictor, TrainedModel]]


def train_model(frame: pl.DataFrame, target: str, *names: str, rounds: int = 20, head: Head = NO_HEAD):
    """Candidates of these names on a table, averaged, as a predictor and as what was exported."""
    table = infer(frame, target)
    outputs = max(1, len(table.signature.classes))
    unit = Unit() if outputs > 1 else Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    problem = Problem(table.signature.task, outputs, len(y))
    plans: dict[str, Plan] = {}
    members: list[TrainedMember] = []
    for name in names:
        candidate = next(each for each in CANDIDATES if each.name == name)
        plan, X = Plan.fit(table.frame, table.signature, candidate.recipe, Target(y, outputs), seed=0)
        job = Job(X, y, None, None, candidate.points(problem)[0], rounds, Deadline.after(60), 0, problem)
        plans[candidate.recipe] = plan
        members.append(TrainedMember(candidate.fit(job), candidate.recipe, 1 / len(names)))
    model = TrainedModel(table.signature, plans, tuple(members), unit, head)
    return Predictor(file_of(model.export(), model)), model


def file_of(graph: onnx.ModelProto, model: TrainedModel) -> bytes:
    """A graph with the metadata that a predictor wants."""
    texts = {"signature": model.signature, "card": portable.card(model.signature.task)}
    onnx.helper.set_model_props(graph, {key: msgspec.json.encode(value).decode() for key, value in texts.items()})
    return graph.SerializeToString()


@pytest.fixture(scope="session")
def crossed() -> pl.DataFrame:
    """Two categories of which only the pair tells, two numbers of which only the quotient does, and y."""
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 4, 800), rng.integers(0, 4, 800)
    width, height = rng.uniform(1, 9, 800), rng.uniform(1, 9, 800)
    score = 2.0 * ((left + right) % 2) + 3.0 * (width / height > 1) + rng.normal(0, 0.3, 800)
    towns, days = np.array(["Ulm", "Bonn", "Rome", "Oslo"]), np.array(["Mo", "Tu", "We", "Th"])
    columns = {"town": towns[left], "day": days[right], "width": width, "height": height}
    return pl.DataFrame({**columns, "y": np.where(score > 2.5, "yes", "no")})


@pytest.fixture(scope="session")
def train() -> Train:
    """See `train_model`."""
    return train_model


@pytest.fixture(scope="session")
def numbers() -> pl.DataFrame:
    """Four numbers with holes, and y, which three of them decide on: twice `a`, `b` where `c` is above 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = 2 * X[:, 0] + X[:, 1] * (X[:, 2] > 0) + rng.normal(0, 0.1, 400)
    X[rng.random(X.shape) < 0.1] = np.nan
    columns = {name: X[:, index] for index, name in enumerate("abcd")}
    return pl.DataFrame({**columns, "y": y}).with_columns(pl.col(*"abcd").fill_nan(None))
