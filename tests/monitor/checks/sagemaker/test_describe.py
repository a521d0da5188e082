"""The files of a baseline, made of a table; and a baseline made of the files."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from monitor.checks import check, suggest
from monitor.checks.sagemaker import ConstraintsFile, baseline_of, constraints_of, statistics_of
from monitor.checks.sagemaker.files import Categorical, Common, LevelBucket, LevelDistribution, StringStatistics

FRAME = pl.DataFrame(
    {
        "age": [20, 31, 45, None] * 250,
        "share": np.random.default_rng(0).normal(size=1000),
        "town": ["Ulm", "Bonn", "Ulm", None] * 250,
        "paid": [True, False] * 500,
        "day": [datetime(2024, 5, 1 + i % 20) for i in range(1000)],  # noqa: DTZ001
        "id": [f"c{i}" for i in range(1000)],
        "list": [[1]] * 1000,
        "none": [None] * 1000,
    }
)
BASELINE = suggest(FRAME)


def test_numbers_are_described_by_what_numpy_says() -> None:
    """Population standard deviation, and ten buckets of equal width as `np.histogram` counts them."""
    share = statistics_of(FRAME, BASELINE).features[1].numerical_statistics
    values = FRAME["share"].to_numpy()
    assert share is not None
    assert (share.mean, share.sum, share.std_dev) == pytest.approx((values.mean(), values.sum(), values.std()))
    assert (share.min, share.max) == (values.min(), values.max())
    assert share.distribution is not None
    assert share.distribution.kll is not None
    counts, edges = np.histogram(values, bins=10)
    assert [bucket.count for bucket in share.distribution.kll.buckets] == counts.tolist()
    assert [bucket.lower_bound for bucket in share.distribution.kll.buckets] == pytest.approx(edges[:-1])


def test_text_is_described_by_its_levels() -> None:
    """With those that have most rows first; one with more than 120 levels has their number only."""
    features = {feature.name: feature.string_statistics for feature in statistics_of(FRAME, BASELINE).features}
    levels = Categorical((LevelBucket("Ulm", 500), LevelBucket("Bonn", 250)))
    assert features["town"] == StringStatistics(Common(750, 250), 2.0, LevelDistribution(levels))
    assert features["id"] == StringStatistics(Common(1000, 0), 1000.0, None)


def test_each_type_has_a_word() -> None:
    """What SageMaker has none for is text; what nobody knows is unknown."""
    types = [feature.inferred_type for feature in constraints_of(BASELINE).features]
    assert types == ["Integral", "Fractional", *["String"] * 4, "Unknown", "Unknown"]
    assert [feature.inferred_type for feature in statistics_of(FRAME, BASELINE).features] == types


def test_a_constant_column_has_its_rows_in_the_last_bucket() -> None:
    """Deequ's formula: the first nine hold what is below the value."""
    frame = pl.DataFrame({"x": [3.5] * 40})
    numbers = statistics_of(frame, suggest(frame)).features[0].numerical_statistics
    assert numbers is not None
    assert numbers.distribution is not None
    assert numbers.distribution.kll is not None
    assert [bucket.count for bucket in numbers.distribution.kll.buckets] == [0.0] * 9 + [40.0]


def test_infinite_numbers_are_left_out() -> None:
    """JSON has none of them; all that are left are described."""
    frame = pl.DataFrame({"x": [1.0, 2.0, float("inf")] * 20, "y": [float("inf")] * 60})
    x, y = (feature.numerical_statistics for feature in statistics_of(frame, suggest(frame)).features)
    assert x is not None
    assert (x.common, x.max, x.mean) == (Common(60, 0), 2.0, 1.5)
    assert y is not None
    assert y.distribution is None


def test_a_sensitive_column_is_not_described() -> None:
    """The statistics would tell its values; the constraints tell how complete it has to be."""
    baseline = suggest(FRAME, sensitive=["town", "age"])
    assert [feature.name for feature in statistics_of(FRAME, baseline).features][:2] == ["share", "paid"]
    assert b"Ulm" not in constraints_of(baseline).json() + statistics_of(FRAME, baseline).json()


def test_an_empty_table_has_empty_files() -> None:
    """Its columns, and no rows."""
    frame = FRAME.clear()
    statistics = statistics_of(frame, suggest(frame))
    assert statistics.dataset.item_count == 0
    assert len(statistics.features) == 8


