"""Each candidate's graph gives what the candidate predicts: what cannot be exported exactly cannot be listed."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from autopilot.candidates import CANDIDATES, Candidate
from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.deadline import Deadline
from autopilot.graph.parity import measure, passes
from autopilot.infer import Table, infer
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from storage.signature import Task
from tests import tables
from tests.graphs import run_on_matrix

TABLES = {
    "binary": infer(tables.mixed(300), "paid", columns={"note": "text"}),
    "multiclass": infer(tables.multiclass(300), "grade", columns={"note": "text"}),
    "regression": infer(tables.regression(300), "price", columns={"note": "text"}),
    "binary without holes": infer(tables.mixed(600).drop_nulls(), "paid"),
    "regression without holes": infer(tables.regression(600).drop_nulls(), "price"),
    "numbers alone": infer(tables.regression(300).select("age", "income", "price"), "price"),
    "a category alone": infer(tables.multiclass(300).select("town", "grade"), "grade"),
    "times alone": infer(tables.mixed(300).select("joined", "paid"), "paid"),
    "text alone": infer(tables.mixed(300).select("note", "paid"), "paid", columns={"note": "text"}),
}
each_candidate = pytest.mark.parametrize("candidate", CANDIDATES, ids=[candidate.name for candidate in CANDIDATES])


def job_of(candidate: Candidate, task: Task, X: Any, y: Any, *, rounds: int = 0, point: int = 0) -> Job:
    """A training with the candidate's own parameters; an eighth of the rows decide on its length."""
    outputs = {"binary": 2, "multiclass": 3, "regression": 1}[task]
    problem = Problem(task, outputs, len(X))
    points = candidate.points(problem)
    held = len(X) // 8
    return Job(
        X[held:], y[held:], X[:held], y[:held], points[point % len(points)], rounds, Deadline.after(60), 0, problem
    )


def fit_on_table(candidate: Candidate, table: Table) -> tuple[TrainedModel, NDArray[np.float32]]:
    """The candidate trained on a table, as a model of one member."""
    outputs = max(1, len(table.signature.classes))
    unit = Unit()
    if not table.signature.classes:
        unit = Unit(float(table.y.mean()), float(table.y.std()))
    y = unit.scale(table.y)
    plan, X = Plan.fit(table.frame, table.signature, candidate.recipe, Target.of(y, outputs), seed=0)
    fitted = candidate.fit(job_of(candidate, table.signature.task, X, y, rounds=60))
    member = TrainedMember(fitted, candidate.recipe, 1.0)
    return TrainedModel(table.signature, {candidate.recipe: plan}, (member,), unit), X


@each_candidate
@pytest.mark.parametrize("name", TABLES)
def test_the_file_gives_what_was_trained(candidate: Candidate, name: str) -> None:
    """On real rows and hostile ones, within 1e-5, no label changed."""
    table = TABLES[name]
    model, _ = fit_on_table(candidate, table)
    found = measure(model, model.export().SerializeToString(), table.frame, seed=0)
    assert passes(found), found


def predictions_agree(fitted: Fitted, X: NDArray[np.float32]) -> None:
    """What it predicts is finite, sums to 1 where it should, and its nodes give the same."""
    expected = fitted.predict(X)
    assert np.isfinite(expected).all()
    if expected.shape[1] > 1:
        assert expected.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert run_on_matrix(fitted.emit, X) == pytest.approx(expected, abs=1e-5)


