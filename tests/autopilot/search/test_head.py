"""The head keeps what helps unseen rows by more than noise, and says what it did."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from autopilot.graph.calibration import NO_HEAD, Balance, Beta, Head, Succession, Temperature, Threshold
from autopilot.metrics import METRICS, Metric
from autopilot.search.head import Sample, fit_head
from autopilot.search.matrices import Unit

Values = NDArray[np.float64]
NAMES = ("no", "yes", "maybe", "never")


def predictions(
    rows: int, *, boldness: float = 1.0, bias: tuple[float, ...] = (0.0, 0.0), seed: int = 0
) -> tuple[Values, Values]:
    """Probabilities and the classes that came: with boldness 1 they are true, above it they are too sure."""
    rng = np.random.default_rng(seed)
    scores = 1.5 * rng.normal(size=(rows, len(bias))) + np.array(bias)
    shares, told = (np.exp(k * scores) / np.exp(k * scores).sum(axis=1, keepdims=True) for k in (1.0, boldness))
    y = (shares.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return told, np.minimum(y, len(bias) - 1).astype(np.float64)


def folds(rows: int, count: int = 5) -> list[slice]:
    """So many slices, one after the other."""
    ends = np.linspace(0, rows, count + 1).astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def fit(shares: Values, y: Values, metric: str | Metric = "log_loss", **options: Any) -> tuple[Head, tuple[str, ...]]:
    """The head of predictions of classes in five folds."""
    classes = shares.shape[1]
    slices = options.pop("slices", folds(len(y)))
    chosen = METRICS[metric] if isinstance(metric, str) else metric
    task = "binary" if classes == 2 else "multiclass"
    return fit_head(shares, y, options.pop("weights", None), slices, chosen, task, NAMES[:classes], Unit(), **options)


# ---------------------------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize("bias", [(0.0, 0.0), (0.0, 1.0, -1.0)], ids=["two classes", "three classes"])
def test_probabilities_that_are_too_sure_are_calibrated(bias: tuple[float, ...]) -> None:
    """New rows have a smaller log loss, and the words tell how much was gained."""
    (shares, y), (new, truth) = (
        predictions(1000, boldness=2, bias=bias),
        predictions(4000, boldness=2, bias=bias, seed=1),
    )
    head, words = fit(shares, y)
    assert isinstance(head.calibration, Temperature)
    assert log_loss(truth, head.shares(new)) < log_loss(truth, new) - 0.05
    assert words[0].startswith("Probabilities are calibrated by temperature ")
    assert f"log loss of unseen rows {log_loss(y, shares):.4f} before, " in words[0]


def test_probabilities_that_are_too_sure_on_one_side_get_a_curve_of_three_parameters() -> None:
    """A temperature cannot mend them; the order of rows stays."""
    shares, y = predictions(4000)
    bent = np.column_stack([1 - shares[:, 1] ** 3, shares[:, 1] ** 3])
    head, _ = fit(bent, y, "roc_auc")
    assert isinstance(head.calibration, Beta)
    assert log_loss(y, head.shares(bent)) < log_loss(y, bent) - 0.1
    assert roc_auc_score(y, head.shares(bent)[:, 1]) == pytest.approx(roc_auc_score(y, bent[:, 1]), abs=1e-4)


def test_true_probabilities_stay_as_they_are() -> None:
    """Over 40 draws chance alone passes one standard error in a sixth; never does it change much."""
    left = 0
    for seed in range(40):
        shares, y = predictions(600, seed=seed)
        head, words = fit(shares, y)
        left += head.calibration is None
        if head.calibration is None:
            assert words[0] == "Probabilities stay as they are: calibrating them gained no more than noise."
        assert np.abs(head.shares(shares) - shares).max() < 0.1
    assert left >= 28


def test_few_rows_fit_no_calibration_but_keep_probabilities_from_certainty() -> None:
    """By as much as so many rows leave open; the words tell how many a calibration takes."""
    head, words = fit(*predictions(498, boldness=3))
    assert head.calibration == Succession(1 / 500)
    assert head.shares(np.array([[0.0, 1.0]])).tolist() == [[0.001, 0.999]]
    assert words[0] == (
        "Probabilities are held back from 0 and 1 by Laplace's rule of succession (doubt 0.002): "
        "498 rows were predicted unseen, to fit a calibration takes 500."
    )


def test_a_calibration_must_not_cost_the_metric() -> None:
    """The metric here likes sure answers, right or wrong: too sure ones stay."""
    boldness = Metric("boldness", lambda y, p: float(p.max(axis=1).mean()), "probabilities", greater_is_better=True)
    head, _ = fit(*predictions(1000, boldness=2), boldness)
    assert head.calibration is None


def test_a_row_that_occurs_in_several_folds_is_not_fitted_and_scored() -> None:
    """Three repeats of the same rows, in other folds each time."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(100) for _ in range(3)])
    sample = Sample.of(np.zeros((300, 2)), np.zeros(300), None, folds(300, 15), rows, rng)
    assert len(sample.parts) == 15
    assert (sample.rows, sample.copies) == (100, 3.0)
    for fitted, scored in sample.parts:
        assert not set(rows[fitted]) & set(rows[scored])
        assert len(fitted) == 240
    assert all(len(set(sample.blocks[rows == row])) == 1 for row in range(100))


