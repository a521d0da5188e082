"""SageMaker's model quality files, against the examples of its developer guide."""

import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score

from monitor.performance.answers import Answers
from monitor.performance.sagemaker import (
    Violation,
    read,
    read_violations,
    statistics,
    suggest_constraints,
    violations,
    write,
)
from storage.errors import DataError
from storage.signature import Signature
from tests.monitor.performance.test_metrics import answers_of

BINARY = Signature("binary", "y", (), classes=(0, 1))


def test_two_classes_are_as_in_the_guides_example() -> None:
    """Three rows of class 0, two of them called 1, and one of class 1: each figure that the guide prints."""
    scores = np.array([0.1, 0.6, 0.7, 0.9])
    answers = Answers(
        2, np.array([0, 1, 1, 1]), np.array([0, 0, 0, 1]), np.column_stack([1 - scores, scores]), np.arange(4)
    )
    found = statistics(BINARY, answers)
    metrics = found["binary_classification_metrics"]
    assert metrics["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    guide = {
        "recall": 1.0,
        "precision": 0.3333333333333333,
        "accuracy": 0.5,
        "recall_best_constant_classifier": 1.0,
        "precision_best_constant_classifier": 0.25,
        "accuracy_best_constant_classifier": 0.25,
        "true_positive_rate": 1.0,
        "true_negative_rate": 0.33333333333333337,
        "false_positive_rate": 0.6666666666666666,
        "false_negative_rate": 0.0,
        "auc": 1.0,
        "f0_5": 0.3846153846153846,
        "f1": 0.5,
        "f2": 0.7142857142857143,
        "f0_5_best_constant_classifier": 0.29411764705882354,
        "f1_best_constant_classifier": 0.4,
        "f2_best_constant_classifier": 0.625,
    }
    assert {name: metrics[name]["value"] for name in guide} == pytest.approx(guide)
    assert {metrics[name]["standard_deviation"] for name in guide} == {"NaN"}  # of fewer than 200 rows
    assert set(metrics) == {
        *guide,
        "confusion_matrix",
        "receiver_operating_characteristic_curve",
        "precision_recall_curve",
    }
    assert found["dataset"] == {"item_count": 4}


def test_several_classes_are_as_in_the_guides_example() -> None:
    """Its confusion matrix gives its figures."""
    cells = {(0, 0): 1180, (0, 1): 510, (1, 0): 268, (1, 1): 138}
    truth, label = (np.concatenate([np.full(n, key[side]) for key, n in cells.items()]) for side in (0, 1))
    answers = Answers(2, label, truth, np.full((len(truth), 2), 0.5), np.arange(len(truth)))
    found = statistics(Signature("multiclass", "y", (), classes=(0, 1)), answers)
    metrics = found["multiclass_classification_metrics"]
    guide = {
        "accuracy": 0.6288167938931297,
        "weighted_recall": 0.6288167938931297,
        "weighted_precision": 0.6983172269629505,
        "weighted_f0_5": 0.6803947317178771,
        "weighted_f1": 0.6571162346664904,
        "weighted_f2": 0.6384024354394601,
        "accuracy_best_constant_classifier": 0.19370229007633588,
        "weighted_recall_best_constant_classifier": 0.19370229007633588,
        "weighted_precision_best_constant_classifier": 0.03752057718081697,
        "weighted_f0_5_best_constant_classifier": 0.04473443104152011,
        "weighted_f1_best_constant_classifier": 0.06286421243683643,
        "weighted_f2_best_constant_classifier": 0.10570313141262414,
    }
    assert {name: metrics[name]["value"] for name in guide} == pytest.approx(guide)
    assert set(metrics) == {*guide, "confusion_matrix"}
    assert 0 < metrics["accuracy"]["standard_deviation"] < 0.02


