"""Bias metrics by the names and formulas of SageMaker Clarify (smclarify 0.5).

Each is a function of counts: rows of a table that have the same facet, label and prediction are alike to it. So a
resample of rows is a resample of counts, and a thousand of them cost as much as one. Counts have any number of leading
axes, over which a metric goes at once, and then, as far as a metric needs them,

    group, facet (0 others, 1 the facet), label (0 other, 1 positive), prediction (0 other, 1 positive)

Division by zero follows Clarify: 0 / 0 = 0, x / 0 = ±∞, and the difference of two equal infinities is 0. A metric that
Clarify refuses to compute, mostly since one side is empty, is NaN.

Sources: smclarify/bias/metrics; Das et al., "Fairness measures for machine learning in finance" (2021); Hardt et al.,
"Amazon SageMaker Clarify", KDD 2021.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Stage = Literal["pre_training", "post_training"]
#: What a metric has to know of a row beside its facet, in the order of the axes.
Need = Literal["group", "label", "predicted"]


class Metric(NamedTuple):
    """A bias metric.

    name, description: Clarify's. needs: of rows, beside the facet; counts have axes for these only, in the order of
    the module's text. of: the metric of counts. fair: its value where nobody is put at a disadvantage. left_out: its
    values with one row left out of each cell in turn, where that can be had faster than one after the other: counts
    (..., *cells) to (..., cells); values of empty cells may be anything.
    """

    name: str
    description: str
    stage: Stage
    needs: tuple[Need, ...]
    of: Callable[[Numbers], Numbers]
    fair: float = 0.0
    left_out: Callable[[Numbers], Numbers] | None = None


# ------------------------------------------------------------------------------------------- of facets: (..., facet)


def _class_imbalance(n: Numbers) -> Numbers:
    others, facet = n[..., 0], n[..., 1]
    return np.where((others > 0) & (facet > 0), _divide(others - facet, others + facet), np.nan)


# --------------------------------------------------------------- of labels or predictions: (..., facet, outcome)


def _difference_in_proportions(n: Numbers) -> Numbers:
    rates = _shares(n)[..., 1]
    return rates[..., 0] - rates[..., 1]


def _disparate_impact(n: Numbers) -> Numbers:
    rates = _shares(n)[..., 1]
    return _divide(rates[..., 1], rates[..., 0])


def _kullback_leibler(n: Numbers) -> Numbers:
    others, facet = _common_shares(n)
    return _log_ratio(others, facet).sum(axis=-1) + _refused(others)


def _jensen_shannon(n: Numbers) -> Numbers:
    others, facet = _common_shares(n)
    middle = (others + facet) / 2
    both = _log_ratio(others, middle).sum(axis=-1) + _log_ratio(facet, middle).sum(axis=-1)
    return both / 2 + _refused(others)


def _lp_norm(n: Numbers) -> Numbers:
    return np.sqrt((_apart(n) ** 2).sum(axis=-1))


def _total_variation(n: Numbers) -> Numbers:
    return _apart(n).sum(axis=-1) / 2


def _kolmogorov_smirnov(n: Numbers) -> Numbers:
    return _apart(n).max(axis=-1)


def _apart(n: Numbers) -> Numbers:
    others, facet = _common_shares(n)
    return np.abs(others - facet) + _refused(others)[..., None]


def _common_shares(n: Numbers) -> tuple[Numbers, Numbers]:
    """Both sides' shares of the outcomes that both have; 0 for the others, which Clarify's distances leave out."""
    shares = _shares(n)
    common = (n > 0).all(axis=-2)
    return shares[..., 0, :] * common, shares[..., 1, :] * common


def _refused(shares: Numbers) -> Numbers:
    """NaN where there is no outcome in common, else 0."""
    return np.where(shares.sum(axis=-1) > 0, 0.0, np.nan)


def _log_ratio(p: Numbers, q: Numbers) -> Numbers:
    there = (p > 0) & (q > 0)
    return p * np.log(np.where(there, p, 1.0) / np.where(there, q, 1.0))


# ---------------------------------------------------- conditional on a group: (..., group, facet, outcome)


def _conditional_disparity(n: Numbers) -> Numbers:
    """Σ nᵢ DDᵢ / n, where DDᵢ = the facet's share of the rejected - its share of the accepted, in group i."""
    disparity = _weighted_disparities(n).sum(axis=-1) / np.maximum(n.sum(axis=(-3, -2, -1)), 1)
    return np.where((n.sum(axis=(-3, -2)) > 0).all(axis=-1), disparity, np.nan)


