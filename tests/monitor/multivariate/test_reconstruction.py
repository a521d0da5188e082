"""PCA reconstruction: prepared and rebuilt as scikit-learn does it, by a threshold that keeps its promise."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from monitor.multivariate import reconstruction
from monitor.multivariate.reconstruction import nannyml_range, stretches
from storage import DataError, SettingError
from tests.monitor.multivariate.tables import draw, hourly

COLUMNS = ("x", "y", "tail", "zeros", "kind")


def narrow(seed: int, rows: int, *, together: float = 0.9) -> pl.DataFrame:
    return draw(seed, rows, together=together).select(COLUMNS)


def encoded(reference: pl.DataFrame, current: pl.DataFrame) -> np.ndarray:
    """NannyML's preparation by scikit-learn, and its CountEncoder by hand: a level's share of the reference."""
    both = pl.concat([reference, current])
    parts: list[np.ndarray] = []
    for name in reference.columns:
        if reference.schema[name] == pl.String:
            share = reference[name].value_counts(normalize=True, name="share")
            parts.append(
                both.join(share, on=name, how="left", maintain_order="left")["share"].fill_null(0.0).to_numpy()
            )
        else:
            imputer = SimpleImputer().fit(reference[name].to_numpy()[:, None])
            parts.append(imputer.transform(both[name].to_numpy()[:, None])[:, 0])
    X = np.column_stack(parts)
    return StandardScaler().fit(X[: reference.height]).transform(X)


def test_errors_are_those_of_scikit_learn() -> None:
    """NannyML's figures: the mean error, its standard error, and the range of ten stretches of the reference."""
    reference, current = narrow(0, 1003), narrow(1, 300, together=0.3)
    current = current.with_columns(kind=pl.when(pl.int_range(pl.len()) < 20).then(pl.lit("new")).otherwise("kind"))
    X = encoded(reference, current)
    pca = PCA(n_components=0.65, random_state=16).fit(X[:1003])
    errors = np.linalg.norm(X - pca.inverse_transform(pca.transform(X)), axis=1)
    means = [errors[:1003][start : start + 100].mean() for start in range(0, 1003, 100)]
    found = reconstruction(reference, current, method="nannyml")
    assert found.directions == pca.n_components_
    assert found.error == pytest.approx(errors[1003:].mean(), rel=1e-9)
    assert found.reference_error == pytest.approx(errors[:1003].mean(), rel=1e-9)
    assert found.sampling_error == pytest.approx(errors[1003:].std(ddof=1) / np.sqrt(300), rel=1e-9)
    assert found.upper == pytest.approx(np.mean(means) + 3 * np.std(means), rel=1e-9)
    assert found.lower == pytest.approx(np.mean(means) - 3 * np.std(means), rel=1e-9)
    assert (found.p_value, found.effect, found.threshold) == (None, None, None)


def test_errors_are_those_of_nannyml() -> None:
    """Recorded from NannyML 0.13.1: gaps in numbers and categories, and a level that the reference lacks."""
    golden = json.loads((Path(__file__).parents[1] / "goldens" / "reconstruction.json").read_text())
    found = reconstruction(pl.DataFrame(golden["reference"]), pl.DataFrame(golden["current"]), method="nannyml")
    for name in ("error", "sampling_error", "lower", "upper"):
        assert getattr(found, name) == pytest.approx(golden[name], rel=1e-9), name
    assert found.directions == golden["directions"]
    assert found.drifted is not (golden["lower"] < golden["error"] < golden["upper"])


def test_columns_that_go_together_no_longer_are_found() -> None:
    """They are what told it, and the mean error is out of the range."""
    found = reconstruction(narrow(0, 1500), narrow(1, 300, together=0.2))
    assert found.drifted
    assert found.p_value is not None
    assert found.p_value < 1e-4
    assert found.error is not None
    assert found.upper is not None
    assert found.error > found.upper
    assert {told.column for told in found.told[:2]} == {"x", "y"}


def test_without_drift_there_is_none() -> None:
    """The mean error is where it is expected."""
    found = reconstruction(narrow(0, 1500), narrow(1, 300))
    assert (found.drifted, found.told) == (False, ())
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < (found.error or 0.0) < found.upper


def test_texts_are_lengths_and_times_are_left_out() -> None:
    """As everywhere."""
    found = reconstruction(draw(0, 500), draw(1, 200), kinds={"note": "text", "zeros": "time", "many": "other"})
    assert [left.column for left in found.left_out] == ["zeros", "many"]
    assert found.error is not None


