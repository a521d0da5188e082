"""The smallest drift that a schedule will find: said beforehand, and held against simulated windows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from monitor import compare
from monitor.power import smallest_drifts
from storage.errors import DataError, SettingError

Draw = Callable[[np.random.Generator, int], pl.Series]


def levels(rng: np.random.Generator, rows: int, shares: Any) -> pl.Series:
    """Levels `0`, `1`, ... with these shares."""
    return pl.Series(rng.choice(len(shares), p=np.array(shares) / np.sum(shares), size=rows).astype(str))


def zeros(rng: np.random.Generator, rows: int) -> pl.Series:
    """Nine tenths are zero."""
    return pl.Series(np.where(rng.random(rows) < 0.1, rng.exponential(size=rows), 0.0))


def second(reference: pl.Series) -> Any:
    """The second commonest level; of equally frequent ones chance alone says which it is."""
    return reference.alias("x").value_counts().sort("count", "x", descending=True)["x"][1]


#: What is drawn, the drift that is made of it, and what moved rows turn into; None is the reference's second level.
COLUMNS: dict[str, tuple[Draw, str, Any]] = {
    "normal": (lambda rng, n: pl.Series(rng.normal(5, 3, n)), "shift", None),
    "uniform": (lambda rng, n: pl.Series(rng.random(n)), "shift", None),
    "exponential": (lambda rng, n: pl.Series(rng.exponential(size=n)), "shift", None),
    "lognormal": (lambda rng, n: pl.Series(rng.lognormal(size=n)), "shift", None),
    "heavy tail": (lambda rng, n: pl.Series(rng.standard_t(2, size=n)), "shift", None),
    "two humps": (lambda rng, n: pl.Series(rng.normal(4 * (rng.random(n) < 0.4), 1)), "shift", None),
    "counts": (lambda rng, n: pl.Series(rng.poisson(2, n)), "moved", None),
    "zeros": (zeros, "moved", 1.0),
    "flag": (lambda rng, n: levels(rng, n, [95, 5]), "moved", "1"),
    "five levels": (lambda rng, n: levels(rng, n, [5, 4, 3, 2, 1]), "moved", "1"),
    "forty levels": (lambda rng, n: levels(rng, n, 1 / np.arange(1, 41)), "moved", "1"),
    "missing": (
        lambda rng, n: pl.Series(rng.normal(size=n)).set(pl.Series(rng.random(n) < 0.05), None),
        "missing",
        None,
    ),
}


def drifted(window: pl.Series, kind: str, amount: float, to: Any, rng: np.random.Generator) -> pl.Series:
    """The window with so much drift."""
    if kind == "shift":
        return window + amount
    chosen = pl.Series(rng.random(len(window)) < amount)
    if kind == "moved":
        return window.set(chosen, to)
    present = chosen & window.is_not_null()
    return window.set(present, None)


def said(draw: Draw, kind: str, rows: int) -> float:
    """The drift that a reference of 4,000 rows says will be found; the median of three such references."""
    rng = np.random.default_rng(1)
    found = [getattr(smallest_drifts(draw(rng, 4000).to_frame("x"), rows)[0], kind) for _ in range(3)]
    return float(np.median(found))


def found(name: str, expected: float, sign: int) -> float:
    """Where four windows of five alarm: the probit of the share of alarms, a line in the drift, says it."""
    draw, kind, to = COLUMNS[name]
    rng = np.random.default_rng(2)
    amounts = expected * np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    shares: list[float] = []
    for amount in amounts:
        # What is missing already cannot get lost.
        made = sign * amount / (0.95 if kind == "missing" else 1)
        references = (draw(rng, 4000) for _ in range(250))
        pairs = (
            (x, drifted(draw(rng, 400), kind, made, second(x) if kind == "moved" and to is None else to, rng))
            for x in references
        )
        shares.append(np.mean([compare(x.to_frame("x"), y.to_frame("x")).drifted for x, y in pairs]))
    slope, start = np.polyfit(amounts, stats.norm.ppf(np.clip(shares, 0.002, 0.998)), 1)
    return float((stats.norm.ppf(0.8) - start) / slope)


@pytest.mark.slow
@pytest.mark.parametrize("name", COLUMNS)
def test_the_drift_that_is_said_is_found_in_four_windows_of_five(name: str) -> None:
    """Within a tenth: of 1,250 windows of 400 rows around it; numbers move the way that is harder to find."""
    draw, kind, _ = COLUMNS[name]
    expected = said(draw, kind, 400)
    signs = (1, -1) if kind == "shift" else (1,)
    assert max(found(name, expected, sign) for sign in signs) == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shares", "rows"),
    [
        ([95, 3, 2], 200),
        ([900, *[1] * 100], 200),
        (1 / np.arange(1, 51), 200),
        (1 / np.arange(1, 201), 1000),
        (1 / np.arange(1, 1001), 200),
        (1 / np.arange(1, 10_001), 200),
        (1 / np.arange(1, 10_001), 1000),
        (np.ones(1000), 200),
        (np.ones(1000), 1000),
        (np.ones(10_000), 1000),
        (np.ones(10), 1000),
        (np.ones(20), 400),
        ([50, *[5] * 10], 500),
    ],
    ids=lambda value: f"{len(value)} levels" if not isinstance(value, int) else f"{value} rows",
)
def test_what_is_said_of_rare_levels_is_found_in_four_windows_of_five(shares: Any, rows: int) -> None:
    """Of 200 references of five times the window, each with a window in which so many rows turned into the reference's
    second commonest level: 80%, give or take three standard errors. Where all levels are rare, it depends
    on the rows that moved whether theirs has a cell of its own; where many are equally frequent, chance alone made it
    the second."""
    rng, alarms = np.random.default_rng(len(shares) + rows), []
    for _ in range(200):
        reference = levels(rng, 5 * rows, shares).to_frame("x")
        moved = smallest_drifts(reference, rows)[0].moved
        assert moved is not None
        window = drifted(levels(rng, rows, shares), "moved", moved, second(reference["x"]), rng)
        alarms.append(compare(reference, window.to_frame("x")).drifted)
    assert np.mean(alarms) == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / len(alarms)))


def test_a_shift_is_found_by_scipys_kolmogorov_smirnov() -> None:
    """In 80% of 1,500 windows, give or take three standard deviations and the reference's own chance."""
    rng = np.random.default_rng(0)
    shift = smallest_drifts(pl.DataFrame({"x": rng.normal(2, 3, 4000)}), 200, level=0.01)[0].shift
    assert shift is not None
    alarms = [
        stats.ks_2samp(rng.normal(2, 3, 4000), rng.normal(2 + shift, 3, 200), method="asymp").pvalue <= 0.01
        for _ in range(1500)
    ]
    assert np.mean(alarms) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("draw", "step", "shift"),
    [
        (lambda rng, n: rng.integers(0, 20, n), 1, 1),
        (lambda rng, n: rng.poisson(100, n), 1, 2),
        (lambda rng, n: 5 * rng.integers(0, 60, n), 5, 15),
        (lambda rng, n: np.round(rng.normal(5, 1, n), 1), 0.1, 0.2),
    ],
    ids=["uniform", "Poisson", "fives", "tenths"],
)
def test_numbers_in_steps_move_by_steps(draw: Callable[[np.random.Generator, int], Any], step: Any, shift: Any) -> None:
    """So many are found in four windows of five, by SciPy, and one step less is not."""
    rng = np.random.default_rng(6)
    assert smallest_drifts(pl.DataFrame({"x": draw(rng, 4000)}), 1000)[0].shift == pytest.approx(shift, rel=1e-12)

    def found(amount: float) -> float:
        samples = [(draw(rng, 4000), np.round(draw(rng, 1000) + amount, 9)) for _ in range(200)]
        return float(np.mean([stats.ks_2samp(x, y, method="asymp").pvalue <= 0.05 for x, y in samples]))

    assert found(shift) > 0.75
    assert found(shift - step) < 0.75