def matrix(rows: int = 200, *, seed: int = 0, holes: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Three features on a dense grid, and a value that depends on them."""
    rng = np.random.default_rng(seed)
    X = (rng.integers(0, 100, (rows, 3)) / 100).astype(np.float32)
    y = X.sum(axis=1).astype(np.float64) + rng.normal(0, 0.2, rows)
    return np.where(rng.random(X.shape) < holes, np.float32(np.nan), X), y


def target_for(task: Task, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Class numbers by the value, or the scaled value."""
    if task == "regression":
        return (y - y.mean()) / y.std()
    return np.digitize(y, [1.5] if task == "binary" else [1.3, 1.7]).astype(np.float64)


@each_candidate
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("point", range(3))
def test_each_listed_point_trains_and_exports(candidate: Candidate, task: Task, point: int) -> None:
    """The first three of the portfolio, for each task; dense grids are where thresholds go wrong."""
    X, y = matrix(holes=0.1 if candidate.recipe == "trees" else 0.0)
    fitted = candidate.fit(job_of(candidate, task, X, target_for(task, y), rounds=40, point=point))
    predictions_agree(fitted, X)


@each_candidate
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_class_that_the_rows_lack_has_a_probability_all_the_same(candidate: Candidate, task: Task) -> None:
    """A fold may lack a rare class: there is a column for each class, and all are finite."""
    X, y = matrix()
    classes = np.minimum(target_for(task, y), 0 if task == "binary" else 1)
    fitted = candidate.fit(job_of(candidate, task, X, classes, rounds=10))
    assert fitted.predict(X).shape == (200, 2 if task == "binary" else 3)
    predictions_agree(fitted, X)


@each_candidate
def test_features_that_do_not_vary_give_a_constant(candidate: Candidate) -> None:
    """Trees without a cut, weights of 0: still a model."""
    X, y = np.ones((100, 2), dtype=np.float32), np.arange(100) % 2.0
    fitted = candidate.fit(job_of(candidate, "binary", X, y, rounds=10))
    predictions_agree(fitted, X)
    assert len(np.unique(fitted.predict(X), axis=0)) == 1


@each_candidate
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_deadline_that_has_passed_still_gives_a_model(candidate: Candidate, task: Task) -> None:
    """The least that it can train, at once."""
    X, y = matrix(2000)
    job = job_of(candidate, task, X, target_for(task, y))._replace(deadline=Deadline.after(-1))
    fitted = candidate.fit(job)
    predictions_agree(fitted, X[:50])
    assert fitted.rounds <= 10


@each_candidate
def test_the_same_seed_rows_and_rounds_give_the_same_model(candidate: Candidate) -> None:
    """To the bit."""
    X, y = matrix()
    job = job_of(candidate, "regression", X, target_for("regression", y), rounds=20)
    assert np.array_equal(candidate.fit(job).predict(X), candidate.fit(job).predict(X))


@each_candidate
def test_points_lie_in_the_space_and_name_all_of_it(candidate: Candidate) -> None:
    """Else the search could not learn from them."""
    problem = Problem("binary", 2, 100)
    space = candidate.space(problem)
    for point in candidate.points(problem):
        assert set(point) == set(space)
        for name, parameter in space.items():
            if hasattr(parameter, "values"):
                assert point[name] in parameter.values
            else:
                assert parameter.low <= point[name] <= parameter.high


@each_candidate
def test_learning_beats_the_constant_guess_on_rows_that_it_has_not_seen(candidate: Candidate) -> None:
    """The constant guess itself is as good as itself."""
    X, y = matrix(1000)
    value = target_for("regression", y)
    fitted = candidate.fit(job_of(candidate, "regression", X[:800], value[:800]))
    error = np.mean((fitted.predict(X[800:])[:, 0] - value[800:]) ** 2)
    constant = np.mean((value[:800].mean() - value[800:]) ** 2)
    assert error <= constant * (1.01 if candidate.name == "baseline" else 0.6)


def test_boosted_trees_go_on_where_a_refit_is_told_how_long() -> None:
    """`rounds` is the number of rounds, whatever the validation rows would say."""
    lightgbm = next(candidate for candidate in CANDIDATES if candidate.name == "lightgbm")
    X, y = matrix()
    job = job_of(lightgbm, "binary", X, target_for("binary", y), rounds=33)._replace(X_valid=None, y_valid=None)
    assert lightgbm.fit(job).rounds == 33


def test_the_frames_of_this_file_hold_what_they_should() -> None:
    """Each kind of column, with missing values and without."""
    assert {column.kind for column in TABLES["binary"].signature.columns} == {"number", "category", "text", "time"}
    assert TABLES["binary"].frame.null_count().sum_horizontal()[0] > 100
    assert TABLES["binary without holes"].frame.null_count().sum_horizontal()[0] == 0
    assert isinstance(TABLES["multiclass"].frame, pl.DataFrame)