def test_what_has_no_directions_is_told() -> None:
    """Constants alone, and fewer rows than a comparison needs."""
    same = pl.DataFrame({"a": [1.0] * 50, "b": ["k"] * 50})
    found = reconstruction(same, same)
    assert (found.error, found.directions, found.drifted) == (None, 0, False)
    assert found.note == "No column of the reference varies, so it has no directions."
    late = same.with_columns(a=pl.int_range(pl.len()).cast(pl.Float64))  # varies now, and never did
    assert reconstruction(same, late).note == found.note
    few = reconstruction(narrow(0, 100), narrow(1, 5))
    assert few.note == "A comparison needs 30 rows on either side; there are 100 and 5."


def test_more_columns_than_rows() -> None:
    """There are still directions."""
    rng = np.random.default_rng(0)
    wide = [pl.DataFrame(rng.normal(size=(40, 120)), schema=[f"c{at}" for at in range(120)]) for _ in range(2)]
    found = reconstruction(*wide)
    assert 0 < found.directions < 20
    assert not found.drifted


def test_gaps_and_infinities_are_the_mean() -> None:
    """A column of nothing but gaps on one side is one of constants there; no figure is lost."""
    reference = narrow(0, 400)
    gone = narrow(1, 200).with_columns(x=pl.lit(None, pl.Float64), y=pl.lit(float("inf")), kind=pl.lit(None, pl.String))
    found = reconstruction(reference, gone)
    assert found.error is not None
    assert np.isfinite(found.error)
    assert found.drifted
    assert reconstruction(gone, reference).error is not None


def test_mistakes_are_told() -> None:
    """An absent column, an unknown method."""
    with pytest.raises(DataError, match="lacks 'x'"):
        reconstruction(narrow(0, 50), narrow(1, 50).drop("x"))
    with pytest.raises(SettingError, match="'evidently', which is unknown"):
        reconstruction(narrow(0, 50), narrow(1, 50), method="evidently")  # type: ignore[arg-type]


def test_stretches_and_range_are_nannymls() -> None:
    """What is left over is a stretch of its own; the lower end is none where it is not above 0."""
    assert stretches(np.arange(20.0))[:2] == [0.5, 2.5]
    assert len(stretches(np.arange(25.0))) == 13  # of 2 rows each, as its default chunker has it
    assert nannyml_range([1.0, 3.0]) == (None, 5.0)
    assert nannyml_range([10.0, 10.0]) == (10.0, 10.0)


def alarms(count: int, reference_rows: int, rows: int) -> int:
    """Comparisons without drift that alarm."""
    return sum(
        reconstruction(narrow(2 * seed, reference_rows), narrow(2 * seed + 1, rows)).drifted for seed in range(count)
    )


def test_false_alarms_are_rare() -> None:
    """Of 60 comparisons without drift, no more than the binomial's 99 % quantile: 7."""
    assert alarms(60, 400, 100) <= stats.binom.ppf(0.99, 60, 0.05) == 7


@pytest.mark.slow
@pytest.mark.parametrize(("reference_rows", "rows"), [(300, 30), (1000, 200), (500, 1000)])
def test_false_alarms_are_as_rare_as_promised(reference_rows: int, rows: int) -> None:
    """Of 400 comparisons without drift."""
    assert alarms(400, reference_rows, rows) <= stats.binom.ppf(0.99, 400, 0.05)


def test_rows_that_depend_on_their_neighbours_count_as_what_they_are_worth() -> None:
    """And the finding says so."""
    found = reconstruction(hourly(0, 3000), hourly(1, 500))
    assert found.note == "Rows depend on their neighbours, and count as what they are worth."
    tied = reconstruction(hourly(0, 600, memory=0.999), hourly(1, 200, memory=0.999))
    assert (tied.p_value, tied.drifted) == (None, False)
    assert re.fullmatch(
        r"Rows depend on their neighbours: 200 current rows count as \d to the test of all columns together; a "
        r"comparison needs 10\.",
        tied.note,
    )


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_false_alarms_are_rare_in_traffic_that_is_alike_by_the_hour(memory: float) -> None:
    """Of 150 comparisons of windows of an autoregression: no more than the binomial's 99 % quantile."""
    found = [
        reconstruction(hourly(2 * seed, 3000, memory=memory), hourly(2 * seed + 1, 500, memory=memory)).drifted
        for seed in range(150)
    ]
    assert sum(found) <= stats.binom.ppf(0.99, 150, 0.05) == 14
