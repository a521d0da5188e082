"""Scores on principal components, the same bits in any order of summing."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from autopilot.plan.ops import PrincipalComponents
from tests.graphs import both, rows_of
from tests.strategies import raw_frame, signature_of


def mixture(rows: int, columns: int, sources: int, noise: float = 0.1, seed: int = 0) -> pl.DataFrame:
    """Columns of different scales that few sources make."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, sources)) * np.arange(sources, 0, -1) @ rng.normal(size=(sources, columns))
    x = (x + noise * rng.normal(size=(rows, columns))) * 10 ** rng.uniform(-6, 6, columns) + 5
    return pl.DataFrame(x, schema=[f"c{i}" for i in range(columns)])


@pytest.mark.parametrize(("rows", "columns"), [(300, 4), (300, 12), (2000, 40), (200, 150)])
def test_scores_agree_with_scikit_learns_pca(rows: int, columns: int) -> None:
    """Of standardised columns; signs may differ."""
    frame, kinds = mixture(rows, columns, 3), ("number",) * columns
    op = PrincipalComponents.fit_some(rows_of(signature_of(kinds), frame), 3)
    found = np.array(both(op, signature_of(kinds), frame))
    z = StandardScaler().fit_transform(frame.to_numpy()) * np.sqrt((rows - 1) / rows)
    expected = PCA(3, svd_solver="full").fit_transform(z)
    assert found == pytest.approx(expected * np.sign(np.sum(found * expected, axis=0)), abs=1e-3)


def test_as_many_components_as_explain_nine_tenths_of_the_variance() -> None:
    """Two sources make two components; noise makes the most, which is 8."""
    kinds = ("number",) * 20
    few = PrincipalComponents.fit(rows_of(signature_of(kinds), mixture(500, 20, 2, 0.01)))
    many = PrincipalComponents.fit(rows_of(signature_of(kinds), mixture(500, 20, 2, 1e9)))
    assert few is not None
    assert many is not None
    assert few.names() == ("principal component 1", "principal component 2")
    assert len(many.names()) == 8


def test_missing_is_the_mean_and_wild_numbers_end() -> None:
    """A row of nothing is the middle; infinity is 16 deviations."""
    kinds = ("number",) * 4
    frame = mixture(100, 4, 1)
    op = PrincipalComponents.fit_some(rows_of(signature_of(kinds), frame), 1)
    assert op is not None
    rows = [(None,) * 4, (math.inf, None, None, None), (-math.inf, None, None, None), (1e300, None, None, None)]
    nothing, up, down, far = both(op, signature_of(kinds), raw_frame(kinds, rows))
    assert nothing == [0.0]
    assert abs(up[0]) == pytest.approx(8, rel=0.05)  # half of 16: four columns of equal weight
    assert down[0] == -up[0]
    assert far == up


def test_fewer_than_four_columns_have_components_only_if_asked() -> None:
    """Columns that do not vary do not count."""
    frame = mixture(50, 3, 1).with_columns(c3=pl.lit(0.1))
    rows = rows_of(signature_of(("number",) * 4), frame)
    assert PrincipalComponents.fit(rows) is None
    asked = PrincipalComponents.fit_some(rows, 8)
    assert asked is not None
    assert asked.columns == ("c0", "c1", "c2")
    assert len(asked.names()) == 3
    assert PrincipalComponents.fit_some(rows_of(signature_of(("number",)), frame.select(c0="c3")), 1) is None


def test_components_up_to_the_last_that_is_asked_for_stay() -> None:
    """So that they keep their names."""
    op = PrincipalComponents(("a",), (0.0,), (1.0,), ((1,), (2,), (3,)))
    assert op.narrowed([1]).names() == ("principal component 1", "principal component 2")