def _weighted_disparities(n: Numbers) -> Numbers:
    """nᵢ DDᵢ of each group: (..., group)."""
    share = _divide(n[..., 1, :], n.sum(axis=-2))
    return n.sum(axis=(-1, -2)) * (share[..., 0] - share[..., 1])


def _conditional_left_out(n: Numbers) -> Numbers:
    """A row that is left out changes its own group's disparity alone."""
    whole, rows = _weighted_disparities(n), np.maximum(n.sum(axis=(-3, -2, -1)) - 1, 1)
    values: list[Numbers] = []
    for facet, outcome in ((0, 0), (0, 1), (1, 0), (1, 1)):
        fewer = n.copy()
        fewer[..., facet, outcome] = np.maximum(fewer[..., facet, outcome] - 1, 0)
        values.append((whole.sum(axis=-1)[..., None] - whole + _weighted_disparities(fewer)) / rows[..., None])
    return np.stack(values, axis=-1).reshape(*n.shape[:-3], -1)


# ------------------------------------------------------- of labels and predictions: (..., facet, label, prediction)


def _conditional_acceptance(n: Numbers) -> Numbers:
    return _others_minus_facet(_divide(n[..., 1, :].sum(axis=-1), n[..., :, 1].sum(axis=-1)), n)


def _conditional_rejection(n: Numbers) -> Numbers:
    return -_others_minus_facet(_divide(n[..., 0, :].sum(axis=-1), n[..., :, 0].sum(axis=-1)), n)


def _recall_difference(n: Numbers) -> Numbers:
    return _others_minus_facet(_divide(n[..., 1, 1], n[..., 1, :].sum(axis=-1)), n)


def _specificity_difference(n: Numbers) -> Numbers:
    return -_others_minus_facet(_divide(n[..., 0, 0], n[..., 0, :].sum(axis=-1)), n)


def _acceptance_rates(n: Numbers) -> Numbers:
    return _others_minus_facet(_divide(n[..., 1, 1], n[..., :, 1].sum(axis=-1)), n)


def _rejection_rates(n: Numbers) -> Numbers:
    return -_others_minus_facet(_divide(n[..., 0, 0], n[..., :, 0].sum(axis=-1)), n)


def _accuracy_difference(n: Numbers) -> Numbers:
    return _others_minus_facet(_divide(n[..., 0, 0] + n[..., 1, 1], n.sum(axis=(-1, -2))), n)


def _treatment_equality(n: Numbers) -> Numbers:
    return -_others_minus_facet(_divide(n[..., 1, 0], n[..., 0, 1]), n)


def _others_minus_facet(rates: Numbers, n: Numbers) -> Numbers:
    """The difference of a rate, (..., facet), where both sides have rows."""
    others, facet = rates[..., 0], rates[..., 1]
    with np.errstate(invalid="ignore"):
        apart = np.where(others == facet, 0.0, others - facet)
    return np.where((n.sum(axis=(-1, -2)) > 0).all(axis=-1), apart, np.nan)


def _generalized_entropy(n: Numbers) -> Numbers:
    """Σ ((bᵢ / mean b)² - 1) / 2n, where b = prediction - label + 1 is what a row gains; whatever its facet."""
    cells = n.sum(axis=-3)
    rows = cells.sum(axis=(-1, -2))
    right, gained = cells[..., 0, 0] + cells[..., 1, 1], cells[..., 0, 1]
    mean = _divide(right + 2 * gained, rows)
    squares = _divide(right + 4 * gained, rows)
    return np.where(mean > 0, (_divide(squares, mean**2) - 1) / 2, np.nan)


