"""Metrics of answers by the field's names, each with its error.

A metric of the labels is a function of three shares of rows for each class: those that are of it and were called it,
those that are of it, and those that were called it. The area under the ROC curve and the means of losses are sums over
rows. All of them take rows of which is known only how likely each class is (`truth` as shares, (N, classes)): then they
give what is to be expected, which is what an estimate without labels needs.

Errors come from influences: by how much each row moves the metric (the delta method). Those of one request are added
before they are squared, since such rows may depend on one another. For the area under the ROC curve that is the
variance of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.performance.answers import Answers
from storage.errors import SettingError, listed
from storage.signature import Task

Values = NDArray[np.float64]

#: How far a metric reaches: `share` from 0 to 1, `loss` from 0 up, `score` up to 1.
Range = Literal["share", "loss", "score"]

#: Fewer requests than this tell too little of how their rows depend on one another; rows count as independent then.
LEAST_REQUESTS = 30

_LEAST_SHARE = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss has it
_STEP = 1e-5  # of a share, for its slope


class Measured(NamedTuple):
    """A metric of rows.

    value: NaN where it is not defined. error: the standard error. rows: how many it is of. weight: how many rows
    speak for a share that is 0 or 1, where the error tells nothing.
    """

    value: float
    error: float
    rows: int
    weight: float


class Metric(NamedTuple):
    """A metric: its value for known or likely truths, and by how much each row moves it.

    value: of answers and truth as shares (N, classes), or (N,) values. influences: of answers with their truth and the
    value, (N,), with mean 0. Both are only asked where there are rows.
    """

    name: str
    range: Range
    greater_is_better: bool
    tasks: tuple[Task, ...]
    value: Callable[[Answers, Values], float]
    influences: Callable[[Answers, float], Values]


def measure(metric: Metric, answers: Answers) -> Measured:
    """A metric of the rows whose truth is known."""
    known = answers.of(answers.known)
    if not len(known):
        return Measured(math.nan, math.nan, 0, 0.0)
    value = metric.value(known, shares_of(known))
    if not math.isfinite(value):
        return Measured(math.nan, math.nan, len(known), 0.0)
    error = _error(metric.influences(known, value), known.request)
    return Measured(value, error, len(known), _weight(metric, known))


def shares_of(answers: Answers) -> Values:
    """Known truths as shares: (N, classes) of 0 and 1; values stay (N,)."""
    return np.eye(answers.classes)[answers.truth] if answers.classes else answers.truth


def metrics_of(task: Task, names: tuple[str, ...] = ()) -> tuple[Metric, ...]:
    """The metrics of a task, all of them or those named. Raises SettingError for one that it has not.

    >>> [metric.name for metric in metrics_of("regression", ("rmse", "mae"))]
    ['rmse', 'mae']
    """
    found = {metric.name: metric for metric in METRICS if task in metric.tasks}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise SettingError(
            f"The metric {unknown[0]!r} is none of {task} that is watched. Use {listed(list(found), most=20)}."
        )
    return tuple(found[name] for name in names or found)


def _error(influences: Values, request: NDArray[np.int64]) -> float:
    rows = len(influences)
    _, places = np.unique(request, return_inverse=True)
    requests = int(places.max()) + 1
    if LEAST_REQUESTS <= requests < rows:
        influences = np.bincount(places, influences).astype(np.float64)
    units = len(influences)
    return math.sqrt(float(influences @ influences) * units / max(units - 1, 1)) / rows


_OF_SCORES = ("roc_auc", "log_loss", "brier")


def _weight(metric: Metric, answers: Answers) -> float:
    if not answers.classes or metric.name == "accuracy":
        return float(len(answers))
    counts = np.bincount(answers.truth)
    if metric.name not in _OF_SCORES:  # which do not ask what was called what
        counts = np.concatenate([counts, np.bincount(answers.label)])
    return float(counts[counts > 0].min())


# -------------------------------------------------------------------------------------------------- of the labels

#: Shares of rows by class, (..., 3, classes): called right, of the class, called it.
_Shares = Values


def _shares(answers: Answers, truth: Values) -> _Shares:
    rows, right = len(answers), truth[np.arange(len(answers)), answers.label]
    called = np.bincount(answers.label, minlength=answers.classes)
    return np.stack([np.bincount(answers.label, right, answers.classes), truth.sum(axis=0), called]) / rows


def _of_shares(
    name: str, formula: Callable[[_Shares], Values], tasks: tuple[Task, ...], range: Range = "share"
) -> Metric:
    """A metric whose slopes are those of its formula."""

    def value(answers: Answers, truth: Values) -> float:
        return float(formula(_shares(answers, truth)))

    def influences(answers: Answers, _: float) -> Values:
        slopes = _slopes(formula, _shares(answers, shares_of(answers)))
        moved = slopes[1][answers.truth] + slopes[2][answers.label]
        moved += slopes[0][answers.label] * (answers.truth == answers.label)
        return moved - moved.mean()

    return Metric(name, range, True, tasks, value, influences)


def _slopes(formula: Callable[[_Shares], Values], shares: _Shares) -> _Shares:
    """How the formula grows with each share. A share of 0 has none: no row has it."""
    flat = shares.ravel()
    steps = np.diag(_STEP * flat)
    up, down = (formula((flat + sign * steps).reshape(-1, *shares.shape)) for sign in (1.0, -1.0))
    slopes = np.divide(up - down, 2 * _STEP * flat, out=np.zeros_like(flat), where=flat > 0)
    return slopes.reshape(shares.shape)


def _ratio(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full(np.shape(above + below), np.nan), where=below > 0)


def _by_class(right: Values, rows: Values) -> Values:
    """Ratios of classes; 0 for a class without rows."""
    return np.divide(right, rows, out=np.zeros_like(right), where=rows > 0)


def _macro(of_class: Values, shares: _Shares) -> Values:
    """The mean over classes that rows or labels have."""
    there = shares[..., 1, :] + shares[..., 2, :] > 0
    return (of_class * there).sum(axis=-1) / there.sum(axis=-1)


def _accuracy(shares: _Shares) -> Values:
    return shares[..., 0, :].sum(axis=-1)


def _balanced_accuracy(shares: _Shares) -> Values:
    there = shares[..., 1, :] > 0
    return _by_class(shares[..., 0, :], shares[..., 1, :]).sum(axis=-1) / there.sum(axis=-1)


def _precision(shares: _Shares) -> Values:
    return _ratio(shares[..., 0, 1], shares[..., 2, 1])


def _recall(shares: _Shares) -> Values:
    return _ratio(shares[..., 0, 1], shares[..., 1, 1])


def _f1(shares: _Shares) -> Values:
    return _ratio(2 * shares[..., 0, 1], shares[..., 1, 1] + shares[..., 2, 1])


def _precision_macro(shares: _Shares) -> Values:
    return _macro(_by_class(shares[..., 0, :], shares[..., 2, :]), shares)


def _recall_macro(shares: _Shares) -> Values:
    return _macro(_by_class(shares[..., 0, :], shares[..., 1, :]), shares)


def _f1_macro(shares: _Shares) -> Values:
    return _macro(_f1_by_class(shares), shares)


def _f1_weighted(shares: _Shares) -> Values:
    return (_f1_by_class(shares) * shares[..., 1, :]).sum(axis=-1) / shares[..., 1, :].sum(axis=-1)


def _f1_by_class(shares: _Shares) -> Values:
    return _by_class(2 * shares[..., 0, :], shares[..., 1, :] + shares[..., 2, :])


def _kappa(shares: _Shares) -> Values:
    by_chance = (shares[..., 1, :] * shares[..., 2, :]).sum(axis=-1)
    return _ratio(_accuracy(shares) - by_chance, 1 - by_chance)


def _mcc(shares: _Shares) -> Values:
    by_chance = (shares[..., 1, :] * shares[..., 2, :]).sum(axis=-1)
    spread = (1 - (shares[..., 1, :] ** 2).sum(axis=-1)) * (1 - (shares[..., 2, :] ** 2).sum(axis=-1))
    return _ratio(_accuracy(shares) - by_chance, np.sqrt(np.maximum(spread, 0.0)))


# ------------------------------------------------------------------------------------------------ of probabilities


def _log_losses(answers: Answers, truth: Values) -> Values:
    return -(truth * np.log(np.clip(answers.scores, _LEAST_SHARE, 1.0))).sum(axis=1)


def _briers(answers: Answers, truth: Values) -> Values:
    """Of two classes the squared error of the second's probability, of more the sum over classes."""
    scores = answers.scores
    if answers.classes == 2:
        return truth[:, 1] * (1 - scores[:, 1]) ** 2 + truth[:, 0] * scores[:, 1] ** 2
    return (scores**2).sum(axis=1) + (truth * (1 - 2 * scores)).sum(axis=1)


