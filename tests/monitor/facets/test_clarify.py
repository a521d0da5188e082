"""Clarify's files: what we write reads back, and has the keys that its documentation shows."""

import json

import pytest

from monitor.facets import Facet, allowed_by, analysis, bias, read_constraints, violations
from storage import DataError
from tests.monitor.facets.tables import PAID, WOMEN, decisions

#: As the developer guide shows it ("Get the analysis results"), and with an infinity as smclarify writes it.
DOCUMENTED = """{
    "explanations": {"kernel_shap": {"label0": {"global_shap_values": {"feature_0": 0.02}, "expected_value": 0.5}}},
    "post_training_bias_metrics": {
        "label": "target",
        "label_value_or_threshold": "1",
        "facets": {
            "feature_2": [
                {
                    "value_or_threshold": "1",
                    "metrics": [
                        {"name": "DI", "description": "Disparate Impact (DI)", "value": 0.711340206185567},
                        {"name": "DCR", "description": "Difference in Conditional Rejections (DCR)",
                         "value": -0.34782608695652184},
                        {"name": "TE", "description": "Treatment Equality (TE)", "value": "-Infinity"},
                        {"name": "CDDPL", "description": "Conditional ... (CDDPL)", "error": "Group variable is empty"}
                    ]
                }
            ]
        }
    }
}"""


def test_constraints_are_read_as_documented() -> None:
    """By facet, value and metric; one with an error is no constraint."""
    assert read_constraints(DOCUMENTED.encode()) == {
        ("feature_2", "1", "DI"): 0.711340206185567,
        ("feature_2", "1", "DCR"): -0.34782608695652184,
        ("feature_2", "1", "TE"): float("-inf"),
    }


def test_a_threshold_may_be_an_interval() -> None:
    """As smclarify writes it, with the largest value of that table at its end."""
    metrics = [{"name": "CI", "description": "", "value": 0.5}]
    facets = {"age": [{"value_or_threshold": "(40.0, 90.0]", "metrics": metrics}]}
    content = json.dumps({"pre_training_bias_metrics": {"label": "y", "facets": facets}})
    assert read_constraints(content.encode()) == {("age", "(40.0, 90.0]", "CI"): 0.5, ("age", "40", "CI"): 0.5}


def test_ranges_are_as_far_from_fair_as_the_baseline() -> None:
    """On either side; a ratio between its baseline and the reciprocal."""
    ranges = allowed_by(read_constraints(DOCUMENTED.encode()))
    assert ranges["feature_2", "1", "DCR"] == (-0.34782608695652184, 0.34782608695652184)
    assert ranges["feature_2", "1", "DI"] == pytest.approx((0.7113402, 1.4057971))
    assert ranges["feature_2", "1", "TE"] == (-float("inf"), float("inf"))
    assert allowed_by({("a", "b", "DI"): 0.0}) == {("a", "b", "DI"): (0.0, float("inf"))}


def test_what_is_written_reads_back() -> None:
    """Both sections, a facet with two values, a value that is infinite, and one that there is not."""
    table = decisions(0, 300, accepted=(0.0, 0.5))
    facets = [WOMEN, Facet(column="sex", values=("m",)), Facet(column="age", threshold=40)]
    report = bias(table, facets, label="paid", predicted="said", positive=PAID)
    content = json.loads(analysis(report))
    assert list(content) == ["version", "pre_training_bias_metrics", "post_training_bias_metrics"]
    section = content["post_training_bias_metrics"]
    assert (section["label"], section["label_value_or_threshold"]) == ("paid", "yes")
    assert [one["value_or_threshold"] for one in section["facets"]["sex"]] == ["f", "m"]
    assert section["facets"]["age"][0]["value_or_threshold"] == "40"
    assert section["facets"]["sex"][0]["metrics"][1]["value"] == "Infinity"
    read = read_constraints(analysis(report))
    assert read["sex", "f", "DI"] == float("inf")
    assert read["age", "40", "CI"] == next(one.value for one in report.facets[2].metrics if one.name == "CI")


def test_violations_are_as_documented() -> None:
    """Of what was worse than its baseline: DPPL and DI of women, not the same of another facet."""
    baseline = bias(decisions(0, 2000), [WOMEN], predicted="said", positive=PAID)
    allowed = allowed_by(read_constraints(analysis(baseline)))
    current = decisions(1, 1000, accepted=(0.7, 0.3), women=0.45)
    report = bias(current, [WOMEN, Facet(column="age", threshold=40)], predicted="said", positive=PAID, allowed=allowed)
    content = json.loads(violations(report))
    assert content["version"] == "1.0"
    assert [one["metric_name"] for one in content["violations"]] == ["DPPL", "DI"]
    value = next(one.value for one in report.facets[0].metrics if one.name == "DPPL")
    assert content["violations"][0] == {
        "facet": "sex",
        "facet_value": "f",
        "metric_name": "DPPL",
        "constraint_check_type": "bias_drift_check",
        "description": f"Value {value} does not meet the constraint requirement",
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"{", "are no analysis.json"), (b"[]", "are no analysis.json"), (b'{"version": "1.0"}', "have no bias metrics")],
)
def test_what_is_no_such_file_is_told(data: bytes, words: str) -> None:
    """With what would be right."""
    with pytest.raises(DataError, match=words):
        read_constraints(data)
