"""A registered version's own explainer: its predictions are held against its stored sample of training rows."""

from typing import TYPE_CHECKING

from storage.explain.shapley import Explainer
from storage.predictor import Predictor
from storage.records import ModelVersion
from storage.store import Store

if TYPE_CHECKING:
    import polars as pl


def explainer_of(store: Store, version: ModelVersion, predictor: Predictor | None = None) -> Explainer:
    """The explainer of a version, which gives what `result.explain` and `autopilot explain` give.

    It takes some tenths of a second and loads onnx and Polars; keep it as long as the version is served. The store is
    not needed afterwards. predictor: the version's, if it is open already. Raises StoreError if the file or the sample
    is gone, ModelFileError if the file cannot be opened.
    """
    opened = Predictor(store.models.read_file(version)) if predictor is None else predictor
    return Explainer(opened, read_usual(store, version))


def read_usual(store: Store, version: ModelVersion) -> "pl.DataFrame":
    """The reference sample of a registered version: what its predictions are held against."""
    import polars as pl

    return pl.read_parquet(store.models.read_reference(version))
