"""Attribution drift: the score is Clarify's, the verdict waits until chance is ruled out."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from monitor import attribution
from monitor.attribution import (
    AttributionDrift,
    attribution_drift,
    attribution_drift_of_traffic,
    explanations,
    importances,
    ndcg,
    violations,
)
from storage import DataError, Predictor, SettingError, Store
from tests import portable
from tests.monitor import till
from tests.trained import train_model

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_documented_example_scores_as_documented() -> None:
    """College admission in the developer guide: 0.69."""
    training = {"SAT score": 0.70, "GPA": 0.50, "Class rank": 0.05}
    live = {"SAT score": 0.10, "GPA": 0.20, "Class rank": 0.70}
    found = ndcg(training, live)
    assert found == pytest.approx(0.6876, abs=5e-5)
    assert round(found or 0.0, 2) == 0.69
    assert ndcg(training, training) == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=12))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """With ties on both sides; where no column matters there is no score, which scikit-learn calls 0."""
    gains, scores = ([pair[side] / 7 for pair in pairs] for side in (0, 1))
    found = ndcg(*({str(at): value for at, value in enumerate(side)} for side in (gains, scores)))
    expected = ndcg_score([gains], [scores])
    assert found == (pytest.approx(expected, abs=1e-12) if any(gains) else None)


def rows(seed: int, count: int, *, swapped: bool = False) -> pl.DataFrame:
    """Three columns, of which the first varies most; swapped, the last."""
    rng = np.random.default_rng(seed)
    scale = [0.1, 1.0, 3.0] if swapped else [3.0, 1.0, 0.1]
    X = rng.normal(size=(count, 3)) * scale
    return pl.DataFrame({name: X[:, at] for at, name in enumerate("abc")})


@pytest.fixture(scope="module")
def linear() -> Predictor:
    """Adds the three columns up."""
    wide = pl.DataFrame(np.random.default_rng(0).normal(size=(400, 3)) * 3, schema=["a", "b", "c"])
    return train_model(wide.with_columns(y=pl.sum_horizontal("a", "b", "c")), "y", "linear")[0]


def test_columns_that_changed_places_are_found(linear: Predictor) -> None:
    """What varied most varies least, so the model looks at the columns in the opposite order."""
    (found,) = attribution_drift(linear, rows(0, 300), rows(1, 100, swapped=True))
    assert (found.label, found.drifted, found.violates) == ("prediction", True, True)
    assert (found.rows, found.reference_rows) == (100, 200)
    assert [column.column for column in found.columns] == ["a", "b", "c"]
    assert [column.current_rank for column in found.columns] == [3, 2, 1]
    sizes = [column.reference for column in found.columns]
    assert found.ndcg == pytest.approx(ndcg_score([sizes], [[column.current for column in found.columns]]))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= (found.ndcg or 0.0) <= found.high < 0.9
    assert found.p_value == pytest.approx(1 / 1001)


def test_the_attribution_of_a_sum_is_the_columns_own_size(linear: Predictor) -> None:
    """Its Shapley value is its distance from the background's mean, so 3 × the mean size of a normal value: 2.4."""
    (found,) = attribution_drift(linear, rows(0, 300), rows(1, 200))
    expected = [3 * np.sqrt(2 / np.pi), np.sqrt(2 / np.pi), 0.1 * np.sqrt(2 / np.pi)]
    np.testing.assert_allclose([column.current for column in found.columns], expected, rtol=0.2)


def test_without_drift_there_is_none(linear: Predictor) -> None:
    """The order is the same, and the p-value says nothing."""
    (found,) = attribution_drift(linear, rows(0, 300), rows(1, 100))
    assert (found.ndcg, found.drifted, found.violates) == (1.0, False, False)
    assert (found.p_value or 0.0) > 0.05


def test_rows_are_dealt_out_as_often_as_they_should() -> None:
    """Of 200 pairs of small samples without drift, p-values at or below a level are as rare as it says."""
    rng = np.random.default_rng(0)
    found: list[float] = []
    for _ in range(200):
        before, after = (np.abs(rng.standard_t(3, size=(count, 6))) for count in (60, 40))
        score = float(attribution._ndcg(before.mean(axis=0)[None], after.mean(axis=0)[None])[0])
        found.append(attribution._p_value(before, after, score, 0.05, rng))
    for level in (0.05, 0.2):
        alarms = np.count_nonzero(np.array(found) <= level)
        assert stats.binom.sf(alarms - 1, 200, level) > 0.005
        assert stats.binom.cdf(alarms, 200, level) > 0.005


def test_a_window_of_few_rows_may_violate_and_not_drift(linear: Predictor) -> None:
    """Clarify's rule is told beside ours; here one large row turns the order around."""
    calm = rows(1, 40).with_columns(a=pl.col("a") / 100, b=pl.col("b") / 100)
    loud = calm.with_columns(c=pl.when(pl.int_range(pl.len()) == 0).then(900.0).otherwise(0.0))
    (found,) = attribution_drift(linear, rows(0, 300), loud, level=0.5)
    assert (found.violates, found.drifted) == (True, False)
    assert (found.high or 0.0) >= 0.9


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_are_told_one_by_one(task: str) -> None:
    """Of two the second, since the first mirrors it."""
    table = rows(0, 400)
    names = ["no", "yes"] if task == "binary" else ["low", "middle", "high"]
    cuts = [0.0] if task == "binary" else [-2.0, 2.0]
    y = pl.Series(np.array(names, dtype=object)[np.digitize(table["a"].to_numpy(), cuts)].tolist())
    predictor = train_model(table.with_columns(y=y), "y", "lightgbm")[0]
    found = attribution_drift(predictor, rows(1, 200), rows(2, 60), rows=60)
    assert [one.label for one in found] == (["yes"] if task == "binary" else sorted(names))
    assert [one.columns[0].column for one in found] == ["a"] * len(found)


