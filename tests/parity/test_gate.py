"""The gate refuses what is not exact, and the next best is published."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import autopilot
from autopilot.candidates.baseline import Baseline
from autopilot.candidates.candidate import Fitted, Job, Matrix, Problem, Values
from autopilot.candidates.linear import Linear
from autopilot.errors import ParityError
from autopilot.events import Event, Note
from autopilot.graph.graph import Graph
from autopilot.plan import Recipe
from autopilot.search.space import Params, Space
from storage.store import Store


class Off:
    """A linear model whose graph is wrong: it adds `by` to the first class's share."""

    name = "off"
    recipe: Recipe = "linear"

    def __init__(self, by: float) -> None:
        self._by = by

    def applies(self, problem: Problem) -> bool:
        return True

    def space(self, problem: Problem) -> Space:
        return Linear().space(problem)

    def points(self, problem: Problem) -> list[Params]:
        return [{"penalty": 0.01}]

    def fit(self, job: Job) -> Fitted:
        return _OffModel(Linear().fit(job), self._by)


class _OffModel:
    def __init__(self, inner: Fitted, by: float) -> None:
        self._inner, self._by = inner, by
        self.rounds = inner.rounds

    def predict(self, X: Matrix) -> Values:
        return self._inner.predict(X)

    def emit(self, g: Graph, features: str) -> str:
        return g.op("Add", self._inner.emit(g, features), g.const(np.array([self._by, -self._by])))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """A target that a linear model learns well."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    return pl.DataFrame({"x": x, "y": np.where(x + 0.3 * rng.normal(size=300) > 0, "yes", "no")})


def test_a_model_whose_graph_differs_is_not_published(frame: pl.DataFrame, tmp_path: Path) -> None:
    """The wrong candidate wins the search; the constant guess, which is exact, is published, and the user is told."""
    told: list[Event] = []
    result = autopilot.fit(
        frame, "y", budget=60, max_trials=2, store=tmp_path, candidates=(Baseline(), Off(1e-4)), progress=told.append
    )
    assert result.leaderboard["candidate"][0] == "off"
    assert [member.candidate for member in result.best.card.members] == ["baseline"]
    (refused, *_) = [event.message for event in told if isinstance(event, Note) and "Not published" in event.message]
    assert "by 0.0001 at most" in refused
    assert "furthest in a real row" in refused or "furthest with" in refused


def test_a_difference_within_the_tolerance_passes(frame: pl.DataFrame, tmp_path: Path) -> None:
    """1e-6 is float32's own noise."""
    result = autopilot.fit(frame, "y", budget=60, max_trials=2, store=tmp_path, candidates=(Off(1e-6),), progress=False)
    assert {member.candidate for member in result.best.card.members} == {"off"}
    parity = result.best.card.parity
    assert 0 < parity.max_abs_diff <= 1e-5
    assert parity.worst is not None
    assert (parity.real_rows, parity.rows) == (300, 300 + 15 + 1)


def test_nothing_is_published_if_nothing_is_exact(frame: pl.DataFrame, tmp_path: Path) -> None:
    """Exact or refused: no version, not even of the constant guess, which nobody asked for; and the run says why."""
    with pytest.raises(ParityError, match="none was published"):
        autopilot.fit(frame, "y", budget=60, max_trials=2, store=tmp_path, candidates=(Off(0.2),), progress=False)
    store = Store.open(tmp_path)
    assert store.models.list() == []
    run = store.runs.list()[0]
    assert run.status == "failed"
    assert "ParityError" in (run.reason or "")
