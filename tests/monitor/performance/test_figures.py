"""Intervals hold what they promise, and drops alarm no more often than they say."""

import numpy as np
import pytest
from scipy import stats

from monitor.performance.answers import Answers
from monitor.performance.figures import LEAST_DROP, drop_of, figure_of, floor_of, interval
from monitor.performance.metrics import Measured, measure, metrics_of
from tests.monitor.performance.test_metrics import answers_of

(ACCURACY,) = metrics_of("binary", ("accuracy",))
(LOG_LOSS,) = metrics_of("binary", ("log_loss",))


@pytest.mark.parametrize(("right", "rows"), [(90, 100), (30, 30), (0, 40), (499, 500)])
def test_shares_have_wilsons_interval(right: int, rows: int) -> None:
    """SciPy's own; also where all or none are right."""
    truth = (np.arange(rows) < right).astype(np.int64)
    answers = Answers(2, np.ones(rows, dtype=np.int64), truth, np.full((rows, 2), 0.5), np.arange(rows))
    found = interval(ACCURACY, measure(ACCURACY, answers))
    wanted = stats.binomtest(right, rows).proportion_ci(method="wilson")
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.003)


def test_a_figure_that_is_not_defined_says_why() -> None:
    """Instead of a number that would be taken for one."""
    figure = figure_of(ACCURACY, Measured(np.nan, np.nan, 0, 0.0))
    assert (figure.value, figure.low, figure.note) == (None, None, "No row has a label.")


def test_a_drop_is_told_from_luck() -> None:
    """95 % of 1,000 against 85 % of 200, and against 94 % of 200."""
    reference = Measured(0.95, np.sqrt(0.95 * 0.05 / 1000), 1000, 1000)
    worse, alike = (Measured(share, np.sqrt(share * (1 - share) / 200), 200, 200) for share in (0.85, 0.94))
    found = drop_of(ACCURACY, reference, worse, 0.05, LEAST_DROP)
    assert (found.dropped, round(found.drop, 3), found.low > 0) == (True, 0.1, True)
    pearson = stats.chi2_contingency([[950, 50], [170, 30]], correction=False).pvalue / 2
    assert np.log10(found.p_value) == pytest.approx(np.log10(pearson), abs=0.2)
    found = drop_of(ACCURACY, reference, alike, 0.05, LEAST_DROP)
    assert (found.dropped, found.low < 0 < found.high) == (False, True)


def test_a_sure_trifle_is_no_drop() -> None:
    """A hundredth of a million rows."""
    before, after = (Measured(share, 0.0004, 1_000_000, 1_000_000) for share in (0.90, 0.89))
    found = drop_of(ACCURACY, before, after, 0.05, floor_of(ACCURACY, 0.9))
    assert found.p_value < 1e-9
    assert not found.dropped


def test_better_is_no_drop_whichever_way_a_metric_points() -> None:
    """A smaller loss is better."""
    before, after = Measured(0.5, 0.01, 1000, 1000), Measured(0.4, 0.01, 1000, 1000)
    found = drop_of(LOG_LOSS, before, after, 0.05, floor_of(LOG_LOSS, 0.5))
    assert (found.drop, found.dropped) == (pytest.approx(-0.1), False)
    assert found.p_value > 0.99
    assert drop_of(LOG_LOSS, after, before, 0.05, floor_of(LOG_LOSS, 0.4)).dropped


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_intervals_hold_the_truth_and_nothing_alarms_without_reason(task: str) -> None:
    """Of 300 windows of 100 rows: 95 % hold the value of 50,000 rows, and 5 % alarm; within four standard errors."""
    large = answers_of(task, 50_000, 1)  # type: ignore[arg-type]
    windows = [answers_of(task, 100, seed) for seed in range(10, 310)]  # type: ignore[arg-type]
    references = [answers_of(task, 1000, seed) for seed in range(1000, 1300)]  # type: ignore[arg-type]
    for name in {"binary": ("accuracy", "roc_auc", "f1"), "multiclass": ("log_loss", "f1_macro")}.get(
        task, ("rmse", "mae")
    ):
        (metric,) = metrics_of(task, (name,))  # type: ignore[arg-type]
        value = measure(metric, large).value
        ends = [interval(metric, measure(metric, window)) for window in windows]
        held = np.mean([low <= value <= high for low, high in ends])
        assert held >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 300), name
        pairs = zip(references, windows, strict=True)
        alarms = [drop_of(metric, measure(metric, r), measure(metric, w), 0.05, 0.0).dropped for r, w in pairs]
        assert np.mean(alarms) <= 0.05 + 4 * np.sqrt(0.95 * 0.05 / 300), name