def _mean_of(name: str, losses: Callable[[Answers, Values], Values], tasks: tuple[Task, ...]) -> Metric:
    def influences(answers: Answers, value: float) -> Values:
        return losses(answers, shares_of(answers)) - value

    def value(answers: Answers, truth: Values) -> float:
        return float(losses(answers, truth).mean())

    return Metric(name, "loss", False, tasks, value, influences)


def _roc_auc(answers: Answers, truth: Values) -> float:
    """Of two classes the second's, of more the mean of each against the rest; classes without rows are left out."""
    areas = [_area(answers.scores[:, k], truth[:, k]) for k in _ranked(answers)]
    areas = [area for area in areas if math.isfinite(area)]
    return float(np.mean(areas)) if areas else math.nan


def _ranked(answers: Answers) -> range:
    return range(1, 2) if answers.classes == 2 else range(answers.classes)


def _area(score: Values, share: Values) -> float:
    """The area under the ROC curve, where rows are of the class by a share; equal scores count half."""
    yes, below_no, _ = _ranks(score, share)
    total = float(yes.sum())
    others = len(score) - total
    return float(yes @ below_no) / (total * others) if total > 0 and others > 0 else math.nan


def _ranks(score: Values, share: Values) -> tuple[Values, Values, NDArray[np.intp]]:
    """By different scores, ascending: rows of the class; and by how many others each is above, half of equal ones;
    and where each row's score is among them."""
    _, places = np.unique(score, return_inverse=True)
    yes = np.bincount(places, share).astype(np.float64)
    no = np.bincount(places, 1 - share)
    return yes, np.cumsum(no) - no / 2, places


