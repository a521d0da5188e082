"""What training, serving and monitoring share: the store, and the format of a model.

The three programs meet only here. Training writes a model version, serving reads it and writes traffic, monitoring
reads both; none of them imports another. So whatever two of them must agree on lives in this package:

- the records (`records.py`) and where they are kept (`store.py` is the one door, `tables.py` their columns);
- the signature of a model (`signature.py`) and how values become its inputs (`boundary.py`);
- the `Predictor` that opens a model file with onnxruntime and NumPy alone (`predictor.py`);
- captured traffic (`traffic.py`): a journal that serving appends to, Parquet that monitoring reads.

What may not live here: anything that trains, answers HTTP or judges drift. Start reading at `store.py`.

Decisions:
    Polars is imported inside functions, because a serving process that answers JSON never needs it.
    No pickle: records are JSON by msgspec, blobs are ONNX, Parquet, JSON and HTML. The one exception is what a run
        keeps for itself until it has ended (`work.py`).
    A store is a folder. `Store.open` is the only place that knows, so that a database and an object store can follow.
    onnxruntime reports its use to its maker unless it is told not to before it is imported: we tell it here.
"""

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from storage.errors import (
    AutopilotError,
    BusyError,
    ConflictError,
    DataError,
    FailureError,
    InputError,
    ModelFileError,
    RowError,
    SettingError,
    StoreError,
    StoreVersionError,
    UnknownNameError,
)
from storage.predictor import Predictor
from storage.settings import Settings
from storage.signature import Column, Signature

if TYPE_CHECKING:
    from storage.store import Store

__all__ = [
    "AutopilotError",
    "BusyError",
    "Column",
    "ConflictError",
    "DataError",
    "FailureError",
    "InputError",
    "ModelFileError",
    "Predictor",
    "RowError",
    "SettingError",
    "Settings",
    "Signature",
    "Store",
    "StoreError",
    "StoreVersionError",
    "UnknownNameError",
]


def __getattr__(name: str) -> Any:
    """`Store` is imported when it is first asked for: whoever only needs models or errors is spared SQLAlchemy."""
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from storage.store import Store

    return Store