def test_classes_by_scikit_learn() -> None:
    """Of four classes."""
    answers = answers_of("multiclass")
    metrics = statistics(Signature("multiclass", "y", (), classes=tuple("abcd")), answers)[
        "multiclass_classification_metrics"
    ]
    wanted = fbeta_score(answers.truth, answers.label, beta=2, average="weighted")
    assert metrics["weighted_f2"]["value"] == pytest.approx(wanted)
    wanted = precision_score(answers.truth, answers.label, average="weighted")
    assert metrics["weighted_precision"]["value"] == pytest.approx(wanted)


def test_values_have_their_four_metrics() -> None:
    """And deviations from 200 rows on."""
    found = statistics(Signature("regression", "y", ()), answers_of("regression", 200))["regression_metrics"]
    assert list(found) == ["mae", "mse", "rmse", "r2"]
    assert found["mse"]["value"] == pytest.approx(found["rmse"]["value"] ** 2)
    assert all(isinstance(one["standard_deviation"], float) for one in found.values())
    few = statistics(Signature("regression", "y", ()), answers_of("regression", 199))["regression_metrics"]
    assert {one["standard_deviation"] for one in few.values()} == {"NaN"}


def test_curves_go_from_nothing_to_all() -> None:
    """And have at most 101 points beside the first."""
    metrics = statistics(BINARY, answers_of("binary"))["binary_classification_metrics"]
    curve = metrics["receiver_operating_characteristic_curve"]
    x, y = np.array(curve["false_positive_rates"]), np.array(curve["true_positive_rates"])
    assert (x[0], y[0], x[-1], y[-1], len(x)) == (0, 0, 1, 1, 102)
    assert (np.diff(x) >= 0).all()
    assert float(np.trapezoid(y, x)) == pytest.approx(metrics["auc"]["value"], abs=0.01)


def test_files_are_read_as_they_were_written() -> None:
    """A baseline gives bounds; worse statistics break them in SageMaker's words."""
    baseline = statistics(BINARY, answers_of("binary", seed=1))
    bounds = read(write(suggest_constraints(baseline)))
    section = bounds["binary_classification_constraints"]
    assert section["f1"]["comparison_operator"] == "LessThanThreshold"
    assert section["false_positive_rate"]["comparison_operator"] == "GreaterThanThreshold"
    assert set(section["f1"]) == {"threshold", "comparison_operator", "additional_properties"}
    assert "f1_best_constant_classifier" not in section
    stated = read(write(baseline))
    assert stated == baseline
    assert violations(stated, bounds) == ()
    section["f1"]["threshold"] = "0.99"  # as text, which SageMaker writes too
    (broken,) = violations(stated, bounds)
    assert broken == Violation("LessThanThreshold", broken.description, "f1")
    value = stated["binary_classification_metrics"]["f1"]["value"]
    assert broken.description == f"Metric f1 with {value} was LessThanThreshold 0.99"
    assert read_violations(write((broken,))) == (broken,)


def test_no_rows_give_no_figures() -> None:
    """Each value is "NaN", which breaks no bound."""
    nothing = answers_of("binary").of(np.empty(0, dtype=np.int64))
    found = statistics(BINARY, nothing)
    assert found["binary_classification_metrics"]["auc"] == {"value": "NaN", "standard_deviation": "NaN"}
    assert violations(found, suggest_constraints(statistics(BINARY, answers_of("binary")))) == ()
    empty = statistics(Signature("regression", "y", ()), answers_of("regression").of(np.empty(0, dtype=np.int64)))
    assert empty["regression_metrics"]["mae"]["value"] == "NaN"


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{", b"7"])
def test_what_is_no_file_of_these_is_refused(data: bytes) -> None:
    """With what to give instead."""
    with pytest.raises(DataError):
        read(data)
    with pytest.raises(DataError):
        read_violations(data)


def test_statistics_of_something_else_are_refused() -> None:
    """Those of data quality, and bounds without a threshold."""
    with pytest.raises(DataError, match="none of which is model quality"):
        violations({"version": 0.0, "features": []}, {})
    with pytest.raises(DataError, match="no usable regression_constraints"):
        violations({"regression_metrics": {}}, {"regression_constraints": {"mae": {}}})
