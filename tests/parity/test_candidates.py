"""Each candidate's graph gives what the candidate predicts: what cannot be exported exactly cannot be listed."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autopilot.candidates import CANDIDATES, Candidate
from autopilot.candidates.candidate import Fitted, Job, Problem
from autopilot.deadline import Deadline
from autopilot.graph.parity import measure, passes
from autopilot.model import TrainedMember, TrainedModel
from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.search.matrices import Unit
from autopilot.table.infer import Table, infer
from storage.signature import Task
from tests import tables
from tests.graphs import run_on_matrix

ANY = Problem("binary", 2, 300)
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
FAMILIES_OF_TREES = [candidate for candidate in CANDIDATES if candidate.recipe == "trees" and candidate.space(ANY)]
BOOSTED = [candidate for candidate in FAMILIES_OF_TREES if candidate.name not in ("extra_trees", "random_forest")]


def each_of(candidates: Iterable[Candidate]) -> pytest.MarkDecorator:
    """A test for each candidate; skipped where its library is not installed."""
    missing = "its library is not installed: pip install 'autopilot[boost]'"
    return pytest.mark.parametrize(
        "candidate",
        [
            pytest.param(one, id=one.name, marks=pytest.mark.skipif(not one.applies(ANY), reason=missing))
            for one in candidates
        ],
    )


each_candidate = each_of(CANDIDATES)
each_family_of_trees = each_of(FAMILIES_OF_TREES)


def job_of(candidate: Candidate, task: Task, X: Any, y: Any, *, rounds: int = 0, point: int = 0) -> Job:
    """A training with the candidate's own parameters; an eighth of the rows decide on its length.

    Skips the test of a task for which the candidate is not meant.
    """
    outputs = {"binary": 2, "multiclass": 3, "regression": 1}[task]
    problem = Problem(task, outputs, len(X))
    if not candidate.applies(problem):
        pytest.skip(f"{candidate.name} is not for {task}")
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
    plan, X = Plan.fit(table.frame, table.signature, candidate.recipe, Target(y, outputs), seed=0)
    fitted = candidate.fit(job_of(candidate, table.signature.task, X, y, rounds=60))
    member = TrainedMember(fitted, candidate.recipe, 1.0)
    return TrainedModel(table.signature, {candidate.recipe: plan}, (member,), unit), X


@each_candidate
@pytest.mark.parametrize("name", TABLES)
def test_the_file_gives_what_was_trained(candidate: Candidate, name: str) -> None:
    """On real rows and hostile ones, within 1e-5, trees within 1e-6; no label changed."""
    table = TABLES[name]
    model, _ = fit_on_table(candidate, table)
    found = measure(model, model.export().SerializeToString(), table.frame, seed=0)
    assert passes(found), found
    assert candidate.recipe != "trees" or found.max_abs_diff <= 1e-6


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
    job = job_of(candidate, "binary", X, target_for("binary", y), rounds=20)
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
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_learning_beats_the_constant_guess_on_rows_that_it_has_not_seen(candidate: Candidate, task: Task) -> None:
    """By the squared error, of probabilities too. The constant guess itself is as good as itself."""
    X, y = matrix(1000)
    value = target_for(task, y)
    fitted = candidate.fit(job_of(candidate, task, X[:800], value[:800]))
    error = np.mean((fitted.predict(X[800:])[:, -1] - value[800:]) ** 2)
    constant = np.mean((value[:800].mean() - value[800:]) ** 2)
    assert error <= constant * (1.01 if candidate.name == "baseline" else 0.8)


@each_family_of_trees
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_trees_go_on_where_a_refit_is_told_how_long(candidate: Candidate, task: Task) -> None:
    """`rounds` is the number of rounds, whatever the validation rows would say."""
    X, y = matrix()
    job = job_of(candidate, task, X, target_for(task, y), rounds=33)._replace(X_valid=None, y_valid=None)
    fitted = candidate.fit(job)
    assert fitted.rounds == 33
    predictions_agree(fitted, X)


@each_of(BOOSTED)
def test_boosting_keeps_the_round_that_was_best_on_the_validation_rows(candidate: Candidate) -> None:
    """What does not help others than the training rows is cut off: 300 rounds more are no better there."""
    X, y = matrix(1600)
    job = job_of(candidate, "regression", X, target_for("regression", y))
    best = candidate.fit(job)
    assert 5 < best.rounds < 400
    longer = candidate.fit(job._replace(X_valid=None, y_valid=None, rounds=best.rounds + 300))
    assert longer.rounds == best.rounds + 300
    best_error, longer_error = (np.mean((one.predict(job.X_valid)[:, 0] - job.y_valid) ** 2) for one in (best, longer))
    assert best_error <= longer_error
    predictions_agree(best, X)


@each_family_of_trees
def test_two_that_train_at_once_are_as_each_alone(candidate: Candidate) -> None:
    """Trials run in threads of one process; libraries with state of their own would mix them up."""
    X, y = matrix(500, holes=0.1)
    jobs = [job_of(candidate, "binary", X, target_for("binary", y), rounds=20)._replace(seed=seed) for seed in (1, 2)]
    alone = [candidate.fit(job).predict(X) for job in jobs]
    with ThreadPoolExecutor(2) as executor:
        at_once = [fitted.predict(X) for fitted in executor.map(candidate.fit, jobs)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, at_once, strict=True))


# ------------------------------------------------------------------------------------------------- each leaf

STEPS = np.arange(600)
#: Neighbouring float32 numbers, or nearly: a threshold lies between two of them, or is one.
GRIDS = {
    "epoch seconds": 1_600_000_000.0 + 128 * STEPS,
    "ids beyond 2^24": 2.0**24 + 2 * STEPS,
    "1e5 and 128ths": 1e5 + STEPS / 128,
    "around 0": (STEPS - 300) / 1000,
    "below 0": -7e4 - STEPS / 128,
    "subnormal": (STEPS - 300) * 2.0**-149,
}
LARGEST = float(np.finfo(np.float32).max)
#: Values that training never held. The plan clips what is infinite to the largest float32.
STRANGE = (float("nan"), LARGEST, -LARGEST, 0.0, -0.0, 1e-45, -1e-45, 1e-38, -1.0, 1.0, 1e30)


def leaves_agree(fitted: Fitted, X: NDArray[np.float32]) -> None:
    """No row reaches another leaf: leaves differ by far more than 1e-6."""
    apart = np.abs(fitted.predict(X) - run_on_matrix(fitted.emit, X)).max(axis=1)
    assert np.flatnonzero(~(apart <= 1e-6)).tolist() == []


@each_family_of_trees
@pytest.mark.parametrize("holes", [0.0, 0.15], ids=["whole", "holes"])
@pytest.mark.parametrize("grid", GRIDS)
def test_each_row_on_a_dense_grid_reaches_the_leaf_of_training(candidate: Candidate, grid: str, holes: float) -> None:
    """Trained on half of the grid's points, asked at all of them, at their neighbours, and at values never seen."""
    rng = np.random.default_rng(1)
    points = GRIDS[grid].astype(np.float32)
    X = np.stack([rng.permutation(points), rng.choice(points[::2], 600)], axis=1)[:300]
    y = rng.normal(size=300) + rng.normal(size=600)[np.searchsorted(np.sort(points), X[:, 0])]
    X = np.where(rng.random(X.shape) < holes, np.float32(np.nan), X)
    job = job_of(candidate, "regression", X, (y - y.mean()) / y.std(), rounds=15)
    fitted = candidate.fit(job._replace(X_valid=None, y_valid=None))
    beside = [np.nextafter(points, np.float32(end)) for end in (-np.inf, np.inf)]
    asked = np.concatenate([points, *beside, np.array(STRANGE, dtype=np.float32)])
    others = [rng.permutation(asked) for _ in range(2)]
    rows = np.vstack([*(np.stack([asked, other], axis=1) for other in others), X]).astype(np.float32)
    leaves_agree(fitted, rows)
    assert len(np.unique(fitted.predict(rows))) > 30 or grid == "subnormal"


