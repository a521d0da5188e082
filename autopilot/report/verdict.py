"""What a report comes to, in a few sentences: how good the model is, and what to watch for."""

from collections.abc import Sequence

import numpy as np

from autopilot.explain.fairness import wilson
from autopilot.graph.conformal import Interval
from autopilot.report import statistics
from autopilot.report.evidence import Evidence, HeldOut
from autopilot.report.numerals import between, counted, metric_name, number, percent
from autopilot.report.statistics import Coverage, Estimate

#: Fewer held-out rows are said to be few; a class of so many rows, of which less is found, is named.
_FEW_ROWS, _CLASS_ROWS, _LITTLE_FOUND = 500, 20, 0.5
#: Probabilities that are further off than this on average are said to be.
_MUCH_OFF = 0.05
_MOST_CLASSES = 3


def headline(evidence: Evidence, estimates: Sequence[Estimate]) -> str:
    """The verdict in a line."""
    target = evidence.run.target
    if evidence.model.card.members and all(one.candidate == "baseline" for one in evidence.model.card.members):
        return f"Only a constant guess of {target}"
    own = estimates[0]
    if own.is_better is False:
        return f"No better than guessing {target}"
    return f"Predicts {target}: {metric_name(own.name)} {number(own.value)}"


def meaning(evidence: Evidence, estimates: Sequence[Estimate]) -> str:
    """How good the model is beside the constant guess, and how sure that is."""
    own = estimates[0]
    sure = "" if own.lower is None or own.upper is None else f" (95% interval {between(own.lower, own.upper)})"
    told = (
        f"The model predicts {evidence.run.target} with {metric_name(own.name)} {number(own.value)}{sure} on "
        f"{_rows(evidence)}; the constant guess, {_GUESSES[evidence.run.task]}, has {number(own.guess)}."
    )
    return f"{told} {_plainly(evidence, estimates)}".strip()


_GUESSES = {
    "binary": "for every row the usual share of each class",
    "multiclass": "for every row the usual share of each class",
    "regression": "for every row the mean",
}


def _rows(evidence: Evidence) -> str:
    scores = evidence.model.card.scores
    if scores.test_rows:
        return f"{counted(scores.test_rows, 'row')} that no decision had seen"
    return f"{counted(evidence.model.card.rows, 'row')}, each predicted by models that had not learnt from it"


def _plainly(evidence: Evidence, estimates: Sequence[Estimate]) -> str:
    """The same for somebody who has never heard of the metric; empty where the metric says it already."""
    found = {one.name: one for one in estimates}
    if evidence.run.task == "regression":
        half = found.get("median_ae")
        if half is None:
            return ""
        ours, guesses = number(half.value), number(half.guess)
        return f"Half of its predictions are off by less than {ours}, half of the guesses by less than {guesses}."
    right = found.get("accuracy")
    if right is None:
        return ""
    ours, guesses = percent(right.value), percent(right.guess)
    return f"{ours} of its labels are right; giving every row the most frequent one, {guesses} are."


def cautions(evidence: Evidence, estimates: Sequence[Estimate]) -> list[str]:
    """What to watch for, the gravest first; empty where nothing stands out."""
    found = [*_of_score(evidence, estimates[0]), *_of_data(evidence)]
    if evidence.held is not None and len(evidence.held.y):
        found += _of_values(evidence) if evidence.run.task == "regression" else _of_classes(evidence)
    return [*found, *_of_run(evidence)]


def _of_score(evidence: Evidence, own: Estimate) -> list[str]:
    found: list[str] = []
    if own.is_better is False:
        found.append("The difference to the constant guess is no larger than chance explains.")
    scores = evidence.model.card.scores
    rows = scores.test_rows or evidence.model.card.rows
    if rows < _FEW_ROWS:
        found.append(f"The figures rest on {counted(rows, 'row')}: another sample could give quite different ones.")
    promised = scores.validation_score
    if own.lower is not None and own.upper is not None:
        is_worse = promised > own.upper if own.greater_is_better else promised < own.lower
        if is_worse:
            found.append(
                f"Validation promised {metric_name(own.name)} {number(promised)}, better than the held-out rows bear "
                "out. The latter is what to expect; see whether they differ from the others, in time or by group."
            )
    return found