def test_windows_are_judged_by_our_tests_against_their_files() -> None:
    """The same findings as against our own baseline of the table, for what the files tell of it."""
    foreign = baseline_of(statistics_of(FRAME, BASELINE), constraints_of(BASELINE))
    window = FRAME.with_columns(
        pl.Series("town", ["Rom"] * 100 + ["Ulm"] * 900), pl.Series("share", [-90.0] * 30 + [0.0] * 970)
    ).drop("paid")
    found = [(one.column, one.check, one.rows) for one in check(window, foreign).violations]
    own = [(one.column, one.check, one.rows) for one in check(window, BASELINE).violations]
    assert found == own == [("paid", "missing_column", None), ("share", "range", 30), ("town", "domain", 100)]


def test_the_table_itself_is_alright_by_their_files() -> None:
    """Booleans and times too, which they take for text."""
    foreign = baseline_of(statistics_of(FRAME, BASELINE), constraints_of(BASELINE))
    assert check(FRAME, foreign).violations == ()


EDITS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"completeness": 0.8}, ["completeness"]),  # more than it held: a rule
    ({"completeness": 0.5}, []),
    ({"inferred_type": "Integral"}, ["type"]),
    ({"inferred_type": "Integral", "monitoringConfigOverrides": {"datatype_check_threshold": 0.3}}, []),
    ({"num_constraints": {"is_non_negative": True}}, ["non_negative"]),
    ({"completeness": 0.8, "monitoringConfigOverrides": {"evaluate_constraints": "Disabled"}}, []),
]


@pytest.mark.parametrize(("edit", "expected"), EDITS)
def test_constraints_that_were_edited_count(edit: dict[str, Any], expected: list[str]) -> None:
    """A quarter was missing, a third of the rest whole, and a third below zero: the window is the table itself."""
    table = pl.DataFrame({"change": [None, 1.5, -2.5, 3.0] * 250})
    baseline = suggest(table)
    document = json.loads(constraints_of(baseline).json())
    document["features"][0] |= edit
    constraints = ConstraintsFile.parse(json.dumps(document).encode(), "It")
    assert [one.check for one in check(table, baseline_of(statistics_of(table, baseline), constraints)).violations] == (
        expected
    )


def test_a_domain_that_was_edited_counts_and_a_threshold_lets_a_share_pass() -> None:
    """For one column, or for all; one that is wider is tested."""
    table = pl.DataFrame({"town": ["Ulm"] * 950 + ["Bonn"] * 50})
    baseline = suggest(table)
    statistics, document = statistics_of(table, baseline), json.loads(constraints_of(baseline).json())
    found: list[list[str]] = []
    for levels, threshold in ((["Ulm"], 1.0), (["Ulm"], 0.95), (["Ulm", "Bonn", "Rome"], 1.0)):
        document["features"][0]["string_constraints"]["domains"] = levels
        document["monitoring_config"]["domain_content_threshold"] = threshold
        constraints = ConstraintsFile.parse(json.dumps(document).encode(), "It")
        found.append([one.check for one in check(table, baseline_of(statistics, constraints)).violations])
    assert found == [["domain"], [], []]


def test_a_domain_of_which_the_statistics_tell_the_size_alone_is_tested() -> None:
    """Beyond 120 levels they have no distribution: one row of a new level is no more than chance explains."""
    table = pl.DataFrame({"town": [f"town {number % 200}" for number in range(10_000)]})
    baseline = suggest(table)
    foreign = baseline_of(statistics_of(table, baseline), constraints_of(baseline))
    odd = pl.concat([table.head(999), pl.DataFrame({"town": ["nowhere"]})])
    assert check(odd, foreign).violations == ()
    nowhere = pl.concat([table.head(900), pl.DataFrame({"town": ["nowhere"] * 100})])
    assert [one.check for one in check(nowhere, foreign).violations] == ["domain"]


def test_where_constraints_are_switched_off_nothing_is_asked() -> None:
    """Not even for columns."""
    document = json.loads(constraints_of(BASELINE).json())
    document["monitoring_config"]["evaluate_constraints"] = "Disabled"
    constraints = ConstraintsFile.parse(json.dumps(document).encode(), "It")
    foreign = baseline_of(statistics_of(FRAME, BASELINE), constraints)
    assert check(FRAME.drop("town").with_columns(new=pl.lit(1)), foreign).violations == ()


def test_constraints_without_statistics_ask_for_columns_only() -> None:
    """What a column held is not known then, so that chance cannot be told."""
    statistics = statistics_of(FRAME.select("age"), suggest(FRAME.select("age")))
    foreign = baseline_of(statistics, constraints_of(BASELINE))
    town = foreign.column("town")
    assert town is not None
    assert town.note
    assert [one.check for one in check(FRAME.drop("town"), foreign).violations] == ["missing_column"]
