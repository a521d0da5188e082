"""The metrics are those of smclarify 0.5, and agree with fairlearn where it has the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.facets.flip import flips
from monitor.facets.metrics import METRICS, Metric

GOLDENS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "goldens" / "clarify.json").read_text())
SHAPES = {(): (2,), ("label",): (2, 2), ("predicted",): (2, 2), ("label", "predicted"): (2, 2, 2)}
BY_NAME = {metric.name: metric for metric in METRICS}


def counts_of(rows: dict[str, list[int]], metric: Metric) -> np.ndarray:
    """Rows of each cell that the metric looks at."""
    names = ["facet", *(need for need in metric.needs if need != "group")]
    if "group" in metric.needs:
        names.insert(0, "group")
    codes = [rows[name] for name in names]
    shape = [max(rows["group"]) + 1 if name == "group" else 2 for name in names]
    return np.bincount(np.ravel_multi_index(codes, shape), minlength=int(np.prod(shape))).reshape(shape).astype(float)


@pytest.mark.parametrize("name", GOLDENS)
def test_values_are_those_of_smclarify(name: str) -> None:
    """All twenty that are of counts; infinite where it is, and not a number where it refuses."""
    golden = GOLDENS[name]
    for metric in METRICS:
        expected = golden["smclarify"][metric.name]
        found = float(metric.of(counts_of(golden["rows"], metric)))
        wanted = np.nan if expected is None else float(expected)
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12, nan_ok=True), metric.name


def test_each_metric_of_smclarify_is_there() -> None:
    """And none that it does not have; FT is the one that is not of counts."""
    assert {*BY_NAME, "FT"} == set(GOLDENS["usual"]["smclarify"])


@pytest.mark.parametrize("name", [name for name in GOLDENS if GOLDENS[name]["smclarify"]["FT"] is not None])
def test_the_flip_test_is_that_of_smclarify(name: str) -> None:
    """One neighbour where there are few others, else five."""
    rows = {column: np.array(values) for column, values in GOLDENS[name]["rows"].items()}
    X = np.column_stack([rows["x"], rows["z"]])
    found = flips(X, rows["facet"] == 1, rows["predicted"] == 1)
    assert found.mean() == pytest.approx(GOLDENS[name]["smclarify"]["FT"], abs=1e-12)


@pytest.mark.parametrize("name", [name for name in GOLDENS if GOLDENS[name]["fairlearn"]])
def test_differences_are_those_of_fairlearn(name: str) -> None:
    """Which knows no direction: sizes of differences, and ratios of the smaller to the larger."""
    rows, fair = GOLDENS[name]["rows"], GOLDENS[name]["fairlearn"]
    found = {key: float(BY_NAME[key].of(counts_of(rows, BY_NAME[key]))) for key in ("DPPL", "DI", "RD")}
    assert abs(found["DPPL"]) == pytest.approx(fair["demographic_parity_difference"], abs=1e-12)
    assert abs(found["RD"]) == pytest.approx(fair["true_positive_rate_difference"], abs=1e-12)
    if found["DI"]:
        ratio = min(found["DI"], 1 / found["DI"])
        assert ratio == pytest.approx(fair["demographic_parity_ratio"], abs=1e-12)


@given(st.data())
def test_many_tables_at_once_are_each_as_alone(data: st.DataObject) -> None:
    """Leading axes are tables."""
    metric = data.draw(st.sampled_from(METRICS))
    shape = (3, 2, 2) if "group" in metric.needs else SHAPES[metric.needs]
    tables = data.draw(arrays(np.float64, (2, 4, *shape), elements=st.integers(0, 5).map(float)))
    together = metric.of(tables)
    assert together.shape == (2, 4)
    alone = [[float(metric.of(one)) for one in line] for line in tables]
    np.testing.assert_array_equal(together, alone)


@given(st.data())
def test_what_the_sides_have_changed_over_changes_the_sign(data: st.DataObject) -> None:
    """Of all differences; distances are as they were, and the ratio is the reciprocal."""
    metric = data.draw(st.sampled_from([one for one in METRICS if one.name not in ("KL", "CDDL", "CDDPL")]))
    shape = SHAPES[metric.needs]
    table = data.draw(arrays(np.float64, shape, elements=st.integers(1, 9).map(float)))
    facet = 0
    there, back = float(metric.of(table)), float(metric.of(np.flip(table, axis=facet)))
    if metric.name in ("JS", "LP", "TVD", "KS", "GE"):
        assert back == pytest.approx(there, abs=1e-12)
    elif metric.name == "DI":
        assert back == pytest.approx(1 / there)
    else:
        assert back == pytest.approx(-there, abs=1e-12)


@given(arrays(np.float64, (2, 2, 2), elements=st.integers(1, 30).map(float)), st.integers(2, 50))
def test_metrics_do_not_depend_on_how_many_rows_there_are(table: np.ndarray, times: int) -> None:
    """Each row many times over changes nothing."""
    for metric in METRICS:
        if metric.needs == ("label", "predicted"):
            assert float(metric.of(table * times)) == pytest.approx(float(metric.of(table)), abs=1e-9)
