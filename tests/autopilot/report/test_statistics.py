"""The figures of a report are those of scikit-learn, SciPy and NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from autopilot.metrics import Metric
from autopilot.report import statistics
from autopilot.report.statistics import Confusion, Estimate
from autopilot.search.folds import Scheme
from autopilot.search.nested import Nested
from tests.autopilot.report.runs import evidence, study, table

Values = NDArray[np.float64]
FOLDS = Scheme("k-fold", 3)


def drawn(rows: int = 3000, seed: int = 0, *, digits: int = 2) -> tuple[NDArray[np.bool_], Values, Values]:
    """Which rows are of a class, probabilities of it with ties, and weights."""
    rng = np.random.default_rng(seed)
    share = rng.random(rows).round(digits)
    return rng.random(rows) < share**1.5, share, rng.uniform(0.2, 3.0, rows)


def of_name(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    """The estimate of a metric."""
    return next(one for one in estimates if one.name == name)


def points(x: Values, y: Values) -> set[tuple[float, float]]:
    """Of a curve, to nine digits."""
    return set(zip(x.round(9).tolist(), y.round(9).tolist(), strict=True))


# --------------------------------------------------------------------------------------------------------- curves


@pytest.mark.parametrize("is_weighted", [False, True])
def test_curves_are_those_of_scikit_learn(is_weighted: bool) -> None:
    """Their areas exactly, and each point that is drawn lies on the whole curve."""
    is_class, share, weights = drawn()
    given_weights = weights if is_weighted else None
    options = {"sample_weight": given_weights}
    roc = statistics.roc(is_class, share, given_weights)
    assert roc.area == pytest.approx(sk.roc_auc_score(is_class, share, **options), abs=1e-12)
    false, found, _ = sk.roc_curve(is_class, share, drop_intermediate=False, **options)
    assert points(roc.x, roc.y) <= points(false, found)
    curve = statistics.precision_recall(is_class, share, given_weights)
    assert curve.area == pytest.approx(sk.average_precision_score(is_class, share, **options), abs=1e-12)
    precision, recall, _ = sk.precision_recall_curve(is_class, share, **options)
    assert points(curve.x, curve.y) <= points(recall, precision)


def test_gain_of_four_rows() -> None:
    """Two of four rows are of the class; the surest is, the next is not."""
    curve = statistics.gain(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]))
    assert curve.x.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert curve.y.tolist() == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert curve.area == pytest.approx(2.0)


@given(st.integers(1, 400), st.integers(0, 10_000))
def test_curves_stay_within_the_unit_square_and_rise(rows: int, seed: int) -> None:
    """Whatever the rows are, also where all are of one class; and no more points than a chart can show."""
    is_class, share, weights = drawn(rows, seed, digits=4)
    for curve in (statistics.roc, statistics.precision_recall, statistics.gain):
        found = curve(is_class, share, weights)
        assert (np.diff(found.x) >= 0).all()
        assert found.x.min() >= 0
        assert found.x.max() <= 1 + 1e-12
        assert found.y.min() >= 0
        assert found.y.max() <= 1 + 1e-12
        assert len(found.x) <= 200


# ---------------------------------------------------------------------------------------------------- calibration


def test_calibration_is_that_of_scikit_learn() -> None:
    """In ten bins of as many rows each."""
    is_class, share, _ = drawn(digits=12)
    bins = statistics.calibration(is_class, share)
    true, predicted = calibration_curve(is_class, share, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([one.observed for one in bins], true, atol=1e-12)
    np.testing.assert_allclose([one.predicted for one in bins], predicted, atol=1e-12)
    for one in bins:
        interval = binomtest(round(one.observed * one.rows), one.rows).proportion_ci(0.95, method="wilson")
        assert (one.lower, one.upper) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert statistics.calibration_error(bins) == pytest.approx(np.abs(true - predicted).mean())


def test_weights_count_as_rows_in_calibration() -> None:
    """Rows of weight 2 give the shares, and about the interval, of rows that are there twice."""
    is_class, share, _ = drawn(500, digits=12)
    twice = statistics.calibration(np.repeat(is_class, 2), np.repeat(share, 2))
    weighted = statistics.calibration(is_class, share, np.full(500, 2.0))
    np.testing.assert_allclose([one.observed for one in weighted], [one.observed for one in twice], atol=1e-12)
    assert {one.rows for one in weighted} == {50}


# -------------------------------------------------------------------------------------------------------- classes


def test_classes_are_told_as_scikit_learn_tells_them() -> None:
    """The confusion matrix with weights, and of each class recall, precision and the area against the rest."""
    rng = np.random.default_rng(0)
    y, shares, weights = rng.integers(0, 4, 500), rng.dirichlet(np.ones(4), 500), rng.uniform(0.5, 2.0, 500)
    label, names = shares.argmax(axis=1), ["p", "q", "r", "s"]
    matrix = statistics.confusion(y.astype(float), label, names, weights)
    np.testing.assert_allclose(matrix.counts, sk.confusion_matrix(y, label, sample_weight=weights))
    figures = statistics.class_figures(y.astype(float), shares, label, names, weights)
    assert [one.rows for one in figures] == sorted(np.bincount(y).tolist(), reverse=True)
    precision, recall, _, _ = sk.precision_recall_fscore_support(y, label, sample_weight=weights)
    for one in figures:
        at = names.index(one.name)
        area = sk.roc_auc_score(y == at, shares[:, at], sample_weight=weights)
        assert (one.precision, one.recall, one.area) == pytest.approx((precision[at], recall[at], area))


@given(st.integers(2, 12), st.integers(1, 8), st.integers(0, 100))
def test_folding_loses_no_rows(classes: int, most: int, seed: int) -> None:
    """And none of the classes with the most rows."""
    counts = np.random.default_rng(seed).integers(0, 50, (classes, classes)).astype(float)
    whole = Confusion(tuple(f"c{number}" for number in range(classes)), counts)
    found = statistics.fold(whole, most)
    assert found.counts.sum() == counts.sum()
    assert len(found.names) == min(classes, most + 1)
    if found.folded:
        rows = dict(zip(whole.names, counts.sum(axis=1), strict=True))
        assert min(rows[name] for name in found.names[:-1]) >= max(
            rows[name] for name in whole.names if name not in found.names
        )


def test_mistakes_are_the_largest_cells_beside_the_diagonal() -> None:
    """With their share of the true class."""
    y, label = np.array([0.0, 0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 1, 0, 2])
    found = statistics.mistakes(y, label, ["a", "b", "c"])
    assert [(one.true, one.label, one.rows, one.share) for one in found] == [("a", "b", 3, 0.75), ("b", "a", 1, 0.5)]


# ------------------------------------------------------------------------------------------------------ residuals


@given(st.integers(1, 60), st.integers(0, 1000))
def test_quantiles_are_those_of_numpy(rows: int, seed: int) -> None:
    """With weights: the inverse of the distribution function."""
    rng = np.random.default_rng(seed)
    values, weights, at = rng.normal(size=rows), rng.uniform(0.1, 2.0, rows), [0.05, 0.5, 0.95]
    expected = np.quantile(values, at, method="inverted_cdf", weights=weights)
    np.testing.assert_array_equal(statistics.quantiles(values, at, weights), expected)


def test_bands_and_coverage_follow_the_prediction() -> None:
    """Noise that grows with the prediction widens the band; an interval of one width covers less and less."""
    rng = np.random.default_rng(0)
    predicted = rng.uniform(1.0, 10.0, 4000)
    y = predicted + rng.normal(size=4000) * predicted
    bands = statistics.bands(y, predicted)
    assert [one.rows for one in bands] == [400] * 10
    widths = [one.high - one.low for one in bands]
    assert widths[-1] > 4 * widths[0]
    ends = np.column_stack([predicted - 5.0, predicted + 5.0])
    whole, each = statistics.coverage(y, ends, predicted)
    assert whole.share == pytest.approx(np.mean(np.abs(y - predicted) <= 5.0))
    assert whole.width == pytest.approx(10.0)
    assert sum(one.rows for one in each) == 4000
    assert each[0].share > each[-1].upper


# -------------------------------------------------------------------------------------------------------- metrics


def test_intervals_are_as_wide_as_those_of_scipys_bootstrap() -> None:
    """Of a mean absolute error, and of its difference to the guess's on the same rows."""
    found = evidence(study(table("regression", 3000), FOLDS, metric="mae"))
    held, mae = found.held, of_name(statistics.estimates(found), "mae")
    assert held is not None
    ours, guess = np.abs(held.y - held.predicted[:, 0]), np.abs(held.y - held.guess[:, 0])
    options = {"n_resamples": 2000, "rng": np.random.default_rng(0)}
    alone = scipy_bootstrap((ours,), np.mean, **options).standard_error
    paired = scipy_bootstrap((guess - ours,), np.mean, **options).standard_error
    assert mae.lower is not None
    assert mae.gain_lower is not None
    assert mae.value - mae.lower == pytest.approx(1.96 * alone, rel=0.15)
    assert mae.gain - mae.gain_lower == pytest.approx(1.96 * paired, rel=0.15)
    assert mae.is_better


