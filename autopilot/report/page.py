"""The report as one HTML page: no script, no font, no other file; it can be mailed, printed and read on a phone."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from msgspec import Struct

from autopilot.explain import Fairness, dependence_chart, fairness_chart, importance_chart
from autopilot.report import charts, numerals, statistics, verdict
from autopilot.report.evidence import Evidence, HeldOut, place_of
from autopilot.report.statistics import ClassFigures, Curve, Estimate, Mistake
from storage.drawing import Drawn, draw
from storage.records import Member, Trial

#: What is listed; the rest is counted.
SHOWN_TRIALS, _SHOWN_FINDINGS, _SHOWN_CLASSES, _SHOWN_DROPPED, _SHOWN_STEPS = 20, 40, 12, 30, 60
#: Classes with a curve of their own, and columns whose dependence is drawn.
_CURVES, _DEPENDENCES = 6, 8
_NESTED_INTERVAL = "; that of the nested estimate is from its folds, and rather too narrow"
_SEVERITIES = ("error", "warning", "info")

Anything = TypeVar("Anything")
#: The charts of a page: what each is called while it is not drawn, and how it is made.
Charts = list[tuple[str, Callable[[], Any]]]


class Page(Struct, frozen=True):
    """A page. html: whole and on its own. In a notebook it shows in a frame, where its style touches nothing else."""

    html: str

    def save(self, path: str | Path) -> Path:
        """Write it to a file; where that is."""
        written = Path(path)
        written.write_text(self.html, encoding="utf-8")
        return written

    def _repr_html_(self) -> str:
        style = "width:100%;height:800px;border:1px solid #e3e7ec;border-radius:8px"
        return f'<iframe srcdoc="{escape(self.html, quote=True)}" style="{style}" sandbox></iframe>'

    def __repr__(self) -> str:
        return f"Page({len(self.html):,} characters; save(path) writes it, and a notebook shows it)"


class Missing(Struct, frozen=True):
    """A chart that could not be drawn, in its place."""

    title: str
    reason: str


def _is_missing(figure: Drawn | Missing) -> bool:
    return isinstance(figure, Missing)


def render(evidence: Evidence) -> str:
    """The page. All texts that come from a table or its user are escaped.

    What cannot be drawn or computed says so in its place: one chart that fails costs no other.
    """
    failures: list[str] = []

    def tried(what: str, make: Callable[[], Anything], default: Anything) -> Anything:
        """What is made; the default if that fails, which the page then tells."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - a page without one of its figures is worth more than none
            failures.append(f"{what}: {type(error).__name__}: {error}")
            return default

    bare = _bare_estimates(evidence)
    estimates = tried("The intervals of the metrics", lambda: statistics.estimates(evidence), bare)
    ranked = _ranked(evidence)
    return _template().render(
        evidence=evidence,
        run=evidence.run,
        model=evidence.model,
        card=evidence.model.card,
        scores=evidence.model.card.scores,
        signature=evidence.signature,
        estimates=estimates,
        own=estimates[0],
        headline=verdict.headline(evidence, estimates),
        meaning=verdict.meaning(evidence, estimates),
        cautions=tried("What to watch for", lambda: verdict.cautions(evidence, estimates), []),
        findings=_findings(evidence),
        certainty=tried("The sets and intervals", lambda: verdict.certainty(evidence), ""),
        quality=_drawn("quality", tried("The charts of quality", lambda: _quality(evidence), [])),
        classes=tried("The classes", lambda: _classes(evidence), []),
        mistakes=tried("The mistakes", lambda: _mistakes(evidence), []),
        columns=_drawn("columns", _columns(evidence)),
        fairness=[
            (one, [rate.name for rate in one.groups[0].rates], _drawn(f"fair{number}x", _fairness(one)))
            for number, one in enumerate(evidence.fairness)
        ],
        search=_drawn("search", _search(evidence)),
        trials=ranked[:SHOWN_TRIALS],
        ended_s={timed.trial.number: timed.ended_s for timed in evidence.trials},
        weights={member.trial: member.weight for member in evidence.model.card.members},
        reasons=_reasons(ranked),
        statuses=Counter(trial.status for trial in ranked),
        validation=_validation(evidence),
        stages=_stages(evidence),
        members=evidence.model.card.members,
        failures=failures,
        limits={
            "findings": _SHOWN_FINDINGS,
            "classes": _SHOWN_CLASSES,
            "dropped": _SHOWN_DROPPED,
            "steps": _SHOWN_STEPS,
        },
        is_missing=_is_missing,
        between=numerals.between,
        counted=numerals.counted,
        direction=verdict.direction,
        params=params,
    )