def test_repeats_make_no_more_certain() -> None:
    """Two hundred rows, three times: still too few to calibrate, and the same intervals as of once."""
    shares, y = predictions(200, boldness=3)
    again = np.tile(np.arange(200), 3)
    once, (words, *_) = fit(shares, y)[0], fit(shares[again], y[again], rows=again, slices=folds(600, 15))[1]
    assert words == (
        "Probabilities are held back from 0 and 1 by Laplace's rule of succession (doubt 0.005): "
        "200 rows were predicted unseen, to fit a calibration takes 500."
    )
    assert fit(shares[again], y[again], rows=again, slices=folds(600, 15))[0].sets == once.sets


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_a_holdout_is_divided_at_random(metric: str) -> None:
    """One slice, as of many rows."""
    head, _ = fit(*predictions(1000, boldness=2, bias=(1.0, 0.0)), metric, slices=[slice(0, 1000)])
    assert head.calibration is not None


@pytest.mark.parametrize("metric", ["log_loss", "f1"])
def test_weights_count_rows(metric: str) -> None:
    """Half of the rows count next to nothing: what they say is not heard."""
    (shares, y), (wrong, other) = predictions(2000, boldness=2), predictions(2000, seed=1)
    mixed, both = np.concatenate([shares, wrong[:, ::-1]]), np.concatenate([y, other])
    order = np.random.default_rng(0).permutation(4000)
    weights = np.repeat([2.0 - 2e-6, 2e-6], 2000)
    head, _ = fit(mixed[order], both[order], metric, weights=weights[order])
    alone, _ = fit(shares, y, metric)
    assert head.shares(shares) == pytest.approx(alone.shares(shares), abs=0.05)
    assert head.sets is not None
    assert alone.sets is not None
    assert head.sets.cuts == pytest.approx(alone.sets.cuts, abs=0.05)


def test_many_rows_are_sampled() -> None:
    """100,000 rows in folds of different sizes: a calibration and a threshold of a part, sets of all."""
    shares, y = predictions(100_000, boldness=2, bias=(1.5, 0.0))
    head, words = fit(shares, y, "f1", slices=[slice(0, 60_000), slice(60_000, 99_990), slice(99_990, 100_000)])
    assert head.calibration is not None
    assert isinstance(head.threshold, Threshold)
    assert len(words) == 3


# ---------------------------------------------------------------------------------------------------- decision


