"""The report on bias: what has changed is found, what has not is not, and what cannot be told says so."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from monitor.facets import BiasReport, Choice, Facet, MetricBias, bias
from storage import DataError, SettingError
from tests.monitor.facets.tables import PAID, WOMEN, decisions

NOBODY = Facet(column="sex", values=("x",))
OLD = Facet(column="age", threshold=50)


def by_name(report: BiasReport, facet: int = 0) -> dict[str, MetricBias]:
    return {metric.name: metric for metric in report.facets[facet].metrics}


def test_a_change_of_bias_is_found() -> None:
    """Women were said to pay as often as men, and now half as often; who they are and whether they pay is as ever."""
    reference, current = decisions(0, 2000), decisions(1, 800, accepted=(0.6, 0.3))
    report = bias(current, [WOMEN], label="paid", predicted="said", positive=PAID, reference=reference)
    found = by_name(report)
    assert (report.verdict, report.drifted, report.rows, report.reference_rows) == ("drift", True, 800, 2000)
    assert {"DPPL", "DI"} <= {metric.name for metric in report.facets[0].alarms}
    assert not found["CI"].drifted
    assert found["DPPL"].value == pytest.approx(0.3, abs=0.08)
    assert found["DPPL"].baseline == pytest.approx(0.0, abs=0.06)
    assert found["DPPL"].p_value is not None
    assert found["DPPL"].threshold is not None
    assert found["DPPL"].p_value <= found["DPPL"].threshold < report.level


def test_findings_are_told_in_words() -> None:
    """What it is, what it was, what is allowed; and why there is nothing to tell."""
    facets = [WOMEN, NOBODY, OLD]
    tables = [decisions(seed, 2000, accepted=(0.6, share)) for seed, share in ((0, 0.6), (1, 0.0))]
    allowed = {("sex", "f", "DI"): (0.8, 1.25)}
    report = bias(tables[1], facets, predicted="said", positive=PAID, reference=tables[0], allowed=allowed)
    women, nobody, old = (facet.words for facet in report.facets)
    assert women.startswith("sex f: DPPL is 0.")
    assert women.endswith("allowed 0.8 to 1.25).")
    assert nobody == "sex x: No current row belongs to the facet, so there is nothing to compare."
    assert old == "age > 50: no metric alarms."


def test_bias_that_was_there_before_has_not_drifted() -> None:
    """It is told all the same; a range that is allowed makes it an alarm."""
    tables = [decisions(seed, 1500, accepted=(0.7, 0.4)) for seed in (0, 1)]
    settings = {"label": "paid", "predicted": "said", "positive": PAID, "reference": tables[0]}
    report = bias(tables[1], [WOMEN], **settings)
    assert (report.verdict, by_name(report)["DPPL"].outside) == ("no drift", False)
    limited = by_name(bias(tables[1], [WOMEN], **settings, allowed={"DPPL": (-0.1, 0.1), "DI": (0.0, 5.0)}))
    assert (limited["DPPL"].outside, limited["DPPL"].drifted, limited["DI"].outside) == (True, False, False)
    assert limited["DPPL"].allowed == (-0.1, 0.1)


def test_clarifys_rule_wants_the_whole_interval_outside() -> None:
    """A value out of the range whose interval reaches into it is no alarm: here 0.13 ± 0.14."""
    table = decisions(3, 200, accepted=(0.6, 0.5))
    found = by_name(bias(table, [WOMEN], predicted="said", positive=PAID, allowed={"DPPL": (-0.05, 0.05)}))["DPPL"]
    assert isinstance(found.value, float)
    assert isinstance(found.low, float)
    assert found.low < 0.05 < found.value
    assert not found.outside


def test_a_range_may_be_of_one_facet() -> None:
    """By column, value and metric, as Clarify's constraints are; it goes before the range of all."""
    table = decisions(0, 600, accepted=(0.7, 0.3))
    allowed = {"DPPL": (-1.0, 1.0), ("sex", "f", "DPPL"): (-0.1, 0.1)}
    men = Facet(column="sex", values=("m",))
    report = bias(table, [WOMEN, men], predicted="said", positive=PAID, allowed=allowed)
    assert [by_name(report, facet)["DPPL"].outside for facet in (0, 1)] == [True, False]


def test_labels_that_have_come_so_far_are_enough() -> None:
    """Metrics of labels are of the rows that have one, the others of all rows."""
    table = decisions(0, 1000)
    labels = table["paid"].set(pl.Series(np.arange(1000) >= 300), None)
    late = table.with_columns(labels.alias("paid"))
    found = by_name(bias(late, [WOMEN], label="paid", predicted="said", positive=PAID))
    whole = by_name(bias(table, [WOMEN], label="paid", predicted="said", positive=PAID))
    head = by_name(bias(table[:300], [WOMEN], label="paid", predicted="said", positive=PAID))
    assert found["DPPL"].value == whole["DPPL"].value
    assert found["RD"].value == head["RD"].value != whole["RD"].value