def params(owner: Trial | Member) -> str:
    """Parameters in a line.

    >>> params(Member(3, "lightgbm", 1.0, {"depth": 6, "rate": 0.0512345}))
    'depth 6, rate 0.05123'
    """
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in owner.params.items()
    )


# --------------------------------------------------------------------------------------------------------- charts


def _drawn(section: str, wanted: Charts) -> list[Drawn | Missing]:
    """Each chart, or why it is not there."""
    found: list[Drawn | Missing] = []
    for number, (title, make) in enumerate(wanted):
        try:
            found.append(draw(make(), f"{section}{number}-"))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one chart, the others are drawn
            found.append(Missing(title, f"{type(error).__name__}: {error}"[:300]))
    return found


def charts_of(evidence: Evidence) -> dict[str, Any]:
    """The page's charts by name, as Altair charts; without those that cannot be drawn, of which the page tells why."""
    groups = [chart for one in evidence.fairness for chart in _fairness(one)]
    found: dict[str, Any] = {}
    for title, make in [*_quality(evidence), *_columns(evidence), *groups, *_search(evidence)]:
        with suppress(Exception):
            found[title] = make()
    return found


def _quality(evidence: Evidence) -> Charts:
    held = evidence.held
    if held is None or not len(held.y):
        return []
    if evidence.run.task == "regression":
        return _of_values(evidence, held)
    return _of_two(evidence, held) if evidence.run.task == "binary" else _of_many(evidence, held)


def _of_two(evidence: Evidence, held: HeldOut) -> Charts:
    """Of two classes, the second is the one that is found."""
    is_class, share, weights = held.y == 1, held.predicted[:, 1], held.weights
    of = f"{evidence.run.target} = {evidence.signature.classes[1]}"
    usual = float(is_class @ held.shares)
    curve = statistics.precision_recall
    return [
        ("ROC", lambda: charts.roc_chart({of: statistics.roc(is_class, share, weights)})),
        ("Precision and recall", lambda: charts.precision_recall_chart({of: curve(is_class, share, weights)}, usual)),
        ("Calibration", lambda: charts.calibration_chart(statistics.calibration(is_class, share, weights), of)),
        ("Probabilities", lambda: charts.separation_chart(is_class, share, held.shares, of)),
        ("Gain", lambda: charts.gain_chart(statistics.gain(is_class, share, weights))),
        ("Confusion matrix", lambda: charts.confusion_chart(_matrix(evidence, held))),
    ]


def _of_many(evidence: Evidence, held: HeldOut) -> Charts:
    """Of more than two classes: each against the rest, those of the most rows."""
    given = statistics.labels(evidence)
    right, share = given == held.y, held.predicted[np.arange(len(given)), given]
    reliability, precision_recall = statistics.calibration, statistics.precision_recall
    return [
        ("Confusion matrix", lambda: charts.confusion_chart(statistics.fold(_matrix(evidence, held)))),
        ("ROC", lambda: charts.roc_chart(_curves(evidence, held, statistics.roc))),
        (
            "Precision and recall",
            lambda: charts.precision_recall_chart(_curves(evidence, held, precision_recall), None),
        ),
        (
            "Calibration",
            lambda: charts.calibration_chart(reliability(right, share, held.weights), "the label that is given"),
        ),
    ]


def _of_values(evidence: Evidence, held: HeldOut) -> Charts:
    y, predicted, interval = held.y, held.predicted[:, 0], evidence.head.interval
    found: Charts = [
        ("Predicted and true values", lambda: charts.prediction_chart(y, predicted, held.shares)),
        ("Residuals", lambda: charts.residual_chart(statistics.bands(y, predicted, held.weights))),
        ("Distribution of residuals", lambda: charts.residual_histogram(y - predicted, held.shares)),
    ]
    if interval is not None:
        ends, promised = interval.apply(predicted), interval.coverage
        found.append(("Intervals", lambda: charts.coverage_chart(statistics.coverage(y, ends, predicted)[1], promised)))
    return found


def _curves(evidence: Evidence, held: HeldOut, curve: Callable[..., Curve]) -> dict[str, Curve]:
    """Of the classes of the most rows, in that order."""
    rows = np.bincount(held.y.astype(np.int64), minlength=held.predicted.shape[1])
    shown = [number for number in np.argsort(-rows, kind="stable").tolist() if 0 < rows[number] < len(held.y)]
    return {
        str(evidence.signature.classes[number]): curve(held.y == number, held.predicted[:, number], held.weights)
        for number in shown[:_CURVES]
    }


def _matrix(evidence: Evidence, held: HeldOut) -> statistics.Confusion:
    names = [str(name) for name in evidence.signature.classes]
    return statistics.confusion(held.y, statistics.labels(evidence), names, held.weights)


