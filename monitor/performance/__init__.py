"""Is the model still as good as it was? By labels, which arrive late, and by estimates, which need none.

    answers.py      what a model said of rows, and what happened
    metrics.py      metrics by the field's names, with their errors
    figures.py      values with intervals, and drops against the reference; plain data
    reference.py    how good the model was before it was served
    labelled.py     traffic beside those labels that were known at a time
    delay.py        how long labels take
    realised.py     quality by labels over windows: start reading here
    estimated.py    quality without labels over windows, and here
    calibration.py  scores that say how often they are right
    confidence.py   estimates for classes: confidence-based (CBPE)
    direct.py       estimates for values: direct loss estimation (DLE)
    support.py      rows unlike any of the reference, of which no estimate can speak
    offsets.py      windows that end some days ago, as SageMaker's schedules have them
    sagemaker.py    SageMaker's model quality files

Decisions:
    A figure is of what was known at a time that the caller names (`known_at`), so that it can be had again.
    One metric is judged, the model's own; the others are shown with intervals. A report with windows raises any false
        alarm with a chance of at most `level`: the whole period has half of it, and its windows share the other
        (Bonferroni). Were the whole one test among thirty, it would hardly find a small drop that lasts; were it the
        only one, a sharp drop of one day would be lost in the month.
    A drop also has to reach a floor, so that windows of millions do not alarm on trifles.
    An estimate supposes that what happened depends on inputs as it did in the reference. Nothing that looks at inputs
        and scores alone can see that change (concept drift): an estimate stands in for labels until they come, and
        never instead of them.
"""

from monitor.performance.estimated import EstimatedQuality, EstimatedWindow, estimated
from monitor.performance.figures import Drop, Figure
from monitor.performance.realised import RealisedQuality, RealisedWindow, realised

__all__ = [
    "Drop",
    "EstimatedQuality",
    "EstimatedWindow",
    "Figure",
    "RealisedQuality",
    "RealisedWindow",
    "estimated",
    "realised",
]