def test_without_labels_there_is_what_predictions_tell() -> None:
    """Not one label yet: metrics that need one say so; without the column they are not there."""
    table = decisions(0, 300).with_columns(pl.lit(None, pl.String).alias("paid"))
    found = by_name(bias(table, [WOMEN], label="paid", predicted="said", positive=PAID))
    assert found["RD"].value is None
    assert found["RD"].note == "No current row has a label and a prediction."
    assert found["DPPL"].value is not None
    names = list(by_name(bias(table, [WOMEN], predicted="said", positive=PAID)))
    assert names == ["CI", "DPPL", "DI"]


def test_a_group_and_features_bring_their_metrics() -> None:
    """Conditional disparity and the flip test, in Clarify's order."""
    table = decisions(0, 300)
    found = by_name(bias(table, [WOMEN], label="paid", predicted="said", positive=PAID, group="town", features=["age"]))
    assert list(found)[7:9] == ["CDDL", "DPPL"]
    assert list(found)[-2:] == ["GE", "FT"]
    assert found["FT"].value is not None
    assert found["FT"].p_value is None


def test_the_flip_test_leaves_out_rows_with_gaps() -> None:
    """And takes numbers only."""
    table = decisions(0, 300).with_columns(age=pl.when(pl.col("town") == "Ulm").then(None).otherwise("age"))
    found = by_name(bias(table, [WOMEN], predicted="said", positive=PAID, features=["age"]))
    rest = by_name(bias(table.drop_nulls(), [WOMEN], predicted="said", positive=PAID, features=["age"]))
    assert found["FT"].value == rest["FT"].value
    text = by_name(bias(table, [WOMEN], predicted="said", positive=PAID, features=["town"]))
    assert text["FT"].note.startswith("The flip test takes numbers only")


def test_rows_without_a_group_are_left_out() -> None:
    """Of conditional metrics alone; where no row has one, they say so."""
    table = decisions(0, 300)
    some = table.with_columns(town=pl.when(pl.col("town") == "Ulm").then(None).otherwise("town"))
    found = by_name(bias(some, [WOMEN], predicted="said", positive=PAID, group="town", reference=table))
    rest = by_name(bias(table.filter(pl.col("town") != "Ulm"), [WOMEN], predicted="said", positive=PAID, group="town"))
    assert found["CDDPL"].value == rest["CDDPL"].value
    none = table.with_columns(town=pl.lit(None))
    assert by_name(bias(none, [WOMEN], predicted="said", positive=PAID, group="town"))["CDDPL"].value is None


def test_a_facet_that_cannot_be_told_leaves_the_others_alone() -> None:
    """A column that is absent, a value that nobody has, one that all have, rows without any."""
    table = decisions(0, 400).with_columns(pl.lit("m").alias("all"), pl.lit(None).alias("none"))
    facets = [
        Facet(column="colour", values=("red",)),
        NOBODY,
        Facet(column="all", values=("m",)),
        Facet(column="none", values=("m",)),
        Facet(column="town", threshold=3),
        WOMEN,
        OLD,
    ]
    report = bias(table, facets, predicted="said", positive=PAID, reference=table)
    assert [len(facet.metrics) for facet in report.facets] == [0, 0, 0, 0, 0, 3, 3]
    assert [facet.note for facet in report.facets[:4]] == [
        "The current table has no column 'colour'.",
        "No current row belongs to the facet, so there is nothing to compare.",
        "No current row belongs to the others, so there is nothing to compare.",
        "No current row belongs to the facet, so there is nothing to compare.",
    ]
    assert [facet.missing for facet in report.facets] == [0, 0, 0, 400, 400, 0, 0]
    assert report.verdict == "no drift"


def test_few_rows_have_figures_and_no_verdict() -> None:
    """Nineteen women: what they got is told, and nothing alarms."""
    table = decisions(0, 50, accepted=(1.0, 0.0))
    report = bias(table, [WOMEN], predicted="said", positive=PAID, reference=table, allowed={"DPPL": (-0.1, 0.1)})
    assert report.verdict == "too few rows"
    assert report.facets[0].note.startswith("A verdict needs 30 rows on either side; there are 19 and 31")
    assert by_name(report)["DPPL"].value == 1.0
    assert not report.facets[0].alarms


@pytest.mark.parametrize("said", ["yes", "no"])
def test_one_outcome_only(said: str) -> None:
    """Everybody is said the same: differences are 0, and what divides by nothing follows Clarify."""
    table = decisions(0, 300).with_columns(pl.lit(said).alias("said"))
    found = by_name(bias(table, [WOMEN], label="paid", predicted="said", positive=PAID, reference=table, group="town"))
    assert (found["DPPL"].value, found["DI"].value) == (0.0, 1.0 if said == "yes" else 0.0)
    assert (found["CDDPL"].value, found["CDDPL"].p_value) == (None, None)
    assert not any(metric.drifted for metric in found.values())