def test_a_share_is_fishers_power() -> None:
    """A flag in 300 of 6,000 rows: exact power of Fisher's test against a fixed reference is a bound from above."""
    reference = pl.DataFrame({"x": np.random.default_rng(0).permutation(6000) < 300})
    moved = smallest_drifts(reference, 200)[0].moved
    assert moved is not None

    def power(share: float) -> float:
        alarms = [stats.fisher_exact([[300, 5700], [k, 200 - k]]).pvalue <= 0.05 for k in range(60)]
        return float((stats.binom.pmf(np.arange(60), 200, share) * alarms).sum())

    assert 0.8 <= power(0.05 + 0.95 * moved) <= 0.83


def test_more_rows_find_less_drift_and_more_columns_more() -> None:
    """For each kind of column."""
    rng = np.random.default_rng(3)
    columns = {name: draw(rng, 4000) for name, (draw, _, _) in COLUMNS.items()}
    kinds = {name: kind for name, (_, kind, _) in COLUMNS.items()}

    def found(frame: pl.DataFrame, rows: int) -> dict[str, float]:
        return {smallest.name: getattr(smallest, kinds[smallest.name]) for smallest in smallest_drifts(frame, rows)}

    together = {rows: found(pl.DataFrame(columns), rows) for rows in (100, 1000)}
    alone = found(pl.DataFrame({"normal": columns["normal"]}), 1000)
    assert all(together[1000][name] < together[100][name] for name in columns)
    assert alone["normal"] < together[1000]["normal"]


