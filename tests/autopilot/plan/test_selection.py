"""Features that do not beat a random probe are dropped, in training and in the graph."""

import numpy as np
import polars as pl
import pytest

from autopilot.plan import Plan
from autopilot.plan.op import Target
from autopilot.plan.selection import select
from tests.graphs import bits, features_of_plan
from tests.strategies import signature_of


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_what_tells_of_the_target_stays_and_noise_goes(outputs: int) -> None:
    """Two of thirty features matter; few others may stay by chance."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 30)).astype(np.float32)
    score = X[:, 3] + X[:, 17] * X[:, 3]
    y = score.astype(np.float64) if outputs == 1 else np.digitize(score, [0.0, 1.0][: outputs - 1]).astype(np.float64)
    kept = select(X, Target(y, outputs), seed=0)
    assert {3, 17} <= set(kept)
    assert len(kept) < 20


def test_without_anything_to_learn_something_is_left() -> None:
    """A plan without features would be none."""
    X = np.zeros((3000, 4), dtype=np.float32)
    assert select(X, Target(np.arange(3000.0), 1), seed=0) == (0, 1, 2, 3)


def test_on_few_rows_all_stays() -> None:
    """Chance is as loud there as what matters."""
    X = np.random.default_rng(0).normal(size=(1999, 5)).astype(np.float32)
    assert select(X, Target(X[:, 0] * 1.0, 1), seed=0) == (0, 1, 2, 3, 4)


def test_a_selected_plan_gives_the_columns_that_were_selected() -> None:
    """The matrix of training, of later rows and of the graph have the same features in the same order."""
    rng = np.random.default_rng(0)
    kinds = ("number", "number", "category", "category")
    frame = pl.DataFrame(
        {
            "c0": rng.normal(size=2400),
            "c1": rng.normal(size=2400),
            "c2": rng.choice(list("abcdef"), 2400),
            "c3": rng.choice(list("uvw"), 2400),
        }
    )
    equal = (frame["c2"].is_in(["a", "b", "c"]) == (frame["c3"] == "u")).to_numpy()
    y = equal * 2.0 + frame["c0"].to_numpy() + rng.normal(size=2400) * 0.1
    plan, X = Plan.fit(frame, signature_of(kinds), "prepared", Target(y, 1), seed=0)
    names = plan.names()
    assert X.shape == (2400, len(names))
    assert "c0" in names
    assert any("×" in name for name in names)
    later = plan.features(frame)
    assert bits(features_of_plan(plan, signature_of(kinds), frame)).tolist() == bits(later).tolist()
    assert X[:, names.index("c0")].tolist() == later[:, names.index("c0")].tolist() == np.float32(frame["c0"]).tolist()
