"""What a table suggests to ask of later ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from monitor.checks import Baseline, ColumnBaseline, check, suggest
from monitor.checks.chance import wilson
from storage.baselines.baseline import Completeness, Limits, Share
from storage.errors import DataError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def column(values: Any, **options: Any) -> ColumnBaseline:
    """The suggestion for one column."""
    return suggest(pl.DataFrame({"x": values}), now=NOW, **options).columns[0]


def test_completeness_is_what_the_sample_leaves_plausible() -> None:
    """The lower end of Wilson's interval: 3 of 100 rows have no value."""
    asked = column([1.5] * 97 + [None, None, float("nan")])
    assert asked.statistics.missing == 3
    assert asked.constraints.completeness == Completeness(wilson(97, 100)[0])


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, 2, 3], "Integral"),
        ([1.0, None, 3.0], "Integral"),  # whole numbers with a gap come as floats
        ([1.0, 2.5], "Fractional"),
        ([float("inf"), float("inf")], "Fractional"),
        ([True, False], "Boolean"),
        (["Ulm", "Bonn"], "String"),
        ([datetime(2024, 5, 1)], "Time"),  # noqa: DTZ001 - as most files have it
        ([None, None], None),
        ([[1], [2]], None),
    ],
)
def test_the_values_tell_the_type(values: list[Any], type_: str | None) -> None:
    """Where there is none, none is asked for."""
    asked = column(values).constraints.type
    assert (asked.type if asked else None) == type_


def test_limits_are_the_extremes_of_finite_numbers() -> None:
    """An infinite number is no limit."""
    asked = column([-2.5, 7.0, float("inf")]).constraints
    assert asked.range == Limits(-2.5, 7.0, wilson(0, 3)[1])
    assert asked.non_negative is None
    assert asked.finite == Share(wilson(1, 3)[1])


def test_times_have_no_latest() -> None:
    """Instants move forward; the earliest is kept in microseconds."""
    asked = column([datetime(1970, 1, 2), datetime(2026, 1, 1)]).constraints  # noqa: DTZ001
    assert asked.range == Limits(86_400_000_000, None, wilson(0, 2)[1])
    assert asked.past == Share(wilson(0, 2)[1])


def test_a_column_with_appointments_may_hold_the_future() -> None:
    """What the table itself does not keep is not asked for."""
    later = column([(NOW + timedelta(days=1)).replace(tzinfo=None)])
    assert later.statistics.future == 1
    assert later.constraints.past is None


def test_a_domain_needs_levels_that_come_again() -> None:
    """Two singles in 100 rows say that two in a hundred next values are new; one says that of one."""
    assert column(["a"] * 98 + ["b", "c"]).constraints.domain is None
    domain = column(["a"] * 99 + ["b"]).constraints.domain
    assert domain is not None
    assert domain.levels == ("a", "b")


def test_a_category_of_ten_thousand_levels_has_lengths_instead() -> None:
    """Beyond 1,000 levels none is kept."""
    asked = column([f"level {i % 10_000}" for i in range(20_000)])
    assert asked.constraints.domain is None
    assert asked.statistics.levels == {}
    assert asked.constraints.length == Limits(7, 10, wilson(0, 20_000)[1])


@pytest.mark.parametrize(
    ("values", "is_unique"),
    [
        (["a", "b", "c"], True),
        ([3, 1, 2], True),
        ([0.1, 0.2], False),  # that measured numbers differ says nothing
        (["a", "a"], False),
        (["a"], False),
    ],
)
def test_identifiers_are_unique(values: list[Any], is_unique: bool) -> None:
    """Whole numbers and text of which none repeats."""
    assert (column(values).constraints.unique is not None) == is_unique


def test_what_the_caller_knows_counts() -> None:
    """A postcode is a category, whatever its type."""
    known = column([89073] * 50 + [53111] * 50, kinds={"x": "category"})
    assert known.kind == "category"
    assert known.constraints.domain is not None
    assert set(known.constraints.domain.levels) == {"89073", "53111"}


def test_a_table_that_repeats_by_nature_is_not_asked_to_differ() -> None:
    """More than a tenth of its rows repeat."""
    assert suggest(pl.DataFrame({"x": [1, 2] * 50})).distinct_rows is None
    assert suggest(pl.DataFrame({"x": [*range(99), 0]})).distinct_rows == Share(wilson(1, 100)[1])


def test_a_sensitive_column_leaves_no_value_in_the_file() -> None:
    """Neither levels nor limits; how complete it is may be told."""
    frame = pl.DataFrame({"name": ["Jane", "Jim"] * 50, "wage": [4321, 8765] * 50})
    written = suggest(frame, sensitive=["name", "wage"]).json()
    assert not any(value in written for value in (b"Jane", b"Jim", b"4321", b"8765", b"6543"))
    assert b"completeness" in written


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"x": [], "y": []}, schema={"x": pl.Int64, "y": pl.String}),
        pl.DataFrame({"x": [None] * 40}),
        pl.DataFrame({"x": [7] * 40}),
        pl.DataFrame({"x": ["only"] * 40}),
        pl.DataFrame({"x": [float("inf"), float("-inf"), float("nan"), None] * 10}),
        pl.DataFrame({"größe 🙂": ["ü", "漢字", "\u200b"] * 20}),
        pl.DataFrame({"x": [[1, 2], [3]] * 20, "y": [{"a": 1}, {"a": 2}] * 20, "z": [b"1", b"2"] * 20}),
        pl.DataFrame({"x": [1e308, -1e308] * 20}),
    ],
    ids=["empty", "null", "constant", "one level", "infinite", "unicode", "nested", "large"],
)
def test_odd_tables_suggest_what_they_keep_themselves(frame: pl.DataFrame) -> None:
    """The table is alright by its own baseline, which is the same after it was written and read."""
    baseline = suggest(frame, now=NOW)
    assert Baseline.parse(baseline.json()) == baseline
    assert check(frame, baseline, now=NOW).verdict in ("no violations", "no rows")


def test_a_table_without_columns_is_refused() -> None:
    """There is nothing to suggest anything from."""
    with pytest.raises(DataError, match="no columns"):
        suggest(pl.DataFrame())


def test_a_column_that_cannot_be_read_costs_no_other_one() -> None:
    """Its note says why; what it is asked for is nothing."""
    baseline = suggest(pl.DataFrame({"x": [{"a": 1}] * 40, "y": range(40)}), kinds={"x": "text", "y": "number"})
    assert [one.constraints.type is not None for one in baseline.columns] == [False, True]
