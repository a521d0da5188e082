"""Tables and rows as bodies of invocations, and answers read back."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from storage.errors import FailureError, InputError

if TYPE_CHECKING:
    import polars as pl


def body_of(table: Any) -> bytes:
    """A table as JSON rows: whatever `autopilot.read` takes, or a list of dictionaries.

    Raises InputError for an infinite number: JSON has none, and Polars would write null, which is another value.
    """
    import polars as pl

    from autopilot.table.read import read

    frame = pl.DataFrame(table, infer_schema_length=None) if _is_rows(table) else read(table)
    for series in frame.iter_columns():
        rows = series.is_infinite().arg_true() if series.dtype.is_float() else []
        if len(rows):
            raise InputError(
                f"Column {series.name!r} is {series[rows[0]]} in row {rows[0]}, which JSON cannot say. Send a number "
                "or null."
            )
    return frame.write_json().encode()


def frame_of(answer: bytes) -> "pl.DataFrame":
    """The columns of `Result.predict`, of an answer: `label` and `p_CLASS`, or `prediction`."""
    import polars as pl

    rows = rows_of(answer)
    if rows and "value" in rows[0]:
        return pl.DataFrame({"prediction": [row["value"] for row in rows]})
    shares = [{f"p_{name}": share for name, share in row["probabilities"].items()} for row in rows]
    return pl.DataFrame([{"label": row["label"], **share} for row, share in zip(rows, shares, strict=True)])


def rows_of(answer: bytes) -> list[dict[str, Any]]:
    """The predictions of an answer, as they stand there. Raises FailureError if it is none."""
    try:
        return msgspec.json.decode(answer, type=dict[str, list[dict[str, Any]]])["predictions"]
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError) as error:
        raise FailureError(f"The server's answer holds no predictions: {error}. Is it an autopilot server?") from error


def _is_rows(table: Any) -> bool:
    return isinstance(table, Sequence) and not isinstance(table, str) and all(isinstance(row, Mapping) for row in table)