def test_too_few_rows_is_told(linear: Predictor) -> None:
    """As many as a comparison needs; half of a small reference is the background."""
    (found,) = attribution_drift(linear, rows(0, 300), rows(1, 29))
    assert (found.ndcg, found.drifted) == (None, False)
    assert found.note == "It takes 30 rows on either side; there are 200 and 29."
    assert found.words == (
        "For 'prediction' nobody knows what the model looks at: answers were not explained. It takes 30 rows on either "
        "side; there are 200 and 29."
    )
    assert attribution_drift(linear, rows(0, 40), rows(1, 40))[0].note.endswith("there are 20 and 40.")
    assert attribution_drift(linear, rows(0, 300).clear(), rows(1, 40).clear())[0].ndcg is None


def test_rows_that_the_model_cannot_read_are_left_out(linear: Predictor) -> None:
    """They have got an error for an answer, so nothing was looked at."""
    odd = rows(1, 50).with_columns(a=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("n/a")).otherwise("a"))
    assert attribution_drift(linear, rows(0, 300), odd)[0].rows == 45


def test_a_model_that_looks_at_nothing_has_no_order() -> None:
    """All of its attributions are 0."""
    table = rows(0, 300).with_columns(y=pl.Series(np.random.default_rng(0).normal(size=300)))
    (found,) = attribution_drift(train_model(table, "y", "baseline")[0], rows(1, 200), rows(2, 50))
    assert (found.ndcg, found.drifted) == (None, False)
    assert found.note.startswith("No column changes this output")


def told(label: str, score: float) -> AttributionDrift:
    """A finding with made-up figures."""
    columns = (attribution.Attribution("a", 0.6, 0.1, 1, 2), attribution.Attribution("b", 0.2, 0.5, 2, 1))
    return AttributionDrift(label, score, 0.7, 0.8, 0.001, 0.3, 0.05, 0.9, score < 0.9, True, 100, 200, columns)


def test_findings_are_told_in_words() -> None:
    """The score with its interval, and the column that lost most places."""
    assert told("yes", 0.75).words == (
        "For 'yes' the model looks at the columns in another order (0.75 of 1, 95% interval 0.7 to 0.8): "
        "'a' went from place 1 to 2."
    )
    calm = msgspec.structs.replace(told("yes", 0.98), drifted=False)
    assert calm.words.startswith("For 'yes' the model looks at the columns in about the same order (0.98 of 1, ")


def test_violations_are_as_documented() -> None:
    """The text is that of the developer guide, to the letter."""
    content = json.loads(violations((told("label0", 0.7639720923277322), told("label1", 0.95))))
    assert content == {
        "version": "1.0",
        "violations": [
            {
                "label": "label0",
                "metric_name": "shap",
                "constraint_check_type": "feature_attribution_drift_check",
                "description": "Feature attribution drift 0.7639720923277322 exceeds threshold 0.9",
            }
        ],
    }


def test_explanations_have_the_documented_form() -> None:
    """Current attributions by label and column."""
    content = json.loads(explanations((told("yes", 0.5),)))
    assert content["explanations"]["kernel_shap"] == {
        "yes": {"global_shap_values": {"a": 0.1, "b": 0.5}, "expected_value": 0.3}
    }


def test_importances_are_the_references_shares() -> None:
    """Over all outputs; nothing explained, nothing known."""
    assert importances((told("yes", 0.5), told("no", 0.5))) == pytest.approx({"a": 0.75, "b": 0.25})
    assert importances(()) == {}


def test_traffic_of_an_endpoint(store: Store) -> None:
    """Amounts and visits as in training: no drift. A redacted column: no explanation."""
    version = till.deploy(store, portable.regressor(), NOW - 3 * HOUR)
    till.send(store, version, till.rows(60, seed=1), NOW - HOUR)
    window = (NOW - 2 * HOUR, NOW)
    (found,) = attribution_drift_of_traffic(store, till.ENDPOINT, window)
    assert (found.rows, found.reference_rows, found.drifted) == (60, 200, False)
    assert found.columns[0].column == "visits"  # from 0 to 8, and each takes 1
    till.send(store, version, till.rows(60, seed=2), NOW - HOUR, redact={"town": "mask"})
    (found,) = attribution_drift_of_traffic(store, till.ENDPOINT, window)
    assert found.note == "Captured traffic has no values of 'town', so answers cannot be explained."
    (found,) = attribution_drift_of_traffic(store, till.ENDPOINT, (NOW, NOW + HOUR))
    assert (found.rows, found.note[:14]) == (0, "It takes 30 ro")


def test_mistakes_are_told(linear: Predictor) -> None:
    """A level, a threshold, a column that is absent."""
    with pytest.raises(SettingError, match="level is 2"):
        attribution_drift(linear, rows(0, 99), rows(1, 99), level=2)
    with pytest.raises(SettingError, match=r"threshold is 1\.5"):
        attribution_drift(linear, rows(0, 99), rows(1, 99), threshold=1.5)
    with pytest.raises(DataError, match="'c'"):
        attribution_drift(linear, rows(0, 99), rows(1, 99).drop("c"))