@each_family_of_trees
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_on_a_dense_grid_with_holes_agree_to_1e_6(candidate: Candidate, task: Task) -> None:
    """Where the library adds up in float32, or the graph, a thousand trees would not."""
    X, y = matrix(600, holes=0.1)
    X = X * np.float32(127) + np.float32(1e5)
    rows = np.vstack([X, np.array([[a, b, 1e5] for a in STRANGE for b in STRANGE], dtype=np.float32)])
    fitted = candidate.fit(job_of(candidate, task, X, target_for(task, y), rounds=300))
    leaves_agree(fitted, rows)
    found = run_on_matrix(fitted.emit, rows)
    assert (found.argmax(axis=1) == fitted.predict(rows).argmax(axis=1)).all()


@pytest.fixture(scope="module")
def grown() -> dict[tuple[str, bool], Fitted]:
    """Each family of trees trained on values around 0, with holes and without."""
    found: dict[tuple[str, bool], Fitted] = {}
    for candidate in (family for family in FAMILIES_OF_TREES if family.applies(ANY)):
        for has_holes in (False, True):
            X, y = matrix(400, holes=0.1 * has_holes)
            job = job_of(candidate, "regression", X - np.float32(0.5), y - y.mean(), rounds=10)
            found[candidate.name, has_holes] = candidate.fit(job)
    return found


@each_family_of_trees
@pytest.mark.parametrize("has_holes", [False, True], ids=["whole", "holes"])
@given(values=st.lists(st.floats(width=32, allow_infinity=False), min_size=3, max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_float32_reaches_the_leaf_of_training(
    grown: dict[tuple[str, bool], Fitted], candidate: Candidate, has_holes: bool, values: list[float]
) -> None:
    """Missing values too, of which training has seen some or none."""
    rows = np.array([values[i : i + 3] for i in range(len(values) - 2)], dtype=np.float32)
    leaves_agree(grown[candidate.name, has_holes], rows)


def test_the_frames_of_this_file_hold_what_they_should() -> None:
    """Each kind of column, with missing values and without."""
    assert {column.kind for column in TABLES["binary"].signature.columns} == {"number", "category", "text", "time"}
    assert TABLES["binary"].frame.null_count().sum_horizontal()[0] > 100
    assert TABLES["binary without holes"].frame.null_count().sum_horizontal()[0] == 0
    assert isinstance(TABLES["multiclass"].frame, pl.DataFrame)
