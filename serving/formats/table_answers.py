"""Answers as tables: Arrow IPC, as stream and as file, and Parquet, written by Polars, which is loaded for the first.

The columns are those of `formats.answer`: probabilities float32, values float64, labels text or int64, sets lists.
"""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.formats.answer import Answer, answer_columns
from serving.formats.table_process import TableFormat
from storage.signature import Signature

if TYPE_CHECKING:
    import polars as pl


class TableAnswers:
    """Writes answers of one model as tables of one format."""

    def __init__(self, signature: Signature, format: TableFormat) -> None:
        self._signature = signature
        self._format: TableFormat = format

    def write(self, answer: Answer) -> bytes:
        """The body of an answer."""
        import polars as pl

        columns = answer_columns(self._signature, answer)
        frame = pl.DataFrame([_series(name, values) for name, values in columns.items()])
        file = io.BytesIO()
        if self._format == "parquet":
            frame.write_parquet(file)
        else:
            write = frame.write_ipc_stream if self._format == "arrow" else frame.write_ipc
            write(file, compat_level=pl.CompatLevel.oldest())  # types that every reader knows
        return file.getvalue()


def _series(name: str, values: Any) -> "pl.Series":
    import polars as pl

    is_objects = isinstance(values, np.ndarray) and values.dtype == object
    return pl.Series(name, values.tolist() if is_objects else values)
