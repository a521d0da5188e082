"""The bias of an endpoint's traffic: a window against the model's reference, or against an earlier window."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from monitor.facets.bias import Allowed, BiasReport, bias
from monitor.facets.choice import Choice, Facet
from monitor.performance.reference import read_sample
from storage.errors import SettingError
from storage.labels.joined import TRUTH, labelled_traffic
from storage.records import ModelVersion
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from storage.store import Store

#: A stretch of time, `start <= time < end`.
Window = tuple[datetime, datetime]


def bias_of_traffic(
    store: "Store",
    endpoint_name: str,
    facets: Sequence[Facet],
    window: Window,
    *,
    positive: Choice | None = None,
    baseline: Window | None = None,
    group: str | None = None,
    features: Sequence[str] = (),
    allowed: Allowed | None = None,
    level: float = 0.05,
    seed: int = 0,
) -> BiasReport:
    """Bias of what the version that the endpoint serves now answered in a window, by the labels that have come so far.

    positive: the favourable outcomes; by default the second of the model's two classes. baseline: an earlier window of
    the same version; without it the model's reference sample, which has predictions and no labels, so that metrics that
    need labels are told and not tested. A facet that was redacted in the window has no metrics. Other arguments and
    errors are those of `bias`; also UnknownNameError for an endpoint that the store does not hold.
    """
    endpoint = store.endpoints.get(endpoint_name)
    version = store.models.get(f"{endpoint.model}:{endpoint.version}")
    usual = unlabelled(version.signature, read_sample(store, version))
    current = _traffic(store, endpoint_name, version, window, usual)
    return bias(
        current,
        facets,
        positive=positive or favourable(version.signature),
        label=TRUTH,
        predicted=OUTPUT_PREFIX + version.signature.outputs[0],
        group=group,
        features=features,
        reference=usual if baseline is None else _traffic(store, endpoint_name, version, baseline, usual),
        allowed=allowed,
        level=level,
        seed=seed,
    )


def unlabelled(signature: Signature, sample: pl.DataFrame) -> pl.DataFrame:
    """A reference sample, with labels that nobody knows."""
    return sample.with_columns(pl.lit(None, sample.schema[OUTPUT_PREFIX + signature.outputs[0]]).alias(TRUTH))


def _traffic(store: "Store", endpoint: str, version: ModelVersion, window: Window, usual: pl.DataFrame) -> pl.DataFrame:
    """Rows of a window with their labels; without any, the columns of the reference."""
    start, end = window
    found = labelled_traffic(store, endpoint, start, end, model=version.name, version=version.version)
    return found if found.width else usual.clear()


def favourable(signature: Signature) -> Choice:
    """The second of a model's two classes. Raises SettingError for a model that has not two."""
    if signature.task != "binary":
        what = "values" if signature.classes else "a threshold"
        raise SettingError(
            f"The model's task is {signature.task}, so nobody knows which outcome is favourable. Give `positive`: a "
            f"Choice with {what}."
        )
    return Choice(values=(signature.classes[1],))
