"""The verdict of a report on an endpoint: that of the one check whose verdict counts, and a sentence that tells it.

Each check has a function here: what was found, how bad it is, in which window, and how sure that is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from monitor.charts import chance, number, percent
from monitor.checks import Quality, Violation
from monitor.checks.kept import SUGGESTED
from monitor.compare import MINIMUM_ROWS
from monitor.drift import DriftReport
from monitor.facets.bias import BiasReport, FacetBias
from monitor.looked import Span
from monitor.page import unjudged_text, why_too_few
from monitor.performance.estimated import EstimatedQuality
from monitor.performance.figures import Drop
from monitor.performance.realised import RealisedQuality
from monitor.sections import Sections
from storage.errors import agreed, counted, listed
from storage.instants import span_of
from storage.records import CheckKind

#: The field of the report that a check's verdict is of.
SECTIONS: dict[CheckKind, str] = {
    "multivariate": "multivariate",
    "data-quality": "quality",
    "model-quality": "realised",
    "bias": "bias",
    "attribution": "attribution",
}

#: The verdict of a check that could not be made.
LEFT_OUT = "left out"

#: Verdicts of model quality that say how good it is.
_JUDGED = ("drop", "no drop")


class Verdict(NamedTuple):
    """word: such as `drift`, in the words of the check. breached: whether it is bad; None where there is too little to
    say so. sentence: for people."""

    word: str
    breached: bool | None
    sentence: str


def verdict_of(check: CheckKind, drift: DriftReport, sections: Sections, span: Span) -> Verdict:
    """The verdict of a check. Of a section that could not be made it is `left out`, with the reason."""
    section = SECTIONS.get(check)
    reasons = {one.section: one.reason for one in sections.left_out}
    if section in reasons:
        return Verdict(LEFT_OUT, None, f"The check {check!r} was not made {_where(span)}: {reasons[section]}")
    return _VERDICTS[check](drift, sections, span)


def _drift(drift: DriftReport, _: Sections, span: Span) -> Verdict:
    if drift.verdict == "too few rows":
        return Verdict(drift.verdict, None, _nobody_can_say("whether columns drifted", span, why_too_few(drift)))
    drifted = [column for column in drift.ranked if column.drifted]
    if not drifted:
        what = f"None of {counted(drift.tested, 'tested column')} has drifted in {_rows(drift.rows)}"
        sentence = f"{what} {_where(span)}; changes of less than {percent(drift.minimum_effect)} are not looked for."
        return Verdict(drift.verdict, False, f"{sentence}{unjudged_text(drift)}")
    most = max(drifted, key=lambda column: column.effect or 0.0)
    verb = "has" if len(drifted) == 1 else "have"
    what = f"{len(drifted)} of {counted(drift.tested, 'tested column')} {verb} drifted in {_rows(drift.rows)}"
    worst = f"most of all {most.name!r}, by {percent(most.effect or 0.0)}"
    sentence = f"{what} {_where(span)}, {worst}; {_promise(drift.level)}."
    return Verdict(drift.verdict, drift.drifted, f"{sentence}{unjudged_text(drift)}")


def _multivariate(drift: DriftReport, sections: Sections, span: Span) -> Verdict:
    found = _made(sections.multivariate)
    if found.verdict == "too few rows":
        why = f"{_there_are(drift.rows)}. {found.words}"
        return Verdict(found.verdict, None, _nobody_can_say("whether all columns together drifted", span, why))
    auc = found.classifier.auc
    apart = "" if auc is None else f" (area under the ROC curve {number(auc)}, where 0.5 is a guess)"
    if not found.drifted:
        sentence = f"All columns together look like the reference's in {_rows(drift.rows)} {_where(span)}{apart}."
        return Verdict(found.verdict, False, sentence)
    sentence = f"All columns together no longer look like the reference's in {_rows(drift.rows)} {_where(span)}{apart}"
    return Verdict(found.verdict, True, f"{sentence}; {_promise(found.level)}.")


def _data_quality(_: DriftReport, sections: Sections, span: Span) -> Verdict:
    found = _made(sections.quality)
    if found.verdict == "no violations":
        asked = f"the baseline {found.baseline}" if _is_kept(found) else "what the reference keeps"
        return Verdict(
            found.verdict, False, f"{_rows(found.rows)} {_where(span)} {agreed(found.rows, 'keep')} {asked}."
        )
    if found.verdict != "violations":
        return Verdict(found.verdict, None, _nobody_can_say("whether data are as they should be", span, found.note))
    first = _broken(found.violations[0])
    of = f"the baseline {found.baseline}" if _is_kept(found) else "data quality"
    broken = f"{counted(len(found.violations), 'constraint')} of {of} broken in {_rows(found.rows)}"
    is_tested = all(one.rows is None or one.p_value is not None for one in found.violations)
    promise = f"; {_promise(found.level)}" if is_tested else ""  # whoever makes a rule has promised nothing of chance
    return Verdict(found.verdict, True, f"{broken} {_where(span)}, first of all {first}{promise}.")


def _is_kept(found: Quality) -> bool:
    """Whether somebody has kept a baseline for the endpoint; reports of older programs do not say."""
    return found.baseline not in ("", SUGGESTED)


def _broken(violation: Violation) -> str:
    """Which constraint, of what, and by how many rows."""
    what = violation.check.replace("_", " ")
    of = "" if violation.column is None else f" of {violation.column!r}"
    rows = "" if violation.rows is None else f" by {violation.rows:,} of {violation.looked_at:,}"
    return f"{what}{of}{rows}"


def _model_quality(_: DriftReport, sections: Sections, span: Span) -> Verdict:
    """By labels; where they are too few to judge by, as estimated without them."""
    realised, estimated = _made(sections.realised), sections.estimated
    if realised.verdict in _JUDGED:
        return _realised(realised, span)
    if estimated is not None and estimated.verdict in _JUDGED:
        return _estimated(estimated, realised.verdict, span)
    labelled = realised.whole.labelled
    labels = f"{labelled:,} of {_rows(realised.whole.rows)} {agreed(labelled, 'have')} a label"
    estimate = "" if estimated is None else f", and there is no estimate either ({estimated.verdict})"
    why = f"{realised.verdict.capitalize()}: {labels}{estimate}."
    if realised.verdict in ("no labels", "too few labels"):
        why = " ".join([why, *realised.whole.notes[-1:]])  # how labels come, or how many it takes
    return Verdict(realised.verdict, None, _nobody_can_say("how good answers were", span, why))


def _realised(found: RealisedQuality, span: Span) -> Verdict:
    by = f"by the labels of {found.whole.labelled:,} of {_rows(found.whole.rows)} {_where(span)}"
    figure = _figure(found, _telling(found), "is")
    if found.verdict == "no drop":
        return Verdict(found.verdict, False, f"Answers are as good as they were, {by}: {figure}.")
    return Verdict(found.verdict, True, f"Answers have got worse, {by}: {figure}; {_promise(found.level)}.")


def _estimated(found: EstimatedQuality, labels: str, span: Span) -> Verdict:
    """What an estimate can tell: as far as inputs and scores show it. labels: why it is not by them."""
    reason = "" if labels == "no labels" else f" ({labels})"
    by = f"estimated from {_rows(found.whole.rows)} {_where(span)} without labels{reason}"
    figure = _figure(found, _telling(found), "is probably")
    limit = "An estimate cannot see that the same inputs have another outcome now; labels will tell"
    if found.verdict == "no drop":
        return Verdict(found.verdict, False, f"Nothing says that answers have got worse, {by}: {figure}. {limit}.")
    return Verdict(
        found.verdict, True, f"Answers have probably got worse, {by}: {figure}; {_promise(found.level)}. {limit}."
    )


def _telling(found: RealisedQuality | EstimatedQuality) -> Drop | None:
    """The drop of the whole; where only a piece of it dropped, of the first that did."""
    drops = [found.whole.drop, *(window.drop for window in found.windows)]
    return next((drop for drop in drops if drop is not None and drop.dropped), found.whole.drop)


def _figure(found: RealisedQuality | EstimatedQuality, drop: Drop | None, verb: str) -> str:
    if drop is None:
        return f"{found.metric} in pieces of the window"
    of = "" if drop == found.whole.drop else " in a piece of the window"
    way, amounts = "worse", (drop.drop, drop.low, drop.high)
    if drop.drop < 0:
        way, amounts = "better", (-drop.drop, -drop.high, -drop.low)
    amount, low, high = map(number, amounts)
    span = f"{way} by {amount}, 95% interval {low} to {high}"
    return f"{drop.metric} {verb} {number(drop.current)}{of}, and was {number(drop.reference)} ({span})"


def _bias(_: DriftReport, sections: Sections, span: Span) -> Verdict:
    found = _made(sections.bias)
    alarming = [facet for facet in found.facets if facet.alarms]
    judged = [facet for facet in found.facets if any(metric.p_value is not None for metric in facet.metrics)]
    if alarming:
        told = f"{counted(len(alarming), 'group')} of {len(found.facets)} treated otherwise in {_rows(found.rows)}"
        which = f"{_names(alarming)}; first of all {alarming[0].words.removesuffix('.')}"
        return Verdict(found.verdict, True, f"{told} {_where(span)}: {which}; {_promise(found.level)}.")
    if not judged:
        return Verdict("too few rows", None, _nobody_can_say("whether groups fare otherwise", span, _unjudged(found)))
    others = [facet for facet in found.facets if facet not in judged]
    rest = f"; nobody can say so of {_names(others)}" if others else ""
    sentence = (
        f"No group is treated otherwise than before in {_rows(found.rows)} {_where(span)}: {_names(judged)}{rest}"
    )
    return Verdict(found.verdict, False, f"{sentence}.")


def _unjudged(found: BiasReport) -> str:
    """Why no group was judged: of the one that was nearest to it."""
    nearest = max(found.facets, key=lambda facet: min(facet.rows, facet.other_rows))
    why = nearest.note or f"The reference or the window has fewer than {MINIMUM_ROWS} rows of a side with an outcome."
    return f"{_there_are(found.rows)}. {nearest.name}: {why}"


def _names(facets: Sequence[FacetBias]) -> str:
    return listed([facet.name for facet in facets])


def _attribution(drift: DriftReport, sections: Sections, span: Span) -> Verdict:
    told = [one for one in sections.attribution if one.ndcg is not None]
    if not told:
        note = next((one.note for one in sections.attribution), "There is nothing to explain.")
        return Verdict("too few rows", None, _nobody_can_say("what the model looks at", span, note))
    moved = [one for one in told if one.drifted]
    first = (moved or told)[0].words.removesuffix(".")
    sentence = f"{first}, in {_rows(drift.rows)} {_where(span)}"
    if not moved:
        return Verdict("no drift", False, f"{sentence}.")
    return Verdict("drift", True, f"{sentence}; {_promise(moved[0].level)} for each class.")


_VERDICTS: dict[CheckKind, Callable[[DriftReport, Sections, Span], Verdict]] = {
    "drift": _drift,
    "multivariate": _multivariate,
    "data-quality": _data_quality,
    "model-quality": _model_quality,
    "bias": _bias,
    "attribution": _attribution,
}


# ------------------------------------------------------------------------------------------------------------ words


def _where(span: Span) -> str:
    """Which traffic."""
    variant = "" if span.variant is None else f" (variant {span.variant!r})"
    return f"of {span.endpoint!r}{variant} from {span_of(span.start, span.end)}"


def _nobody_can_say(what: str, span: Span, why: str) -> str:
    return f"Nobody can say {what} in the traffic {_where(span)}. {why}"


def _promise(level: float) -> str:
    return f"had nothing changed, the chance of such an alarm would be at most {chance(level)}"


def _there_are(count: int) -> str:
    return f"There {agreed(count, 'are')} {_rows(count)}"


def _rows(count: int) -> str:
    return counted(count, "row")


_Found = TypeVar("_Found")


def _made(section: _Found | None) -> _Found:
    """A section that was not left out."""
    if section is None:
        raise AssertionError("a section is made or left out")
    return section