def _of_data(evidence: Evidence) -> list[str]:
    grave = [finding for finding in evidence.findings if finding.severity != "info"]
    grave.sort(key=lambda finding: finding.severity)  # error before warning
    if not grave:
        return []
    more = f" {counted(len(grave) - 1, 'more finding')} of this kind below." if len(grave) > 1 else ""
    return [f"{grave[0].message}{more}"]


def _of_classes(evidence: Evidence) -> list[str]:
    held, label = evidence.held, statistics.labels(evidence)
    assert held is not None  # noqa: S101 - looked at before
    names = [str(name) for name in evidence.signature.classes]
    figures = statistics.class_figures(held.y, held.predicted, label, names, held.weights)
    missed = [one for one in figures if one.rows >= _CLASS_ROWS and one.recall < _LITTLE_FOUND]
    missed.sort(key=lambda one: one.recall)
    told = ", ".join(f"{percent(one.recall)} of {one.name}" for one in missed[:_MOST_CLASSES])
    more = (
        f" and {counted(len(missed) - _MOST_CLASSES, 'more class', 'more classes')}"
        if len(missed) > _MOST_CLASSES
        else ""
    )
    found = [f"Its labels find only {told}{more}."] if missed else []
    given = held.predicted[np.arange(len(label)), label]
    error = statistics.calibration_error(statistics.calibration(label == held.y, given, held.weights))
    if error > _MUCH_OFF:
        found.append(f"Its probabilities are off by {percent(error)} on average: do not take them at their word.")
    return found


def _of_values(evidence: Evidence) -> list[str]:
    held, interval = evidence.held, evidence.head.interval
    assert held is not None  # noqa: S101 - looked at before
    if interval is None or evidence.is_nested:
        return []
    whole = _whole(held, interval)
    if whole.upper >= interval.coverage:
        return []
    return [
        f"Its intervals promise to hold {percent(interval.coverage)} of the true values, and hold "
        f"{percent(whole.share)}."
    ]


def _of_run(evidence: Evidence) -> list[str]:
    found = [f"The run ended before its time: {evidence.run.reason}."] if evidence.run.reason else []
    flips = evidence.model.card.parity.label_flips
    return (
        [*found, f"The ONNX file gives another label than was trained for {counted(flips, 'row')}."] if flips else found
    )


def certainty(evidence: Evidence) -> str:
    """How often the model's intervals or sets hold the truth; empty where it has none, or no rows are held out."""
    held, head = evidence.held, evidence.head
    if held is None or not len(held.y) or evidence.is_nested:
        return ""
    if head.interval is not None:
        whole = _whole(held, head.interval)
        return (
            f"Its intervals, which promise {percent(head.interval.coverage)}, hold the true value of "
            f"{percent(whole.share)} of the held-out rows ({percent(whole.lower)} to {percent(whole.upper)}), and are "
            f"{number(whole.width)} wide on average."
        )
    if head.sets is None:
        return ""
    sets = head.sets.apply(held.predicted.astype(np.float32), statistics.labels(evidence))
    share = float(sets[np.arange(len(held.y)), held.y.astype(np.int64)].mean())
    lower, upper = wilson(share, len(held.y), statistics.LEVEL)
    return (
        f"Its sets, which promise {percent(head.sets.coverage)}, hold the true class of {percent(share)} of the "
        f"held-out rows ({percent(lower)} to {percent(upper)}), with {sets.sum(axis=1).mean():.2f} classes on average."
    )


def _whole(held: HeldOut, interval: Interval) -> Coverage:
    predicted = held.predicted[:, 0]
    return statistics.coverage(held.y, interval.apply(predicted), predicted)[0]


def direction(estimate: Estimate) -> str:
    """Which way a metric is better.

    >>> direction(Estimate("rmse", False, 1.0, 2.0))
    'lower is better'
    """
    return "higher is better" if estimate.greater_is_better else "lower is better"
