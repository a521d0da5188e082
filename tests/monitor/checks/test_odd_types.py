"""Every type that Polars has, checked against itself and against every other one."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from monitor.checks import Baseline, check, suggest
from monitor.checks.sagemaker import baseline_of, constraints_of, judge, statistics_of, violations_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)

COLUMNS = {
    "object": pl.Series([object() for _ in range(40)], dtype=pl.Object),
    "uint64": pl.Series([2**64 - 1] * 40, dtype=pl.UInt64),
    "int128": pl.Series([2**100] * 40, dtype=pl.Int128),
    "decimal": pl.Series([Decimal("1.50")] * 40),
    "duration": pl.Series([timedelta(hours=1)] * 40),
    "time": pl.Series([time(12)] * 40),
    "date": pl.Series([date(2024, 1, 1)] * 40),
    "zoned": pl.Series([datetime(2024, 1, 1, tzinfo=UTC)] * 40),
    "nanoseconds": pl.Series([datetime(2024, 1, 1)] * 40, dtype=pl.Datetime("ns")),  # noqa: DTZ001
    "categorical": pl.Series(["a", "b"] * 20, dtype=pl.Categorical),
    "enum": pl.Series(["a", "b"] * 20, dtype=pl.Enum(["a", "b"])),
    "boolean": pl.Series([True, False] * 20),
    "array": pl.Series([[1.0, 2.0]] * 40, dtype=pl.Array(pl.Float64, 2)),
    "binary": pl.Series([b"x"] * 40),
    "struct": pl.Series([{"a": 1}] * 40),
    "null": pl.Series([None] * 40),
}


def frame(name: str) -> pl.DataFrame:
    """A table of that column alone."""
    return COLUMNS[name].alias("x").to_frame()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_alright_by_its_own_baseline(name: str) -> None:
    """By our tests, by SageMaker's rules, and by our tests after their files."""
    table = frame(name)
    baseline = suggest(table, now=NOW)
    statistics, constraints = statistics_of(table, baseline), constraints_of(baseline)
    assert Baseline.parse(baseline.json()) == baseline
    assert check(table, baseline, now=NOW).verdict == "no violations"
    assert judge(table, statistics, constraints).violations == ()
    assert check(table, baseline_of(statistics, constraints)).verdict == "no violations"


@pytest.mark.parametrize("name", COLUMNS)
def test_any_other_column_in_its_place_gets_a_verdict(name: str) -> None:
    """Records that can be written, and no exception."""
    baseline = suggest(frame(name), now=NOW)
    statistics, constraints = statistics_of(frame(name), baseline), constraints_of(baseline)
    for other in COLUMNS:
        quality = check(frame(other), baseline, now=NOW)
        assert not quality.unchecked
        assert len(violations_of(quality).violations) == len(quality.violations)
        assert judge(frame(other), statistics, constraints).json()


def test_all_of_them_make_one_table() -> None:
    """Whose rows all count as different, since one column cannot be compared."""
    table = pl.DataFrame(COLUMNS)
    baseline = suggest(table)
    assert (baseline.repeated, check(table, baseline).verdict) == (0, "no violations")
    assert all(not column.note for column in baseline.columns)
