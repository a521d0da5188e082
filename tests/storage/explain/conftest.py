"""Tables that the models of these tests are trained on."""

import numpy as np
import polars as pl
import pytest


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
def numbers() -> pl.DataFrame:
    """Four numbers with holes, and y, which three of them decide on: twice `a`, `b` where `c` is above 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = 2 * X[:, 0] + X[:, 1] * (X[:, 2] > 0) + rng.normal(0, 0.1, 400)
    X[rng.random(X.shape) < 0.1] = np.nan
    columns = {name: X[:, index] for index, name in enumerate("abcd")}
    return pl.DataFrame({**columns, "y": y}).with_columns(pl.col(*"abcd").fill_nan(None))