def test_a_threshold_is_tuned_where_the_metric_gains() -> None:
    """One row in five is a yes: f1 of new rows rises; words name the label."""
    (shares, y), (new, truth) = predictions(2000, bias=(2.5, 0.0)), predictions(20_000, bias=(2.5, 0.0), seed=1)
    head, words = fit(shares, y, "f1")
    assert isinstance(head.threshold, Threshold)
    assert head.threshold.threshold < 0.45
    assert f1_score(truth, head.decide(head.shares(new))) > f1_score(truth, new.argmax(axis=1)) + 0.02
    assert words[1].startswith("'yes' is the label from a probability of 0.")
    assert f"f1 of unseen rows {f1_score(y, shares.argmax(axis=1)):.4f} before" in words[1]


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1_macro"])
def test_several_classes_are_balanced_where_the_metric_gains(metric: str) -> None:
    """Rare ones are told more often."""
    bias = (2.5, 0.0, -1.0)
    (shares, y), (new, truth) = predictions(3000, bias=bias), predictions(20_000, bias=bias, seed=1)
    head, words = fit(shares, y, metric)
    assert isinstance(head.threshold, Balance)
    score = METRICS[metric].score
    assert score(truth, np.eye(3)[head.decide(head.shares(new))]) > score(truth, new) + 0.02
    assert words[1].startswith("Labels are decided with rare classes weighing up to ")


def test_the_likeliest_class_stays_best_for_accuracy() -> None:
    """True probabilities: nothing can be gained."""
    head, words = fit(*predictions(2000), "accuracy")
    assert head.threshold is None
    assert words[1] == "The likeliest class is the label: another decision gained no more accuracy than noise."


@pytest.mark.parametrize(
    ("metric", "rows", "reason"),
    [
        ("recall", 1000, "recall alone is best where nearly all labels are the same"),
        ("f1", 100, "21 unseen rows are of another class than the most frequent one, tuning takes 50"),
    ],
)
def test_some_metrics_and_few_rows_are_not_tuned_for(metric: str, rows: int, reason: str) -> None:
    """And why."""
    head, words = fit(*predictions(rows, bias=(2.5, 0.0)), metric)
    assert head.threshold is None
    assert words[1] == f"The likeliest class is the label: {reason}."


def test_metrics_of_probabilities_ask_for_no_decision() -> None:
    """Nothing is said of it."""
    head, words = fit(*predictions(1000, bias=(2.5, 0.0)), "roc_auc")
    assert head.threshold is None
    assert len(words) == 2


def profit(y: Any, label: Any) -> float:
    """A hit is worth ten calls."""
    return float(10 * np.sum((label == 1) & (y == 1)) - np.sum(label == 1))


def test_a_metric_of_ones_own_is_tuned_for() -> None:
    """A yes pays from a probability of a tenth on."""
    (shares, y), (new, truth) = predictions(3000, bias=(2.5, 0.0)), predictions(20_000, bias=(2.5, 0.0), seed=1)
    head, words = fit(shares, y, Metric("profit", profit, "label", greater_is_better=True))
    assert isinstance(head.threshold, Threshold)
    assert profit(truth, head.decide(new)) > 0.97 * profit(truth, new[:, 1] >= 0.1)
    assert "profit of unseen rows" in words[1]


def test_a_slow_metric_is_not_tuned_for() -> None:
    """Nor is one that fails."""
    shares, y = predictions(1000, bias=(2.5, 0.0))
    own = Metric("profit", profit, "label", greater_is_better=True)
    assert "tuning for profit would take " in fit(shares, y, own, limit_s=0.0)[1][1]

    def picky(y: Any, label: Any) -> float:
        return float(np.mean(y == label)) if len(y) == 1000 and label.mean() < 0.3 else np.nan

    head, words = fit(shares, y, Metric("picky", picky, "label", greater_is_better=True))
    assert head.threshold is None
    assert words[1].startswith("The likeliest class is the label: The metric 'picky' gave nan")


# ---------------------------------------------------------------------------------------------------- being sure


