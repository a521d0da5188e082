"""Estimates without labels, held against the labels that they have not seen."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from monitor.performance.answers import read_answers
from monitor.performance.calibration import calibrate, calibration_error, isotonic_steps
from monitor.performance.estimated import EstimatedQuality, estimated, estimated_of
from monitor.performance.inputs import Inputs
from monitor.performance.metrics import measure, metrics_of, shares_of
from monitor.performance.overlap import overlap_of
from monitor.performance.record import blocks_of
from monitor.performance.windows import Window, windows_of
from storage import SettingError, Store
from storage.signature import Signature
from tests import portable
from tests.monitor import till
from tests.monitor.performance.answered import BINARY, REGRESSION, START, two_classes, values

DAY = timedelta(days=1)
ALL = [Window(START, START + 30 * DAY)]
REFERENCE = two_classes(4000, 0).drop("autopilot.time")


def unlabelled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("autopilot.truth")


def actual(signature: Signature, frame: pl.DataFrame, metric: str) -> float:
    return measure(metrics_of(signature.task, (metric,))[0], read_answers(signature, frame).answers).value


def test_scores_that_are_too_sure_are_set_right() -> None:
    """The scores' own word is far off; what is expected of calibrated ones is what labels say."""
    frame = two_classes(4000, 1)
    report = estimated_of(BINARY, REFERENCE, unlabelled(frame), ALL)
    assert report.likelihoods in ("isotonic", "inputs")
    assert report.error_before is not None
    assert report.error_after is not None
    assert report.error_after < report.error_before / 3
    said = read_answers(BINARY, frame).answers
    for figure in report.whole.figures:
        (metric,) = metrics_of("binary", (figure.metric,))
        assert figure.low is not None
        assert figure.high is not None
        truth = actual(BINARY, frame, figure.metric)
        assert figure.low <= truth <= figure.high, figure.metric
        if figure.metric in ("accuracy", "log_loss", "roc_auc", "f1"):
            by_scores = metric.value(said, said.scores)
            assert abs(by_scores - truth) > 2 * abs((figure.value or 0) - truth)


def test_intervals_hold_what_labels_say() -> None:
    """Of 12 windows of 400 rows each, half of which moved: 10 or more of them, which allows for luck."""
    held = {"accuracy": 0, "roc_auc": 0, "log_loss": 0}
    frames = [two_classes(400, 100 + seed, middle=0.7 * (seed % 2)) for seed in range(12)]
    moved = [f.with_columns(pl.col("autopilot.time") + number * DAY) for number, f in enumerate(frames)]
    report = estimated_of(BINARY, REFERENCE, unlabelled(pl.concat(moved)), windows_of(START, START + 12 * DAY, DAY))
    for frame, window in zip(frames, report.windows, strict=True):
        assert window.verdict in ("drop", "no drop")
        for name in held:
            figure = window.figure(name)
            held[name] += (figure.low or 0) <= actual(BINARY, frame, name) <= (figure.high or 0)
    assert min(held.values()) >= 10


def test_a_window_that_moved_is_told_to_be_worse() -> None:
    """Rows near the middle are hard: accuracy falls as labels say, before there are any."""
    near = two_classes(20_000, 2).filter(pl.col("x").abs() < 1)
    report = estimated_of(BINARY, REFERENCE, unlabelled(near), ALL, metric="accuracy")
    truth = actual(BINARY, near, "accuracy")
    figure = report.whole.figure("accuracy")
    assert (report.verdict, report.whole.verdict) == ("drop", "drop")
    assert figure.value == pytest.approx(truth, abs=0.02)
    before = actual(BINARY, REFERENCE, "accuracy")
    assert before - truth > 0.1


def test_what_the_inputs_tell_beyond_scores_is_used() -> None:
    """In Bonn the truth is tossed. A window of Bonn alone is judged by Bonn, not by all towns."""

    def tossed(rows: int, seed: int) -> pl.DataFrame:
        frame = two_classes(rows, seed)
        coin = np.random.default_rng(seed + 1).choice(["no", "yes"], rows)
        truth = pl.when(pl.col("town") == "Bonn").then(pl.Series(coin)).otherwise("autopilot.truth")
        return frame.with_columns(truth.alias("autopilot.truth"))

    bonn = tossed(6000, 5).filter(pl.col("town") == "Bonn")
    report = estimated_of(BINARY, tossed(6000, 3).drop("autopilot.time"), unlabelled(bonn), ALL, metric="accuracy")
    assert report.likelihoods == "inputs"
    assert report.whole.figure("accuracy").value == pytest.approx(0.5, abs=0.04)
    assert report.whole.verdict == "drop"