def test_infinite_values_survive_json() -> None:
    """JSON has no infinities; Clarify spells them."""
    table = decisions(0, 400, accepted=(0.0, 0.5))
    allowed = {"DI": (0.8, 1.25), "DPPL": (-float("inf"), 0.0)}
    report = bias(table, [WOMEN], predicted="said", positive=PAID, reference=table, allowed=allowed)
    assert by_name(report)["DPPL"].allowed == ("-Infinity", 0.0)
    found = by_name(report)["DI"]
    assert (found.value, found.low, found.high, found.outside) == ("Infinity", "Infinity", "Infinity", True)
    assert BiasReport.parse(report.json()) == report
    assert report.table().filter(pl.col("metric") == "DI")["value"].item() == float("inf")


def test_a_reference_without_the_facet_is_no_baseline() -> None:
    """Values are told, nothing is tested."""
    table = decisions(0, 300)
    report = bias(table, [WOMEN], predicted="said", positive=PAID, reference=table.drop("sex"))
    assert "The reference has no column 'sex'" in report.facets[0].note
    assert by_name(report)["DPPL"].baseline is None


def test_a_baseline_without_labels_tests_what_it_can() -> None:
    """Such as a model's reference sample."""
    reference = decisions(0, 500).with_columns(pl.lit(None, pl.String).alias("paid"))
    report = bias(decisions(1, 400), [WOMEN], label="paid", predicted="said", positive=PAID, reference=reference)
    found = by_name(report)
    assert found["DPPL"].p_value is not None
    assert (found["RD"].p_value, found["RD"].baseline) == (None, None)


def test_of_values_a_threshold_tells_what_is_favourable() -> None:
    """A regression's prediction and truth."""
    table = decisions(0, 300).with_columns(pay=pl.col("age") * 1000.0)
    found = by_name(bias(table, [WOMEN], predicted="pay", positive=Choice(threshold=50_000)))["DPPL"]
    rates = table.group_by("sex").agg((pl.col("age") > 50).mean()).sort("sex", descending=True)["age"].to_list()
    assert found.value == pytest.approx(rates[0] - rates[1])


def test_the_same_tables_give_the_same_report() -> None:
    """Resamples are drawn by the seed."""
    settings = {"predicted": "said", "positive": PAID, "reference": decisions(0, 400)}
    first, second = (bias(decisions(1, 200), [WOMEN], **settings) for _ in range(2))
    assert first == second != bias(decisions(1, 200), [WOMEN], **settings, seed=1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"facets": []}, SettingError, "There is no facet"),
        ({"predicted": None}, SettingError, "neither a label nor a prediction"),
        ({"predicted": "sed"}, DataError, "The current table lacks 'sed'"),
        ({"group": "country"}, DataError, "lacks 'country'"),
        ({"current": 3}, DataError, "The current table is a int"),
        ({"level": 0}, SettingError, "level is 0"),
        ({"interval_level": 1.5}, SettingError, "interval_level is 1.5"),
        ({"allowed": {"DPL2": (0, 1)}}, SettingError, "'DPL2', which is unknown"),
        ({"allowed": {"DPPL": (1, 0)}}, SettingError, "Give the lower end first"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], error: type[Exception], words: str) -> None:
    """With the place, what was there, and what would be right."""
    usual = {"current": decisions(0, 40), "facets": [WOMEN], "predicted": "said", "positive": PAID}
    settings = {**usual, **change}
    with pytest.raises(error, match=words):
        bias(settings.pop("current"), settings.pop("facets"), **settings)  # type: ignore[arg-type]


def false_alarms(reports: int, rows: int) -> int:
    """Reports without drift that alarm, of two facets and all metrics."""
    alarms = 0
    for number in range(reports):
        reference, current = (decisions(2 * number + side, size) for side, size in ((0, 1000), (1, rows)))
        report = bias(
            current, [WOMEN, OLD], label="paid", predicted="said", positive=PAID, group="town", reference=reference
        )
        alarms += report.drifted
    return alarms


def test_false_alarms_are_rare() -> None:
    """Of 15 reports without drift, with 40 metrics each, no more than the binomial's 99 % quantile: 3."""
    assert false_alarms(15, 150) <= stats.binom.ppf(0.99, 15, 0.05) == 3


@pytest.mark.slow
@pytest.mark.parametrize("rows", [100, 1000])
def test_false_alarms_are_as_rare_as_promised(rows: int) -> None:
    """Of 100 reports without drift, no more than the binomial's 99 % quantile."""
    assert false_alarms(100, rows) <= stats.binom.ppf(0.99, 100, 0.05) == 11
