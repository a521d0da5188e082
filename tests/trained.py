"""Models trained in a second, and files of them as training writes them."""

import msgspec
import onnx
import polars as pl

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
