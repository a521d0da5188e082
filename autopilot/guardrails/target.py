"""The target itself: classes that are rare, values that are far out, rows that are too few."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from autopilot.guardrails.caught import SHOWN, Caught
from autopilot.guardrails.sample import Sample
from autopilot.search.folds import NESTED_ROWS
from autopilot.table.findings import Finding, Severity
from storage.errors import listed

#: A class with fewer rows than the most folds has none in some of them.
_FOLDS = 8
#: The share of the rarest of two classes from which they are told to be unequal, and from which it is a warning.
_UNEQUAL, _VERY_UNEQUAL = 0.1, 0.01
#: Of the squared deviations, what the thousandth of the rows that are furthest out hold: 1.5% of a normal
#: distribution's, a tenth of a lognormal one's with sigma 1.
_FAR_OUT_ROWS, _FAR_OUT = 0.001, 0.4
_SKEWED = 2.0
#: Fewer rows than that for each column, or for each class, are told.
_LEAST_ROWS, _ROWS_EACH = 100, 1.0


def classes(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Classes of few rows, and two classes of very unequal shares."""
    signature = sample.table.signature
    if not signature.classes:
        return
    counts = np.bincount(sample.table.y.astype(np.int64), minlength=len(signature.classes))
    rare = np.flatnonzero(counts < _FOLDS)
    if len(rare):
        names = listed([str(signature.classes[at]) for at in rare], SHOWN)
        yield _of_target(
            "warning",
            "rare_classes",
            f"{len(rare)} of {len(counts)} classes have fewer rows than there are folds: {names}.",
            f"{counts[rare].min()} to {counts[rare].max()} rows each; folds are up to {_FOLDS}",
            "They are learnt, but hardly validated.",
            "Give more rows of them, or join classes before the fit.",
        )
    if len(counts) == 2 and (share := counts.min() / counts.sum()) < _UNEQUAL:
        rarest = signature.classes[int(counts.argmin())]
        yield _of_target(
            "warning" if share < _VERY_UNEQUAL else "info",
            "imbalance",
            f"Class {rarest!r} is rare, so that accuracy says little: the other class alone has {1 - share:.1%}.",
            f"{counts.min():,} of {counts.sum():,} rows, {share:.2%}",
            "Folds have their share of it, and thresholds are chosen for the metric.",
            "To weigh classes alike: weight='balanced'. To score by what is found: metric='average_precision'.",
        )


def values(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """Values of a quantity that are far out, or lie on one side."""
    if sample.table.signature.classes:
        return
    y = sample.table.y
    squares = (sample.y - np.median(sample.y)) ** 2
    most = max(1, round(_FAR_OUT_ROWS * len(y)))
    furthest = np.argpartition(squares, len(y) - most)[len(y) - most :]
    share = float(squares[furthest].sum() / (squares.sum() or 1.0))
    if share >= _FAR_OUT and len(y) >= _LEAST_ROWS:
        low, high = np.quantile(y, [0.01, 0.99])
        yield _of_target(
            "warning",
            "outliers",
            f"A few values are far out, such as {y[furthest[squares[furthest].argmax()]]:g}: squared errors are "
            "theirs alone.",
            f"{most:,} of {len(y):,} rows hold {share:.0%} of the squared deviations; 98% of rows lie between {low:g} "
            f"and {high:g}",
            "They were kept.",
            "If they are mistakes, correct or drop their rows; if not, metric='mae' counts them once.",
        )
    elif (skew := _skew(sample.y)) >= _SKEWED and y.min() >= 0:
        yield _of_target(
            "info",
            "skewed",
            "The target has a long tail of large values, which squared errors weigh most.",
            f"skewness {skew:.1f}; median {np.median(y):g}, largest {y.max():g}",
            "Nothing was changed.",
            "If relative errors count: metric='rmsle'.",
        )


def _skew(y: NDArray[np.float64]) -> float:
    """The third standardised moment."""
    apart = (y - y.mean()) / (y.std() or 1.0)
    return float((apart**3).mean())


def few_rows(sample: Sample, gone: frozenset[str]) -> Iterator[Caught]:
    """A table too small for what it shall tell."""
    height, width = sample.table.frame.height, len(sample.names)
    if height < _LEAST_ROWS:
        message = f"The table has {height} rows: any score on them is off by much."
    elif height < _ROWS_EACH * width:
        message = f"The table has more columns than rows, {width:,} and {height:,}: some column fits by chance."
    else:
        return
    action = "The score is a nested estimate, with its error." if height < NESTED_ROWS else "Nothing was changed."
    evidence = f"{height:,} rows, {width:,} columns"
    yield _of_target("warning", "few_rows", message, evidence, action, "Give more rows, or ignore columns.")


def _of_target(severity: Severity, code: str, message: str, evidence: str, action: str, overrule: str) -> Caught:
    return Caught(Finding(severity, code, message, None, evidence, action, overrule))
