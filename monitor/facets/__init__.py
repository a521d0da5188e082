"""Bias over time: is a group of people treated otherwise than all others, and has that changed?

- `choice.py`: which rows belong to a facet, which outcomes are favourable;
- `metrics.py`: Clarify's metrics, each a function of counts; `flip.py`: the one that is not;
- `resampling.py`: intervals and calibrated tests; `bias.py`: the report, start reading here;
- `clarify.py`: Clarify's files; `traffic.py`: the bias of an endpoint's traffic.

Decisions:
    A metric is computed from a dozen counts, so that resampling rows costs next to nothing at any size of table.
    Names and formulas are Clarify's down to its oddities, since baselines come from there: distances of distributions
    leave out what only one side has, and 0 / 0 is 0. What we add are verdicts, which Clarify has no rate of errors for.
    The flip test has an interval, but no test: it would have to find all neighbours anew for each draw.
"""

from monitor.facets.bias import BiasReport, FacetBias, MetricBias, bias
from monitor.facets.choice import Choice, Facet, facets_named, facets_of
from monitor.facets.clarify import allowed_by, analysis, read_constraints, violations
from monitor.facets.traffic import bias_of_traffic

__all__ = [
    "BiasReport",
    "Choice",
    "Facet",
    "FacetBias",
    "MetricBias",
    "allowed_by",
    "analysis",
    "bias",
    "bias_of_traffic",
    "facets_named",
    "facets_of",
    "read_constraints",
    "violations",
]