def _roc_auc_influences(answers: Answers, _: float) -> Values:
    truth = shares_of(answers)
    found = [_area_influences(answers.scores[:, k], truth[:, k]) for k in _ranked(answers)]
    return np.mean([moved for moved in found if moved is not None], axis=0)


def _area_influences(score: Values, share: Values) -> Values | None:
    yes, below_no, places = _ranks(score, share)
    total, rows = float(yes.sum()), len(score)
    if not 0 < total < rows:
        return None
    others = rows - total
    area = float(yes @ below_no) / (total * others)
    above_yes = total - np.cumsum(yes) + yes / 2
    of_class = (below_no[places] / others - area) * rows / total
    of_others = (above_yes[places] / total - area) * rows / others
    return np.where(share > 0, of_class, of_others)


# ------------------------------------------------------------------------------------------------------- of values


def _of_errors(name: str, losses: Callable[[Values, Values], Values]) -> Metric:
    """The mean of a loss of values; `losses` gets predictions and truths."""

    def influences(answers: Answers, value: float) -> Values:
        return losses(answers.label, answers.truth) - value

    def value(answers: Answers, truth: Values) -> float:
        return float(losses(answers.label, truth).mean())

    return Metric(name, "loss", False, _VALUES, value, influences)


def _squares(predicted: Values, truth: Values) -> Values:
    return (predicted - truth) ** 2


def _absolutes(predicted: Values, truth: Values) -> Values:
    return abs(predicted - truth)


def _relatives(predicted: Values, truth: Values) -> Values:
    return abs(predicted - truth) / np.maximum(abs(truth), _LEAST_SHARE)


def _symmetric(predicted: Values, truth: Values) -> Values:
    size = abs(predicted) + abs(truth)
    return np.divide(2 * abs(predicted - truth), size, out=np.zeros_like(size), where=size > 0)


def _rmse(answers: Answers, truth: Values) -> float:
    return math.sqrt(float(_squares(answers.label, truth).mean()))


def _rmse_influences(answers: Answers, value: float) -> Values:
    squares = _squares(answers.label, answers.truth)
    return (squares - squares.mean()) / (2 * value) if value > 0 else np.zeros_like(squares)


def _r2(answers: Answers, truth: Values) -> float:
    spread = float(truth.var())
    return 1 - float(_squares(answers.label, truth).mean()) / spread if spread > 0 else math.nan


def _r2_influences(answers: Answers, value: float) -> Values:
    squares, apart = _squares(answers.label, answers.truth), (answers.truth - answers.truth.mean()) ** 2
    spread = apart.mean()
    return ((1 - value) * (apart - spread) - (squares - squares.mean())) / spread


_TWO: tuple[Task, ...] = ("binary",)
_MANY: tuple[Task, ...] = ("multiclass",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
_VALUES: tuple[Task, ...] = ("regression",)

#: What is watched, in the order of reports; the first of a task is judged where a model's own metric is not here.
METRICS: tuple[Metric, ...] = (
    Metric("roc_auc", "share", True, _TWO, _roc_auc, _roc_auc_influences),
    _mean_of("log_loss", _log_losses, _CLASSES),
    Metric("roc_auc", "share", True, _MANY, _roc_auc, _roc_auc_influences),
    _of_shares("accuracy", _accuracy, _CLASSES),
    _of_shares("balanced_accuracy", _balanced_accuracy, _CLASSES),
    _of_shares("precision", _precision, _TWO),
    _of_shares("recall", _recall, _TWO),
    _of_shares("f1", _f1, _TWO),
    _of_shares("precision_macro", _precision_macro, _MANY),
    _of_shares("recall_macro", _recall_macro, _MANY),
    _of_shares("f1_macro", _f1_macro, _MANY),
    _of_shares("f1_weighted", _f1_weighted, _MANY),
    _of_shares("mcc", _mcc, _CLASSES, "score"),
    _of_shares("kappa", _kappa, _CLASSES, "score"),
    _mean_of("brier", _briers, _CLASSES),
    Metric("rmse", "loss", False, _VALUES, _rmse, _rmse_influences),
    _of_errors("mae", _absolutes),
    Metric("r2", "score", True, _VALUES, _r2, _r2_influences),
    _of_errors("mape", _relatives),
    _of_errors("smape", _symmetric),
)


def usual(task: Task, wanted: str) -> str:
    """The metric that is judged: the wanted one, such as a run's own, or the task's first where it is not watched.

    >>> usual("binary", "f1"), usual("regression", "pinball_0.9")
    ('f1', 'rmse')
    """
    names = [metric.name for metric in METRICS if task in metric.tasks]
    return wanted if wanted in names else names[0]
