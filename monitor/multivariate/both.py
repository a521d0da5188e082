"""One verdict on all columns together, of both methods."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from monitor.calibrated import check_level
from monitor.charts import number
from monitor.compare import frame_of
from monitor.drift import Kind, Verdict
from monitor.multivariate.classifier import DomainClassifier, domain_classifier
from monitor.multivariate.reconstruction import Reconstruction, reconstruction

#: Columns that a sentence names.
_NAMED = 2


class MultivariateDrift(Struct, frozen=True):
    """Whether the columns together differ from the reference's.

    level: the chance of any alarm without drift; each method has half of it. verdict: `too few rows` where neither
    method looked at anything.
    """

    verdict: Verdict
    drifted: bool
    level: float
    classifier: DomainClassifier
    reconstruction: Reconstruction

    @property
    def words(self) -> str:
        """The finding in a sentence or two, for a report; why nothing was looked at is told once."""
        parts = (_told_apart(self.classifier), _rebuilt(self.reconstruction))
        return parts[0] if self.verdict == "too few rows" else " ".join(filter(None, parts))

    def json(self) -> bytes:
        """The finding as one JSON document, which `MultivariateDrift.parse` reads back."""
        return msgspec.json.encode(self)

    @classmethod
    def parse(cls, data: bytes) -> "MultivariateDrift":
        """A finding from its JSON."""
        return msgspec.json.decode(data, type=cls)


def _told_apart(found: DomainClassifier) -> str:
    if found.auc is None or found.p_value is None:
        return found.note
    auc = number(found.auc)
    if not found.drifted:
        return f"Current rows cannot be told from the reference's (area under the ROC curve {auc}; 0.5 is a guess)."
    columns = [told.column for told in found.told[:_NAMED]]
    by = f", mostly by {' and '.join(map(repr, columns))}" if columns else ""
    return f"Current rows can be told from the reference's{by} (area under the ROC curve {auc}; 0.5 is a guess)."


def _rebuilt(found: Reconstruction) -> str:
    if found.error is None or found.lower is None or found.upper is None:
        return found.note
    how = "are not as near" if found.drifted else "are as near"
    span = f"{number(found.lower)} to {number(found.upper)} by chance"
    return f"They {how} to the reference's main directions as its own rows (mean error {number(found.error)}; {span})."


def multivariate(
    reference: object,
    current: object,
    *,
    kinds: Mapping[str, Kind] | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> MultivariateDrift:
    """Do the columns together differ from the reference's, at a chance of at most `level` without drift?

    Arguments and errors are those of `domain_classifier` and `reconstruction`; also SettingError for a level out of its
    range.

    >>> import numpy as np, polars as pl
    >>> rng = np.random.default_rng(0)
    >>> x, noise = rng.normal(size=(2, 2000))
    >>> together = pl.DataFrame({"x": x, "y": x + 0.3 * noise})
    >>> apart = together[:1000].with_columns(pl.col("y").shuffle(seed=0))  # each column is as it was
    >>> multivariate(together[1000:], apart).verdict
    'drift'
    """
    check_level(level)
    before, after = frame_of(reference, "reference"), frame_of(current, "current")
    told = domain_classifier(before, after, kinds=kinds, level=level / 2, seed=seed)
    rebuilt = reconstruction(before, after, kinds=kinds, level=level / 2, seed=seed)
    drifted = told.drifted or rebuilt.drifted
    tested = told.p_value is not None or rebuilt.p_value is not None
    return MultivariateDrift(
        verdict="drift" if drifted else "no drift" if tested else "too few rows",
        drifted=drifted,
        level=level,
        classifier=told,
        reconstruction=rebuilt,
    )