def test_rows_unlike_any_of_the_reference_are_not_estimated() -> None:
    """A town that it lacks; numbers far outside; and a corner that no row of it is in, within the range of each."""
    elsewhere = two_classes(500, 4).with_columns(pl.lit("Oslo").alias("town"))
    beyond = two_classes(500, 4).with_columns(pl.col("x") + 100)
    corner = pl.col("x") > 0.5, pl.col("town") == "Ulm"
    reference = REFERENCE.filter(~(corner[0] & corner[1]))
    unseen = two_classes(4000, 4).filter(*corner)
    for known, frame in ((REFERENCE, elsewhere), (REFERENCE, beyond), (reference, unseen)):
        report = estimated_of(BINARY, known, unlabelled(frame), ALL)
        assert (report.verdict, report.whole.figures, report.whole.drop) == ("outside the support", (), None)
        assert report.whole.outside > 0.9
        assert report.whole.notes[0].endswith("wait for labels.")
    some = pl.concat([two_classes(480, 4), elsewhere.head(20)])
    report = estimated_of(BINARY, REFERENCE, unlabelled(some), ALL)
    assert report.whole.outside == pytest.approx(0.04)
    assert report.whole.notes == ("4.0% of the rows are unlike any of the reference; figures are of the others.",)
    assert report.whole.figure("accuracy").rows == 480


def test_rows_like_the_reference_are_all_inside() -> None:
    """Whatever the number of columns: no row of 1,000 is told to be unlike 3,000."""
    rng = np.random.default_rng(0)
    found = overlap_of(rng.normal(size=(3000, 12)), rng.normal(size=(1000, 12)), [])
    assert not found.outside.any()
    assert found.rows == pytest.approx(3000)


def test_weights_make_the_reference_like_the_window() -> None:
    """The weighted mean of the reference is the window's."""
    rng = np.random.default_rng(0)
    reference, window = rng.normal(size=(5000, 2)), rng.normal([0.7, 0.0], 0.8, size=(2000, 2))
    found = overlap_of(reference, window, [])
    weighted = found.weights @ reference / found.weights.sum()
    assert weighted == pytest.approx(window.mean(axis=0), abs=0.1)
    assert found.area > 0.6


def test_errors_of_values_are_learnt() -> None:
    """The deviation is exp(x / 4): where x is 1 greater on average, errors are a quarter larger."""
    reference, moved = values(5000, 0).drop("autopilot.time"), values(3000, 1, middle=1.0)
    report = estimated_of(REGRESSION, reference, unlabelled(moved), ALL)
    assert (report.method, report.metric, report.likelihoods, report.verdict) == ("DLE", "rmse", None, "drop")
    for name in ("rmse", "mae"):
        figure = report.whole.figure(name)
        truth, before = actual(REGRESSION, moved, name), actual(REGRESSION, reference, name)
        assert (figure.low or 0) <= truth <= (figure.high or 0)
        assert abs((figure.value or 0) - truth) < 0.3 * (truth - before)


def test_calibration_is_used_only_where_it_helps() -> None:
    """Of scores that are right already, isotonic regression would only add noise."""
    rng = np.random.default_rng(0)
    likely = rng.beta(2, 2, 2000)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=2000),
            "town": ["Ulm"] * 2000,
            "autopilot.label": np.where(likely > 0.5, "yes", "no"),
            "autopilot.p_no": 1 - likely,
            "autopilot.p_yes": likely,
            "autopilot.truth": np.where(rng.random(2000) < likely, "yes", "no"),
        }
    )
    answers, inputs = read_answers(BINARY, frame).answers, Inputs(BINARY.columns, frame)
    fold = blocks_of(2000, None) // 2
    found = calibrate(answers, inputs.matrix(frame), inputs.categories, fold)
    isotonic = np.empty_like(answers.scores)
    truth = shares_of(answers)
    for number in range(5):
        seen = fold != number
        isotonic[~seen] = isotonic_steps(answers.scores[seen], truth[seen]).at(answers.scores[~seen])
    helps = calibration_error(isotonic, truth) < calibration_error(answers.scores, truth)
    assert found.source == ("isotonic" if helps else "scores")
    assert found.error_after <= found.error_before


