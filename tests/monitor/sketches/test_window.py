"""Profiles of windows: the same however rows are parted and merged, whatever they hold."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sketches.baseline import COUNTERS, Baseline
from monitor.sketches.rescore import report_on
from monitor.sketches.window import Profile, column_counts, merge, profile, quantiles_of, summary_of
from storage import DataError

RNG = np.random.default_rng(0)
SCHEMA = {"number": pl.Float64, "level": pl.String, "note": pl.String, "seen": pl.Datetime("us"), "whole": pl.Int64}
BASELINE = Baseline.of(
    pl.DataFrame(
        {
            "number": RNG.normal(size=500),
            "level": RNG.choice(["a", "b", "c", *(f"rare {i}" for i in range(40))], 500),
            "note": [" ".join(["word"] * (3 + i % 9)) + f" {i}" for i in range(500)],
            "seen": RNG.integers(0, 10**15, 500),
            "whole": RNG.integers(0, 5, 500),
        }
    ).cast({"seen": pl.Datetime("us")})
)

rows = st.fixed_dictionaries(
    {
        "number": st.none() | st.floats() | st.integers(-3, 3).map(float),
        "level": st.none() | st.sampled_from(["a", "b", "new", "rare 3"]) | st.text(max_size=3),
        "note": st.none() | st.text(max_size=90),
        "seen": st.none() | st.datetimes(),
        "whole": st.none() | st.integers(-(2**40), 2**40),
    }
)


def framed(dicts: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(dicts, schema=SCHEMA)


def exact(window: Profile) -> tuple[Any, ...]:
    """All of a profile but its KLL sketches and its blocks."""
    return (
        window.rows,
        window.counts.tolist(),
        window.sums,
        [None if math.isnan(low) else low for low in window.lows],
        [None if math.isnan(high) else high for high in window.highs],
        window.distinct,
        window.extra,
    )


@settings(max_examples=25)
@given(st.lists(rows, max_size=40), st.data())
def test_parts_merged_in_any_order_are_the_whole(sent: list[dict[str, Any]], data: st.DataObject) -> None:
    """To the bit: all but blocks are those of the whole; these, which lie within parts, are as in any other order, and
    so is the report; also merged in two steps."""
    whole = profile(framed(sent), BASELINE)
    mixed = data.draw(st.permutations(sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), min_size=2, max_size=4)))
    ends = zip([0, *cuts], [*cuts, len(sent)], strict=True)
    parts = data.draw(st.permutations([profile(framed(mixed[a:b]), BASELINE) for a, b in ends]))
    assert exact(merge(parts)) == exact(whole)
    nested, flat = merge([merge(parts[1:]), parts[0]]), merge(parts)
    assert exact(nested) == exact(whole)
    assert (nested.quantiles, nested.blocks.tolist()) == (flat.quantiles, flat.blocks.tolist())
    assert report_on(nested, BASELINE) == report_on(flat, BASELINE)


@settings(max_examples=40)
@given(st.lists(rows, max_size=40))
def test_counts_are_those_of_the_rows(sent: list[dict[str, Any]]) -> None:
    """Column by column, and cells hold each value once."""
    frame = framed(sent)
    window = profile(frame, BASELINE)
    for place, column in enumerate(BASELINE.columns):
        counts = dict(zip(COUNTERS, column_counts(window, BASELINE, place).tolist(), strict=False))
        series = frame[column.name].fill_nan(None) if column.name == "number" else frame[column.name]
        assert (counts["rows"], counts["missing"], counts["lost"]) == (len(sent), series.null_count(), 0)
        cells = column_counts(window, BASELINE, place)[len(COUNTERS) :]
        assert cells.sum() == (0 if column.name == "seen" else series.count())


def test_figures_are_those_of_the_rows() -> None:
    """Mean and deviation by NumPy, distinct values by Polars; 100,000 rows of a mean that is far from zero."""
    values = np.random.default_rng(3).normal(1e6, 1, 100_000).round(2)
    frame = pl.DataFrame({"number": values})
    summary = summary_of(profile(frame, Baseline.of(frame.head(1000))), Baseline.of(frame.head(1000)), "number")
    assert summary.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-15)
    assert summary.deviation == pytest.approx(values.std(), rel=1e-9)
    assert (summary.minimum, summary.maximum) == (values.min(), values.max())
    assert summary.distinct == pytest.approx(frame["number"].n_unique(), rel=0.08)


def test_what_cannot_be_a_number_is_lost() -> None:
    """A column that became text; its readable values still count."""
    baseline = Baseline.of(pl.DataFrame({"age": [20.0, 30.0, 40.0] * 50}))
    summary = summary_of(profile(pl.DataFrame({"age": ["20", "old", None, "inf", " 40 "]}), baseline), baseline, "age")
    assert (summary.rows, summary.missing, summary.lost, summary.infinite) == (5, 2, 1, 1)
    assert (summary.mean, summary.minimum, summary.maximum) == (30.0, 20.0, 40.0)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        pytest.param([None] * 40, None, id="all null"),
        pytest.param([math.nan] * 40, None, id="all NaN"),
        pytest.param([7.0] * 40, 7.0, id="constant"),
        pytest.param([math.inf, -math.inf] * 20, None, id="infinities"),
        pytest.param([1e308, 7.0] * 20, 7.0, id="too large to be squared"),
        pytest.param([5e-324] * 40, 5e-324, id="the smallest number"),
    ],
)
def test_odd_values_have_a_profile(values: list[Any], mean: float | None) -> None:
    """On either side, and a report."""
    usual = pl.DataFrame({"number": np.arange(100.0)})
    odd = pl.DataFrame({"number": values}, schema={"number": pl.Float64})
    for reference, window in ((usual, odd), (odd, usual), (odd, odd)):
        baseline = Baseline.of(reference, {"number": "number"})
        found = profile(window, baseline)
        summary = summary_of(found, baseline, "number")
        assert summary.rows == window.height
        if window is odd and reference is usual:
            assert summary.mean == (mean if mean is None else pytest.approx(mean, abs=1e-14))
        if window is odd and reference is odd:
            assert not report_on(found, baseline).drifted


def test_new_and_lost_columns_are_told() -> None:
    """The new one by its name, the lost one by having no rows; a window without any of them too."""
    baseline = Baseline.of(pl.DataFrame({"kept": range(40), "lost": range(40)}))
    window = profile(pl.DataFrame({"kept": range(40), "new": range(40)}), baseline)
    assert (window.extra, summary_of(window, baseline, "lost").rows) == (("new",), 0)
    report = report_on(window, baseline)
    assert (report.extra, report.columns[1].note) == (("new",), "The column was in none of the rows.")
    assert profile(pl.DataFrame(), baseline).rows == 0
    assert quantiles_of(window, baseline, "lost", [0.5]) == [None]


def test_profiles_of_other_baselines_are_refused() -> None:
    """By a merge and by a report, whatever their width."""
    one, other = (Baseline.of(pl.DataFrame({"x": range(start, start + 100)})) for start in (0, 1))
    windows = [profile(pl.DataFrame({"x": range(100)}), baseline) for baseline in (one, other)]
    with pytest.raises(DataError, match="cannot be merged"):
        merge(windows)
    with pytest.raises(DataError, match="cells differ"):
        report_on(windows[0], other)


def test_a_baseline_is_the_same_for_the_same_rows() -> None:
    """And is read back; bytes that are none are refused."""
    frame = pl.DataFrame({"x": range(100), "y": ["a", "b"] * 50})
    assert Baseline.of(frame).digest == Baseline.of(frame.clone()).digest
    read = Baseline.parse(Baseline.of(frame).data)
    assert (read.columns, read.digest) == (Baseline.of(frame).columns, Baseline.of(frame).digest)
    with pytest.raises(DataError, match="no baseline"):
        Baseline.parse(b"x")
    with pytest.raises(DataError, match="no columns"):
        Baseline.of(pl.DataFrame())
    with pytest.raises(DataError, match=r"no column 'z'\. It has 'x', 'y'"):
        Baseline.of(frame).place("z")


def test_of_private_columns_nothing_but_counts_and_sums_is_kept() -> None:
    """No quantile and no extreme, which are values of somebody."""
    frame = pl.DataFrame({"salary": np.arange(1000.0)})
    baseline = Baseline.of(frame, private=frozenset({"salary"}))
    window = profile(frame, baseline)
    summary = summary_of(window, baseline, "salary")
    assert (window.quantiles, summary.minimum, summary.maximum) == (((),), None, None)
    assert (summary.mean, quantiles_of(window, baseline, "salary", [0.5])) == (499.5, [None])


def test_categories_have_no_quantiles() -> None:
    """Which is said."""
    baseline = Baseline.of(pl.DataFrame({"town": ["Ulm", "Bonn"] * 20}))
    with pytest.raises(DataError, match="'town' is a category without numbers"):
        quantiles_of(profile(pl.DataFrame({"town": ["Ulm"]}), baseline), baseline, "town", [0.5])
