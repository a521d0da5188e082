"""A window judged as SageMaker judges it."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from scipy import stats

from monitor.checks import suggest
from monitor.checks.sagemaker import ConstraintsFile, constraints_of, judge, statistics_of
from storage.baselines.sagemaker import Overrides

RNG = np.random.default_rng(3)
FRAME = pl.DataFrame(
    {"age": RNG.integers(18, 90, 2000), "share": RNG.normal(size=2000), "town": RNG.choice(["Ulm", "Bonn"], 2000)}
)
BASELINE = suggest(FRAME)
STATISTICS, CONSTRAINTS = statistics_of(FRAME, BASELINE), constraints_of(BASELINE)


def found(window: pl.DataFrame, constraints: ConstraintsFile = CONSTRAINTS) -> dict[tuple[str, str], str]:
    """Descriptions by feature and check."""
    violations = judge(window, STATISTICS, constraints).violations
    return {(one.feature_name, one.constraint_check_type): one.description for one in violations}


def configured(**config: Any) -> ConstraintsFile:
    """CONSTRAINTS with another configuration; keys of the distributions' one among them."""
    whole = CONSTRAINTS.monitoring_config
    inner = {key: config.pop(key) for key in list(config) if hasattr(whole.distribution_constraints, key)}
    distribution = replace(whole.distribution_constraints, **inner)
    return replace(CONSTRAINTS, monitoring_config=replace(whole, distribution_constraints=distribution, **config))


def test_the_baseline_itself_breaks_nothing() -> None:
    """Each share is whole, and each distance 0."""
    assert found(FRAME) == {}


def test_a_type_is_told_in_the_words_that_were_seen() -> None:
    """2 of 2,000 ages are fractions: the text that SageMaker wrote of 99.7%."""
    window = FRAME.with_columns(age=pl.Series([20.5, 30.5, *FRAME["age"].to_list()[2:]]))
    assert found(window) == {
        ("age", "data_type_check"): (
            "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
            "Observed: Only 99.9% of data is Integral."
        )
    }
    assert found(window, configured(datatype_check_threshold=0.99)) == {}


def test_one_gap_breaks_completeness() -> None:
    """Its thresholds know no chance."""
    window = FRAME.with_columns(town=pl.Series([None, *FRAME["town"].to_list()[1:]]))
    [(key, text)] = found(window).items()
    assert key == ("town", "completeness_check")
    assert text.endswith("Observed: Only 99.95% of data is complete.")


def test_a_new_level_breaks_the_domain() -> None:
    """Unless the threshold allows it."""
    window = FRAME.with_columns(town=pl.Series(["Rom", *FRAME["town"].to_list()[1:]]))
    assert list(found(window)) == [("town", "categorical_values_check")]
    assert found(window, configured(domain_content_threshold=0.9)) == {}


@pytest.mark.parametrize(("word", "window"), [("missing", FRAME.drop("age")), ("extra", FRAME.with_columns(new=1))])
def test_columns_are_counted(word: str, window: pl.DataFrame) -> None:
    """Fewer are missing, more are extra; by their number, as SageMaker has it."""
    text = found(window)[f"{word.capitalize()} columns", f"{word}_column_check"]
    assert text == (
        f"There are {word} columns in current dataset. Number of columns in current dataset: {window.width}, "
        "Number of columns in baseline constraints: 3"
    )


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("method", ["Simple", "Robust"])
def test_drift_is_the_distance_that_deequ_has(shift: float, method: str) -> None:
    """SciPy's Kolmogorov-Smirnov statistic, less 1.8 sqrt((n + m) / nm) where it is robust, above 0.1."""
    window = FRAME.head(700).with_columns(pl.col("share") + shift)
    distance = stats.ks_2samp(FRAME["share"], window["share"]).statistic
    if method == "Robust":
        distance = max(0.0, distance - 1.8 * ((2000 + 700) / (2000 * 700)) ** 0.5)
    text = found(window, configured(comparison_method=method)).get(("share", "baseline_drift_check"))
    assert (text is not None) == (distance > 0.1)
    if text is not None:
        assert float(text.split()[3]) == pytest.approx(distance)
        assert text.endswith(" exceeds threshold: 0.1")


def test_levels_have_a_threshold_of_their_own() -> None:
    """And fall back to the one of numbers where there is none."""
    window = FRAME.with_columns(town=pl.Series(["Ulm"] * 1400 + ["Bonn"] * 600))
    assert list(found(window)) == [("town", "baseline_drift_check")]
    assert found(window, configured(categorical_comparison_threshold=0.5)) == {}
    assert found(window, configured(categorical_comparison_threshold=None, comparison_threshold=0.5)) == {}


def test_chi_squared_alarms_at_small_p_values() -> None:
    """The baseline's shares are taken for the truth."""
    by_chance = configured(categorical_drift_method="ChiSquared")
    assert found(FRAME.sample(300, seed=1), by_chance) == {}
    window = FRAME.with_columns(town=pl.Series(["Ulm"] * 1200 + ["Bonn"] * 800))
    text = found(window, by_chance)["town", "baseline_drift_check"]
    assert "p-value" in text


def test_what_is_switched_off_is_left_aside() -> None:
    """The whole file, comparisons, or one column."""
    window = FRAME.with_columns(pl.col("share") + 2, age=pl.lit("x"))
    assert len(found(window)) == 2
    assert found(window, configured(evaluate_constraints="Disabled")) == {}
    assert list(found(window, configured(perform_comparison="Disabled"))) == [("age", "data_type_check")]
    off = Overrides(evaluate_constraints="Disabled")
    features = tuple(replace(one, overrides=off) if one.name == "age" else one for one in CONSTRAINTS.features)
    assert list(found(window, replace(CONSTRAINTS, features=features))) == [("share", "baseline_drift_check")]


@pytest.mark.parametrize("values", [[None] * 40, [[1]] * 40, [float("inf")] * 40, [b"x"] * 40, ["x"] * 40, [True] * 40])
def test_odd_columns_get_a_verdict(values: list[Any]) -> None:
    """Not an error, in place of any of the three; none of them is an age or a town."""
    for name in FRAME.columns:
        broken = found(FRAME.head(40).with_columns(pl.Series(name, values)))
        assert broken or name == "share"


def test_an_empty_window_breaks_nothing() -> None:
    """There is no share of no rows."""
    assert found(FRAME.clear()) == {}