def test_all_metrics_of_the_card_have_an_interval_around_them() -> None:
    """The run's own comes first; scores end at 1, losses at 0."""
    found = evidence(study(table("multiclass", 900), FOLDS, weight="weight"))
    estimates = statistics.estimates(found)
    scores = found.model.card.scores
    assert estimates[0].name == scores.metric == "log_loss"
    assert {one.name: one.value for one in estimates} == scores.test
    for one in estimates:
        assert one.lower is not None
        assert one.upper is not None
        assert one.lower < one.value < one.upper
        assert one.upper <= 1 if one.greater_is_better else one.lower >= 0


def test_rows_that_belong_together_are_drawn_together() -> None:
    """Each row four times tells no more than once: by groups the interval is twice as wide as by rows."""
    found = evidence(study(table("regression", 2000), FOLDS))
    held = found.held
    assert held is not None
    at = np.repeat(np.arange(len(held.y)), 4)
    four = replace(
        held,
        y=held.y[at],
        predicted=held.predicted[at],
        guess_at=held.guess_at[at],
        part=held.part[at],
        unit=held.unit[at],
        of_rows=len(at),
    )

    def width(unit: NDArray[np.int64]) -> float:
        own = statistics.estimates(replace(found, held=replace(four, unit=unit)))[0]
        assert own.upper is not None
        return own.upper - own.value

    assert width(four.unit) / width(np.arange(len(at))) == pytest.approx(2.0, rel=0.15)


