"""Blocks of neighbouring rows: the same in any order of the parts, and as near to the rows as a report on them is."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import signal, stats

from monitor.serial import inflation, measure
from monitor.sketches.baseline import Baseline
from monitor.sketches.blocks import LENGTHS, WIDTH, blocks_from, both, indicators_of, planes_of, stacked, tally
from monitor.sketches.rescore import report_on
from monitor.sketches.window import Profile, merge, profile
from monitor.sketches.worth import Tallied, curves_of

Draw = Callable[[np.random.Generator, int], NDArray[np.generic]]

groups = hnp.arrays(np.int64, st.integers(0, 70), elements=st.integers(0, 3))


def autoregression(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    """Each value remembers four fifths of the one before."""
    return signal.lfilter([0.6], [1.0, -0.8], rng.normal(size=rows + 300))[300:]


def sticky(rng: np.random.Generator, rows: int) -> NDArray[np.str_]:
    """One of five levels, which stays for five rows on average."""
    drawn = rng.integers(0, 5, rows)
    changed = np.where(rng.random(rows) < 0.2, np.arange(rows), 0)
    return drawn[np.maximum.accumulate(changed)].astype(str)


def shuffled(rng: np.random.Generator, values: NDArray[np.generic]) -> pl.DataFrame:
    """A reference that tells nothing of neighbours, as training leaves it mostly."""
    return pl.DataFrame({"x": rng.permutation(values)})


def hours_of(values: NDArray[np.generic], hours: int, baseline: Baseline) -> list[Profile]:
    """Profiles of parts with as many rows each."""
    return [profile(pl.DataFrame({"x": part}), baseline) for part in np.split(values, hours)]


@settings(max_examples=50)
@given(groups)
def test_a_tally_counts_each_block(drawn: NDArray[np.int64]) -> None:
    """As a loop over them does."""
    rows = indicators_of(drawn)
    found = tally(rows, 7)
    assert len(found) == sum(length <= len(rows) for length in LENGTHS)
    for at, told in enumerate(found.tolist()):
        length = LENGTHS[at]
        sums = [rows[i : i + length].sum(axis=0) for i in range(0, len(rows) - length + 1, max(length // 4, 1))]
        products = sum(np.outer(one, one) for one in sums)[np.triu_indices(3)]
        assert told == [len(sums), 1, 0 if at else 7, *np.sum(sums, axis=0), *products]


@settings(max_examples=50)
@given(st.lists(groups, min_size=1, max_size=5), st.data())
def test_parts_add_up_in_any_order_and_their_bytes_are_read_back(
    parts: list[NDArray[np.int64]], data: st.DataObject
) -> None:
    """To the bit; of columns with few rows beside others with many, and of parts that were merged."""
    columns = [both(tally(indicators_of(part), 3), tally(indicators_of(part)[:, :1], 1)) for part in parts]
    added = stacked(columns).sum(axis=0)
    assert stacked(data.draw(st.permutations(columns))).sum(axis=0).tolist() == added.tolist()
    many = stacked([*columns, added])
    assert blocks_from(planes_of(many), len(many)).tolist() == many.tolist()
    assert blocks_from(b"", 3).shape == (3, 0, WIDTH)


@pytest.mark.parametrize("parts", [1, 40])
def test_inflation_is_that_of_the_rows_however_they_are_parted(parts: int) -> None:
    """Of an AR(1), whose mean varies nine times as much as that of independent rows, and whose quartiles less."""
    rng = np.random.default_rng(0)
    values = autoregression(rng, 40_000)
    scores = (values[:, None] <= np.quantile(values, [0.25, 0.5, 0.75])).astype(float)
    grouped = np.searchsorted(np.quantile(values, [0.25, 0.5, 0.75]), values)
    indicators = indicators_of(grouped)
    blocks = stacked([tally(part, len(part)) for part in np.split(indicators, parts)]).sum(axis=0)
    told = Tallied(blocks[None], np.array([40_000]), indicators.sum(axis=0)[None], np.array([8]))
    curve = curves_of(told, np.tril(np.ones((3, 3)))).at(0)
    expected = measure(scores, 40_000)
    lengths = [2, 8, 32, 128, 512]
    assert set(lengths) <= set(curve.lengths.tolist())
    for length in lengths:
        assert curve.at(length) == pytest.approx(expected.at(length), rel=0.1)
    assert inflation(curve, 40_000).factor == pytest.approx(inflation(expected, 40_000).factor, rel=0.25)


@pytest.mark.parametrize("draw", [autoregression, sticky])
@pytest.mark.parametrize("hours", [1, 6])
def test_false_alarms_of_dependent_rows_are_as_rare_as_promised(draw: Draw, hours: int) -> None:
    """Of 150 windows at 5%, no more than the binomial's 99% quantile; without their blocks, at least 40% alarm."""
    rng = np.random.default_rng([hours, len(draw.__name__)])
    alarms = without = 0
    for _ in range(15):
        baseline = Baseline.of(shuffled(rng, draw(rng, 5000)))
        for _ in range(10):
            parts = hours_of(draw(rng, 600), hours, baseline)
            whole = merge(parts)
            alarms += report_on(whole, baseline, hours=parts).drifted
            without += report_on(whole._replace(blocks=whole.blocks[:, :0]), baseline).drifted
    assert alarms <= stats.binom.ppf(0.99, 150, 0.05)
    assert without >= 60