def test_rows_that_depend_on_one_another_find_less() -> None:
    """An autoregression of 0.8 counts as a ninth of its rows, so it takes about three times the drift."""
    rng = np.random.default_rng(4)
    noise, values = rng.normal(size=8000), np.zeros(8000)
    for row in range(1, 8000):
        values[row] = 0.8 * values[row - 1] + 0.6 * noise[row]
    dependent, shuffled = (
        smallest_drifts(pl.DataFrame({"x": values}), 800),
        smallest_drifts(pl.DataFrame({"x": rng.permutation(values)}), 800),
    )
    assert dependent[0].counted == pytest.approx(800 / 7, rel=0.3)
    assert shuffled[0].counted == 800
    assert dependent[0].shift is not None
    assert shuffled[0].shift is not None
    assert 2 < dependent[0].shift / shuffled[0].shift < 3.5
    assert dependent[0].note.startswith("Rows depend on their neighbours")


@pytest.mark.parametrize(
    ("values", "has"),
    [
        ([7.0] * 300, {"moved", "missing"}),
        (["one"] * 300, {"moved", "missing"}),
        ([None] * 300, set[str]()),
        ([[1]] * 300, {"missing"}),
        ([*range(299), float("inf")], {"shift", "shift_sd", "missing"}),
        ([float("nan")] * 299 + [1.0], set[str]()),
        ([-1e308, 1e308] * 150, {"moved", "missing"}),
        ([True, None, None] * 100, {"moved", "missing"}),
    ],
)
def test_odd_columns_have_an_answer(values: list[Any], has: set[str]) -> None:
    """And what they have is above 0 and at most 1, or in the column's unit."""
    found = smallest_drifts(pl.DataFrame({"x": pl.Series(values, strict=False), "y": range(300)}), 200)[0]
    told = {name: getattr(found, name) for name in ("shift", "shift_sd", "moved", "missing")}
    assert {name for name, value in told.items() if value is not None} == has
    assert all(0 < value <= 1 for name, value in told.items() if value is not None and name in ("moved", "missing"))


def test_too_few_rows_find_nothing() -> None:
    """As a comparison would say."""
    found = smallest_drifts(pl.DataFrame({"x": range(300)}), 20)[0]
    assert (found.shift, found.missing) == (None, None)
    assert found.note == "A comparison needs 30 rows on either side."
    assert smallest_drifts(pl.DataFrame({"x": []}), 100)[0].note == "The reference is empty."


def test_what_cannot_be_is_refused() -> None:
    """With the value received."""
    table = pl.DataFrame({"x": range(300)})
    with pytest.raises(DataError, match="no columns"):
        smallest_drifts(pl.DataFrame(), 100)
    for choices, message in (({"level": 0.0}, "level is 0.0"), ({"power": 1.0}, "power is 1.0")):
        with pytest.raises(SettingError, match=message):
            smallest_drifts(table, 100, **choices)
    with pytest.raises(SettingError, match="rows is 0"):
        smallest_drifts(table, 0)
