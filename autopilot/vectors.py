"""Test vectors: a few rows and their answers inside the model file, to check any runtime by.

They hold the portable file's own inputs and outputs, as JSON that each language can read: docs/model-file.md tells the
layout, and `autopilot.verify` replays them.
"""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autopilot.graph.parity import nothing_but_nulls, portable_feeds, strange_values
from storage.boundary import blocks_of_frame
from storage.errors import ModelFileError, listed
from storage.predictor import open_session
from storage.signature import Signature
from storage.vectors import Vectors, decoded

_ROWS = 10
#: What is put into all columns of a type at once. No NUL, at which WebAssembly ends a text, and nothing long.
_HOSTILE: tuple[tuple[Any, str, str], ...] = (
    (pl.Float64, "infinity", "number"),
    (pl.Float64, "minus infinity", "number"),
    (pl.String, "unseen, with an emoji", "text"),
    (pl.String, "spaces", "text"),
    (pl.Datetime("us"), "July 1969", "time"),
    (pl.Datetime("us"), "2101", "time"),
)
REAL = "a real row"
#: NumPy's type for each type that an input may have.
_DTYPES: dict[str, Any] = {"tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(string)": np.object_}


def make_vectors(file: bytes, signature: Signature, frame: pl.DataFrame) -> Vectors:
    """Ten test vectors from training rows; the answers are the portable file's.

    The last row lacks everything; up to six before it hold infinities, unseen texts, times before 1970; the others are
    as in training, but that sensitive columns are missing in them.
    """
    rows, about = _choose(frame.with_columns(_missing(frame, one.name) for one in signature.columns if one.sensitive))
    feeds = portable_feeds(signature, blocks_of_frame(signature, rows))
    inputs = {name: encoded(values.reshape(-1)) for name, values in feeds.items()}
    return Vectors(about, inputs, {name: encoded(values) for name, values in replay(file, inputs).items()})


def replay(file: bytes, inputs: dict[str, list[float | str]]) -> dict[str, NDArray[Any]]:
    """What the portable file gives for inputs as vectors hold them: each output, rows first; `prediction` is (rows,).

    Raises ModelFileError if the file takes other inputs than these.
    """
    session = open_session(file)
    types = {value.name: _DTYPES.get(value.type) for value in session.get_inputs()}
    names = [output.name for output in session.get_outputs()]
    if types.keys() != inputs.keys():
        raise ModelFileError(
            f"The file takes the columns {listed(sorted(types))}, and its test vectors have {listed(sorted(inputs))}. "
            "Take the file from where it was made."
        )
    try:
        feeds = {name: decoded(inputs[name], dtype).reshape(-1, 1) for name, dtype in types.items()}
        found = dict(zip(names, session.run(names, feeds), strict=True))
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelFileError(f"The file's test vectors cannot be replayed: {error}") from error
    return {name: values.reshape(-1) if name == "prediction" else values for name, values in found.items()}


def encoded(values: NDArray[Any]) -> list[Any]:
    """An array as JSON holds it.

    >>> encoded(np.array([1.5, np.nan, -np.inf])), encoded(np.array([-(2**63), 7]))
    ([1.5, 'NaN', '-Infinity'], ['-9223372036854775808', '7'])
    >>> encoded(np.array([[-np.inf, 1.5], [True, False]])), encoded(np.array([[True, False]]))
    ([['-Infinity', 1.5], [1.0, 0.0]], [[True, False]])
    """
    if values.dtype.kind == "i":
        return [str(value) for value in values.tolist()]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return [encoded(row) for row in values] if values.ndim > 1 else [_number(value) for value in values.tolist()]
    return values.tolist()


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _missing(frame: pl.DataFrame, name: str) -> pl.Expr:
    return pl.lit(None, frame.schema[name]).alias(name)


def _choose(frame: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Rows spread over the table, such rows made hostile, and one that lacks everything; and what each is."""
    spread = frame[:: max(1, frame.height // _ROWS)]
    hostile = [each for each in _HOSTILE if each[0] in frame.dtypes]
    real = spread.head(_ROWS - len(hostile) - 1)
    rows = [real]
    for at, (dtype, value, _) in enumerate(hostile, start=real.height):
        names = [name for name, other in frame.schema.items() if other == dtype]
        cell = pl.lit(strange_values(dtype)[value]).cast(dtype)
        rows.append(spread[[at % spread.height]].with_columns(cell.alias(name) for name in names))
    about = [f"{value} in each {kind} column" for _, value, kind in hostile]
    return pl.concat([*rows, nothing_but_nulls(frame)]), (*[REAL] * real.height, *about, "nothing but nulls")