def test_steps_are_scikit_learns_isotonic_regression() -> None:
    """Within what grouping 2,000 rows by seven or so costs."""
    from sklearn.isotonic import IsotonicRegression

    answers = read_answers(BINARY, two_classes(2000, 0)).answers
    wanted = IsotonicRegression(out_of_bounds="clip").fit(answers.scores[:, 1], answers.truth == 1)
    found = isotonic_steps(answers.scores, shares_of(answers)).at(answers.scores)
    assert np.abs(found[:, 1] - wanted.predict(answers.scores[:, 1])).mean() < 0.01
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_a_reference_whose_months_differ_stretches_intervals() -> None:
    """In every second month of the reference half of the truths are tossed; without a time nobody can know."""
    parts = [two_classes(400, seed, worse=0.5 * (seed % 2)).drop("autopilot.time") for seed in range(10)]
    mixed = pl.concat(parts).with_columns(two_classes(4000, 0)["autopilot.time"])
    frame = unlabelled(two_classes(500, 9))
    timed = estimated_of(BINARY, mixed, frame, ALL)
    untimed = estimated_of(BINARY, mixed.drop("autopilot.time"), frame, ALL)
    assert timed.stretched["accuracy"] > 2
    assert untimed.stretched["accuracy"] < 2


def test_odd_windows_have_verdicts() -> None:
    """Empty, few rows, scores that are none, and a reference that does not tell what happened."""
    frame = unlabelled(two_classes(400, 1))
    two = windows_of(START, START + 2 * DAY, DAY)
    found = estimated_of(BINARY, REFERENCE, frame.head(60), two)
    assert [window.verdict for window in found.windows] == ["too few rows", "no rows"]
    found = estimated_of(BINARY, REFERENCE, pl.DataFrame(), ALL)
    assert (found.verdict, found.whole.rows) == ("no rows", 0)
    broken = frame.with_columns(frame["autopilot.p_yes"].scatter([0, 1, 2], [float("nan"), float("inf"), None]))
    found = estimated_of(BINARY, REFERENCE, broken, ALL)
    assert (found.whole.rows, found.whole.unreadable, found.whole.figure("f1").rows) == (400, 3, 397)
    found = estimated_of(BINARY, unlabelled(REFERENCE), frame, ALL)
    assert (found.verdict, found.likelihoods, found.reference) == ("no reference", None, ())
    assert "A model that is fitted now brings them along." in found.whole.notes[0]
    found = estimated_of(BINARY, REFERENCE.with_columns(pl.lit("yes").alias("autopilot.truth")), frame, ALL)
    assert found.whole.verdict in ("no drop", "outside the support")
    assert found.whole.drop is None  # one class has no area that could be held against
    assert EstimatedQuality.parse(found.json()) == found


def test_values_that_are_infinite_or_missing_do_no_harm() -> None:
    """In inputs, predictions and truths."""
    frame = values(400, 1)
    odd = frame.with_columns(
        frame["x"].scatter([0, 1, 2], [float("inf"), None, float("nan")]),
        frame["autopilot.prediction"].scatter(3, float("inf")),
        frame["town"].scatter(4, None),
    )
    known = values(1000, 0).with_columns(values(1000, 0)["autopilot.truth"].scatter([0, 1], [float("inf"), None]))
    found = estimated_of(REGRESSION, known, unlabelled(odd), ALL)
    assert (found.reference_rows, found.whole.unreadable) == (998, 1)
    assert found.whole.figure("mae").value is not None


def test_the_same_rows_give_the_same_estimate() -> None:
    """Draws have a fixed seed, and trees one thread."""
    frame = unlabelled(two_classes(300, 1))
    assert estimated_of(BINARY, REFERENCE, frame, ALL) == estimated_of(BINARY, REFERENCE, frame, ALL)


def test_an_endpoint_whose_sample_tells_no_truths_has_no_estimate(store: Store) -> None:
    """As of versions of before samples did."""
    version = till.deploy(store, portable.classifier(), START)
    till.send(store, version, till.rows(150, seed=1), START)
    found = estimated(store, till.ENDPOINT, start=START, end=START + DAY)
    assert (found.verdict, found.endpoint, found.version) == ("no reference", till.ENDPOINT, version.version)
    with pytest.raises(SettingError, match="'rmse' is none of binary"):
        estimated(store, till.ENDPOINT, start=START, end=START + DAY, metric="rmse")
    with pytest.raises(SettingError, match=r"'r2' is not estimated. Use 'rmse', 'mae'"):
        estimated_of(REGRESSION, values(400, 0), values(400, 1), ALL, metric="r2")