def _search(evidence: Evidence) -> Charts:
    scores = evidence.model.card.scores
    greater = scores.greater_is_better
    course, points = statistics.course(evidence), statistics.frontier(evidence)
    found: Charts = []
    if any(step.score is not None for step in course):
        found.append(("Learning curve", lambda: charts.course_chart(course, scores.metric, greater_is_better=greater)))
    if len(points) > 1:
        found.append(("Frontier", lambda: charts.frontier_chart(points, scores.metric)))
    return found


def _columns(evidence: Evidence) -> Charts:
    importances = evidence.importances
    found: Charts = []
    if importances is not None and importances.columns:
        found.append(("Importances", lambda: charts.dressed(importance_chart(importances))))
    for one in [kept.whole for kept in evidence.dependences[:_DEPENDENCES]]:
        found.append((f"Dependence on {one.column}", lambda one=one: charts.dressed(dependence_chart(one))))
    return found


def _fairness(fairness: Fairness) -> Charts:
    return [(f"By {fairness.column}", lambda: charts.dressed(fairness_chart(fairness)))]


# --------------------------------------------------------------------------------------------------------- tables


def _bare_estimates(evidence: Evidence) -> tuple[Estimate, ...]:
    """What the card says, without intervals."""
    scores = evidence.model.card.scores
    return (Estimate(scores.metric, scores.greater_is_better, scores.test_score, scores.baseline_score),)


def _findings(evidence: Evidence) -> list[Any]:
    """The gravest first, else in their order."""
    return sorted(evidence.findings, key=lambda finding: _SEVERITIES.index(finding.severity))


def _ranked(evidence: Evidence) -> list[Trial]:
    greater = evidence.model.card.scores.greater_is_better
    return sorted((one.trial for one in evidence.trials), key=lambda trial: place_of(trial, greater_is_better=greater))


def _reasons(ranked: Sequence[Trial]) -> list[tuple[str, str, int]]:
    """Family, reason and number of the trials that failed, most frequent first."""
    counted = Counter(
        (trial.candidate, trial.reason or "no reason was kept") for trial in ranked if trial.status == "failed"
    )
    return [(candidate, reason, count) for (candidate, reason), count in counted.most_common(10)]


def _classes(evidence: Evidence) -> list[ClassFigures]:
    held = evidence.held
    if held is None or evidence.run.task == "regression":
        return []
    names = [str(name) for name in evidence.signature.classes]
    return statistics.class_figures(held.y, held.predicted, statistics.labels(evidence), names, held.weights)


def _mistakes(evidence: Evidence) -> list[Mistake]:
    held = evidence.held
    if held is None or evidence.run.task != "multiclass":
        return []
    names = [str(name) for name in evidence.signature.classes]
    return statistics.mistakes(held.y, statistics.labels(evidence), names)


def _stages(evidence: Evidence) -> list[tuple[str, float, float]]:
    """Each stage, the second at which it began, and how long it took."""
    starts = [stage.began_s for stage in evidence.stages]
    ends = [*starts[1:], max(evidence.model.card.seconds, *starts)] if starts else []
    return [(stage.name, stage.began_s, end - stage.began_s) for stage, end in zip(evidence.stages, ends, strict=True)]


def _validation(evidence: Evidence) -> list[str]:
    """How the figures came to be, in sentences."""
    scores, held = evidence.model.card.scores, evidence.held
    count = numerals.counted
    if scores.test_rows:
        told = (
            f"All figures of quality are of {count(scores.test_rows, 'row')} that were set aside before the search "
            "began: no model learnt from them, none was chosen by them, and they were scored once, at the end."
        )
    else:
        told = (
            f"There were too few rows to set some aside. The {numerals.metric_name(scores.metric)} is a nested "
            "estimate: each fold is scored by an ensemble that was chosen without it (Cawley and Talbot, 2010). The "
            "other figures are of validation, where models predict rows that they have not learnt from, but were "
            "chosen by; they flatter a little, and so do the probabilities' calibration and the intervals, which were "
            "fitted on these rows."
        )
    found = [told]
    if held is not None and held.of_rows > len(held.y):
        found.append(
            f"Charts and tables of classes show a sample of {count(len(held.y), 'row')} of these {held.of_rows:,}; the "
            "metrics are of all."
        )
    if held is not None:
        unit = "whole groups" if evidence.group_count else "rows"
        found.append(
            f"Intervals hold the true figure with a chance of 95%. Those of metrics are from a bootstrap that draws "
            f"{unit}, with the guess scored on the same draws{_NESTED_INTERVAL if scores.test_error else ''}."
        )
    return found


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("autopilot.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=numerals.number,
        percent=numerals.percent,
        duration=numerals.duration,
        latency=numerals.latency,
        bytesize=numerals.size,
        metric=numerals.metric_name,
    )
    return environment.get_template("report.html")
