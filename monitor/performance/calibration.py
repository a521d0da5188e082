"""Scores that say how often they are right: the likelihood of each class of a row.

Three sources, each used only if it is better on rows that it has not seen: the model's own scores; isotonic regression
of each class on its score, if that lowers the calibration error; and trees that correct it by the inputs, if that
lowers the log loss. The last matters when inputs move: a score of 0.7 may be right in 7 of 10 rows of the reference and
in 5 of 10 of the young ones among them, and a window of young rows is then judged by the latter.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.performance.answers import Answers
from monitor.performance.inputs import Matrix
from monitor.performance.metrics import shares_of
from monitor.performance.trees import Predict, train

Source = Literal["scores", "isotonic", "inputs"]

_BINS = 10
_ROUNDS = 80
_RATE = 0.05
_MOST_CLASSES = 20  # with more, trees take long, and each class has few rows
_LEAST = 1e-4  # likelihoods nearer to 0 or 1 are not told by thousands of rows
_MOST_STEPS = 300


class Calibration(NamedTuple):
    """Likelihoods that a reference has taught.

    source: which of the three is used. error_before, error_after: the calibration error of scores, and of likelihoods
    of rows that were not seen. reference: those, (rows, classes).
    """

    source: Source
    error_before: float
    error_after: float
    reference: Matrix
    steps: "Steps"
    trees: tuple[Predict, ...]

    def likelihoods(self, scores: Matrix, X: Matrix) -> Matrix:
        """Of other rows: (rows, classes)."""
        if self.source == "scores":
            return scores
        found = self.steps.at(scores)
        if self.source == "isotonic":
            return found
        return np.mean([_shared_out(found, predict(X)) for predict in self.trees], axis=0)


class Steps(NamedTuple):
    """Isotonic regressions: what is right at a score, and between scores in proportion; of the second of two classes,
    or of each of several."""

    scores: tuple[NDArray[np.float64], ...]
    values: tuple[NDArray[np.float64], ...]

    def at(self, scores: Matrix) -> Matrix:
        """Likelihoods of scores, (rows, classes), summing to 1."""
        columns = _told(scores.shape[1])
        found = [np.interp(scores[:, k], at, right) for k, at, right in zip(columns, *self, strict=True)]
        if len(found) == 1:
            return np.column_stack([1 - found[0], found[0]])
        shares = np.clip(np.column_stack(found), _LEAST, 1.0)
        return shares / shares.sum(axis=1, keepdims=True)


def _told(classes: int) -> range:
    """Which classes have to be looked at: of two, the second tells of both."""
    return range(1, 2) if classes == 2 else range(classes)


def calibrate(answers: Answers, X: Matrix, categories: list[int], fold: NDArray[np.int64]) -> Calibration:
    """Learn from a reference: rows whose truth is known, and their inputs. fold: of each row, from 0; the rows of one
    are told by what the others have taught."""
    truth = shares_of(answers)
    isotonic, inputs = np.empty_like(answers.scores), np.empty_like(answers.scores)
    has_trees = answers.classes <= _MOST_CLASSES
    trees: list[Predict] = []
    for number in range(int(fold.max()) + 1):
        seen, unseen = fold != number, fold == number
        steps = isotonic_steps(answers.scores[seen], truth[seen])
        isotonic[unseen] = steps.at(answers.scores[unseen])
        if has_trees:
            trees.append(_correction(steps.at(answers.scores[seen]), answers.truth[seen], X[seen], categories))
            inputs[unseen] = _shared_out(isotonic[unseen], trees[-1](X[unseen]))
    before, after = calibration_error(answers.scores, truth), calibration_error(isotonic, truth)
    source: Source = "isotonic" if after < before else "scores"
    likely = isotonic if after < before else answers.scores
    if has_trees and _log_loss(inputs, truth) < _log_loss(likely, truth):
        source, likely = "inputs", inputs
    steps = isotonic_steps(answers.scores, truth)
    return Calibration(source, before, calibration_error(likely, truth), likely, steps, tuple(trees))


def isotonic_steps(scores: Matrix, truth: Matrix, weights: NDArray[np.float64] | None = None) -> Steps:
    """The isotonic regression of classes on their scores, over up to 300 groups of rows with neighbouring scores.

    Rows are grouped first because a regression of thousands of rows has to be repeated hundreds of times. No step is of
    fewer than 1/300 of the rows.
    """
    counts = np.ones(len(scores)) if weights is None else weights
    found = [_steps(scores[:, k], truth[:, k], counts) for k in _told(scores.shape[1])]
    return Steps(tuple(at for at, _ in found), tuple(values for _, values in found))


def _steps(
    score: NDArray[np.float64], share: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.isotonic import isotonic_regression

    group = _groups(score)
    weight = np.bincount(group, weights)
    there = weight > 0
    at = np.bincount(group, weights * score)[there] / weight[there]
    right = np.bincount(group, weights * share)[there] / weight[there]
    return at, isotonic_regression(right, sample_weight=weight[there], y_min=0.0, y_max=1.0)


def _groups(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The group of each row: up to 300 of as many rows, of neighbouring scores; equal ones are together."""
    ordered = np.sort(score)
    edges = np.unique(ordered[np.arange(1, _MOST_STEPS) * len(ordered) // _MOST_STEPS])
    return np.searchsorted(edges, score, "right")


def calibration_error(likely: Matrix, truth: Matrix) -> float:
    """The expected calibration error: how far likelihoods are from what happened, over 10 groups of as many rows; of
    several classes the mean (Naeini, Cooper and Hauskrecht, AAAI 2015).

    >>> likely, happened = np.array([[0.5, 0.5]] * 20), np.eye(2)[[0, 1] * 10]
    >>> calibration_error(likely, happened), calibration_error(likely + [-0.25, 0.25], happened)
    (0.0, 0.25)
    """
    return float(np.mean([_error_of(likely[:, k], truth[:, k]) for k in _told(likely.shape[1])]))


def _error_of(likely: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    order = np.argsort(likely, kind="stable")
    parts = np.array_split(order, min(_BINS, len(order)))
    return sum(abs(float((likely[part] - share[part]).sum())) for part in parts) / len(likely)


def _correction(likely: Matrix, truth: NDArray[np.int64], X: Matrix, categories: list[int]) -> Predict:
    """Trees that add to the log-odds of likelihoods what the inputs tell beyond them."""
    if likely.shape[1] == 2:
        start, objective, classes = _log_odds(likely), "binary", 1
    else:
        start, objective, classes = np.log(np.clip(likely, _LEAST, 1.0)), "multiclass", likely.shape[1]
    return train(
        X, truth, categories, objective=objective, rounds=_ROUNDS, learning_rate=_RATE, start=start, classes=classes
    )


def _shared_out(likely: Matrix, correction: Matrix) -> Matrix:
    """Likelihoods with a correction of their log-odds."""
    if likely.shape[1] == 2:
        second = 1 / (1 + np.exp(-(_log_odds(likely) + correction)))
        return np.column_stack([1 - second, second])
    raised = np.log(np.clip(likely, _LEAST, 1.0)) + correction
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _log_odds(likely: Matrix) -> Matrix:
    second = np.clip(likely[:, 1:], _LEAST, 1 - _LEAST)
    return np.log(second / (1 - second))


def _log_loss(likely: Matrix, truth: Matrix) -> float:
    return float(-(truth * np.log(np.clip(likely, _LEAST, 1.0))).sum(axis=1).mean())