def test_a_reference_in_the_order_of_time_tells_what_windows_are_worth() -> None:
    """Of windows whose profiles were made before there were blocks, too: 100 of 60 rows, at 5%."""
    rng = np.random.default_rng(3)
    baseline = Baseline.of(pl.DataFrame({"x": autoregression(rng, 10_000)}))
    windows = [profile(pl.DataFrame({"x": autoregression(rng, 60)}), baseline) for _ in range(100)]
    old = [window._replace(blocks=window.blocks[:, :0]) for window in windows]
    for told in (windows, old):
        assert sum(report_on(one, baseline).drifted for one in told) <= stats.binom.ppf(0.99, 100, 0.05)


@pytest.mark.parametrize("draw", [autoregression, sticky])
def test_drift_of_dependent_rows_is_found(draw: Draw) -> None:
    """A standard deviation, or a quarter of the rows that turn into one level, in 600 rows; of 20 windows."""
    rng = np.random.default_rng(4)
    baseline = Baseline.of(shuffled(rng, draw(rng, 5000)))
    found = 0
    for _ in range(20):
        values = draw(rng, 600)
        moved = np.where(rng.random(600) < 0.25, "0", values) if values.dtype.kind == "U" else values + 1
        found += report_on(profile(pl.DataFrame({"x": moved}), baseline), baseline).drifted
    assert found >= 18


def test_drift_that_begins_with_an_hour_is_no_dependence() -> None:
    """The last eight of 24 hours of 50 independent rows have moved by half a deviation: found as if rows had no order;
    without the hours, it takes more."""
    rng = np.random.default_rng(5)
    baseline = Baseline.of(pl.DataFrame({"x": rng.normal(size=5000)}))
    with_hours = without = 0
    for _ in range(20):
        parts = hours_of(rng.normal(size=1200) + 0.5 * (np.arange(1200) >= 800), 24, baseline)
        with_hours += report_on(merge(parts), baseline, hours=parts).drifted
        without += report_on(merge(parts), baseline).drifted
    assert with_hours >= 18
    assert without <= with_hours


def test_the_report_tells_what_rows_are_worth() -> None:
    """And a window that is worth too few is not judged."""
    rng = np.random.default_rng(6)
    baseline = Baseline.of(pl.DataFrame({"x": autoregression(rng, 10_000)}))
    long, short = (
        report_on(profile(pl.DataFrame({"x": autoregression(rng, rows)}), baseline), baseline) for rows in (600, 40)
    )
    assert long.columns[0].note.startswith("Rows depend on their neighbours: 600 current rows count as ")
    assert (short.verdict, short.columns[0].method) == ("too few rows", "none")
    assert "; a comparison needs 10. A difference of " in short.columns[0].note
    assert short.columns[0].unjudged is not None