def test_a_sample_stands_for_all_rows() -> None:
    """Of a quarter of the rows, the interval is half as wide as these alone would give."""
    found = evidence(study(table("binary", 1200), FOLDS))
    held = found.held
    assert held is not None
    alone = statistics.estimates(found)[1]
    sample = statistics.estimates(replace(found, held=replace(held, of_rows=4 * len(held.y))))[1]
    assert alone.lower is not None
    assert sample.lower is not None
    assert sample.value - sample.lower == pytest.approx((alone.value - alone.lower) / 2)


def test_a_nested_estimate_keeps_its_own_error() -> None:
    """Of the run's metric; the others are drawn."""
    of = study(table("binary", 200), Scheme("k-fold", 3, repeats=2, nested=True))
    estimates = statistics.estimates(evidence(of, nested=Nested(0.75, 0.02)))
    own = estimates[0]
    assert (own.value, own.lower, own.upper) == pytest.approx((0.75, 0.7108, 0.7892), abs=1e-4)
    assert all(one.lower is not None for one in estimates)


def test_a_metric_of_ones_own_has_no_interval() -> None:
    """Its function is not kept."""

    def profit(y: Values, label: Values) -> float:
        return float(((y == "yes") & (label == "yes")).sum() * 5.0 - (label == "yes").sum())

    of = study(table("binary", 300), FOLDS)
    own = Metric("profit", profit, "label", greater_is_better=True, classes=of.table.signature.classes)
    estimates = statistics.estimates(evidence(replace(of, metric=own)))
    assert (estimates[0].name, estimates[0].lower) == ("profit", None)
    assert of_name(estimates, "roc_auc").lower is not None


# --------------------------------------------------------------------------------------------------------- search


def test_the_course_tells_the_best_so_far() -> None:
    """Of complete trials alone."""
    found = evidence(study(table("binary"), FOLDS))
    guess, model = found.trials
    raced = replace(model, trial=replace(model.trial, number=7, status="raced", score=0.99))
    late = replace(model, trial=replace(model.trial, number=8, score=0.1))
    steps = statistics.course(replace(found, trials=(guess, raced, model, late)))
    assert [step.best for step in steps] == [0.5, 0.5, model.trial.score, model.trial.score]
    assert [step.is_complete for step in steps] == [True, False, True, True]