# ----------------------------------------------------------------------------------------------------- arithmetic


def _shares(n: Numbers) -> Numbers:
    """Of each side's rows, those with each outcome; NaN for all where a side is empty."""
    rows = n.sum(axis=-1, keepdims=True)
    full = (rows > 0).all(axis=-2, keepdims=True)
    return np.where(full, n / np.maximum(rows, 1), np.nan)


def _divide(a: Numbers, b: Numbers) -> Numbers:
    """Clarify's division: 0 / 0 = 0, x / 0 = ±∞.

    >>> _divide(np.array([0.0, 1.0, -1.0, 1.0]), np.array([0.0, 0.0, 0.0, 4.0])).tolist()
    [0.0, inf, -inf, 0.25]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (b == 0), 0.0, np.divide(a, b))


_LABEL: tuple[Need, ...] = ("label",)
_PREDICTED: tuple[Need, ...] = ("predicted",)
_BOTH: tuple[Need, ...] = ("label", "predicted")

METRICS: tuple[Metric, ...] = (
    Metric("CI", "Class Imbalance (CI)", "pre_training", (), _class_imbalance),
    Metric(
        "DPL",
        "Difference in Positive Proportions in Labels (DPL)",
        "pre_training",
        _LABEL,
        _difference_in_proportions,
    ),
    Metric("KL", "Kullback-Liebler Divergence (KL)", "pre_training", _LABEL, _kullback_leibler),
    Metric("JS", "Jensen-Shannon Divergence (JS)", "pre_training", _LABEL, _jensen_shannon),
    Metric("LP", "L-p Norm (LP)", "pre_training", _LABEL, _lp_norm),
    Metric("TVD", "Total Variation Distance (TVD)", "pre_training", _LABEL, _total_variation),
    Metric("KS", "Kolmogorov-Smirnov Distance (KS)", "pre_training", _LABEL, _kolmogorov_smirnov),
    Metric(
        "CDDL",
        "Conditional Demographic Disparity in Labels (CDDL)",
        "pre_training",
        ("group", "label"),
        _conditional_disparity,
        left_out=_conditional_left_out,
    ),
    Metric(
        "DPPL",
        "Difference in Positive Proportions in Predicted Labels (DPPL)",
        "post_training",
        _PREDICTED,
        _difference_in_proportions,
    ),
    Metric("DI", "Disparate Impact (DI)", "post_training", _PREDICTED, _disparate_impact, fair=1.0),
    Metric("DCA", "Difference in Conditional Acceptance (DCA)", "post_training", _BOTH, _conditional_acceptance),
    Metric("DCR", "Difference in Conditional Rejection (DCR)", "post_training", _BOTH, _conditional_rejection),
    Metric("RD", "Recall Difference (RD)", "post_training", _BOTH, _recall_difference),
    Metric("SD", "Specificity Difference (SD)", "post_training", _BOTH, _specificity_difference),
    Metric("DAR", "Difference in Acceptance Rates (DAR)", "post_training", _BOTH, _acceptance_rates),
    Metric("DRR", "Difference in Rejection Rates (DRR)", "post_training", _BOTH, _rejection_rates),
    Metric("AD", "Accuracy Difference (AD)", "post_training", _BOTH, _accuracy_difference),
    Metric(
        "CDDPL",
        "Conditional Demographic Disparity in Predicted Labels (CDDPL)",
        "post_training",
        ("group", "predicted"),
        _conditional_disparity,
        left_out=_conditional_left_out,
    ),
    Metric("TE", "Treatment Equality (TE)", "post_training", _BOTH, _treatment_equality),
    Metric("GE", "Generalized Entropy (GE)", "post_training", _BOTH, _generalized_entropy),
)