def values(rows: int, *, seed: int = 0) -> tuple[Values, Values]:
    """Predictions as models learn them, and values of mean 50 and deviation 10 that scatter by size."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=rows)
    return predicted[:, None], 50 + 10 * predicted + np.exp(predicted) * rng.normal(size=rows)


def fit_values(rows: int, **options: Any) -> tuple[Head, tuple[str, ...]]:
    """The head of a regression in five folds."""
    predicted, y = values(rows)
    return fit_head(predicted, y, None, folds(rows), METRICS["rmse"], "regression", (), Unit(50.0, 10.0), **options)


@pytest.mark.parametrize(("rows", "ranges"), [(50, 1), (450, 4), (5000, 20)])
def test_a_regression_gets_an_interval_by_ranges(rows: int, ranges: int) -> None:
    """In the target's own unit, one range for each 100 rows, 20 at most."""
    head, (words,) = fit_values(rows)
    assert head.interval is not None
    assert len(head.interval.half_widths) == ranges
    predicted, y = values(4000, seed=1)
    ends = head.interval.apply(50 + 10 * predicted[:, 0])
    assert np.mean((ends[:, 0] <= y) & (y <= ends[:, 1])) == pytest.approx(0.9, abs=0.07 if rows == 50 else 0.03)
    assert words.startswith("An interval for 90% of rows held ")
    assert (f", by {ranges} ranges of the prediction." in words) == (ranges > 1)


def test_another_level_may_be_asked_for() -> None:
    """Of intervals and of sets."""
    wide, narrow = (fit_values(500, level=level)[0].interval for level in (0.95, 0.5))
    assert wide is not None
    assert narrow is not None
    assert all(np.array(wide.half_widths) > 2 * np.array(narrow.half_widths))
    shares, y = predictions(500, bias=(0.0, 1.0, 2.0))
    sets = [fit(shares, y, level=level)[0].sets for level in (0.95, 0.5)]
    assert [head.coverage for head in sets if head] == [0.95, 0.5]
    assert np.all(np.array(sets[0].cuts) < sets[1].cuts)


def test_classes_get_sets() -> None:
    """They stand on the calibrated probabilities and hold the label."""
    shares, y = predictions(1000, boldness=2, bias=(0.0, 1.0, 2.0))
    head, words = fit(shares, y)
    new, truth = predictions(4000, boldness=2, bias=(0.0, 1.0, 2.0), seed=1)
    assert head.sets is not None
    calibrated = head.shares(new)
    found = head.sets.apply(calibrated.astype(np.float32), head.decide(calibrated))
    assert found[np.arange(4000), truth.astype(int)].mean() == pytest.approx(0.9, abs=0.03)
    assert words[-1].startswith("Sets for 90% of rows held the class of ")


def test_too_few_rows_give_neither() -> None:
    """The words tell how many it takes."""
    assert fit_values(49) == (NO_HEAD, ("No interval: 49 rows were predicted unseen, it takes 50.",))
    head, words = fit(*predictions(49))
    assert head == Head(Succession.of(49))
    assert words[-1] == "No sets of classes: 49 rows were predicted unseen, it takes 50."


def test_weights_that_leave_few_rows_give_neither() -> None:
    """100 rows of which 5 count tell as much as 5."""
    weights = np.where(np.arange(100) < 5, 20.0, 1e-9)
    predicted, y = values(100)
    metric, unit = METRICS["rmse"], Unit(50.0, 10.0)
    head, (words,) = fit_head(predicted, y, weights, folds(100), metric, "regression", (), unit)
    assert head == NO_HEAD
    assert words.startswith("No interval: A coverage of 0.9 needs 9 rows")


def test_a_constant_guess_gets_an_interval_and_sets() -> None:
    """It may be all that a run has."""
    y = np.random.default_rng(0).normal(size=200)
    head, _ = fit_head(np.zeros((200, 1)), y, None, folds(200), METRICS["rmse"], "regression", (), Unit())
    assert head.interval is not None
    assert head.interval.edges == ()
    shares, classes = np.tile([0.7, 0.3], (600, 1)), (np.random.default_rng(0).random(600) < 0.3).astype(float)
    for metric in ("roc_auc", "f1"):
        assert fit(shares, classes, metric)[0].sets is not None
