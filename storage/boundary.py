"""The one place where raw values become a model's inputs, and a missing value gets its sentinel.

ONNX knows no null, and onnxruntime turns None into the string "None" without a word. So each way in (a frame, a row, a
decoded request) passes through here: numbers become float64 with NaN for missing, text becomes str with "" for
missing, times become int64 microseconds since 1970 UTC with the smallest int64 for missing.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.errors import DataError, RowError, listed
from storage.signature import BLOCK_OF_KIND, BLOCKS, Block, Column, Signature

if TYPE_CHECKING:
    import polars as pl

MISSING_TIME = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = (int, float, np.integer, np.floating, np.bool_, Decimal)


class Blocks(NamedTuple):
    """The packed inputs of N rows.

    number: float64 (N, P). text: object array of str (N, Q), categories and text in the signature's order.
    time: int64 (N, R).
    """

    number: NDArray[np.float64]
    text: NDArray[np.object_]
    time: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.number)

    def slice(self, start: int, stop: int) -> "Blocks":
        """The rows from `start` to before `stop`."""
        return Blocks(self.number[start:stop], self.text[start:stop], self.time[start:stop])


# ---------------------------------------------------------------------------------------------------------- frames


def typed(signature: Signature, frame: "pl.DataFrame", *, first_row: int = 0) -> "pl.DataFrame":
    """Exactly the signature's columns: Float64 without NaN, String without "", Datetime("us") in UTC without a zone.

    Null is missing. Columns that the model does not take are left out. first_row: number of the frame's first row, for
    messages. Raises DataError that names the first column that is absent or the first cell that has another type than
    in training.
    """
    present = set(frame.columns)
    absent = [name for name in signature.names if name not in present]
    if absent:
        raise DataError(
            f"The data lacks {listed(absent)}, which the model takes. It has {listed(frame.columns)}. "
            "Add the column; where its values are unknown, fill it with nulls."
        )
    columns = [_Given(column, frame.get_column(column.name), first_row) for column in signature.columns]
    return frame.select(given.typed() for given in columns)


def blocks_of_frame(signature: Signature, frame: "pl.DataFrame") -> Blocks:
    """Packed inputs of a frame that `typed` returned."""
    import polars as pl

    rows = frame.height
    number, text, time = (signature.block(block) for block in ("number", "text", "time"))
    return Blocks(
        frame.select(pl.col(name).fill_null(float("nan")) for name in number).to_numpy(order="c")
        if number
        else np.empty((rows, 0)),
        np.column_stack([np.array(frame.get_column(name).fill_null("").to_list(), dtype=object) for name in text])
        if text
        else np.empty((rows, 0), dtype=object),
        frame.select(pl.col(name).to_physical().fill_null(MISSING_TIME) for name in time).to_numpy(order="c")
        if time
        else np.empty((rows, 0), dtype=np.int64),
    )


class _Given(NamedTuple):
    """A column as it came, and what it should be. first_row: the number of its first row, for messages."""

    column: Column
    series: "pl.Series"
    first_row: int

    def typed(self) -> "pl.Series":
        block = BLOCK_OF_KIND[self.column.kind]
        if block == "number":
            return self._number()
        return self._text() if block == "text" else self._time()

    def _number(self) -> "pl.Series":
        import polars as pl

        series = self.series
        if series.dtype == pl.Duration:
            return series.dt.total_microseconds().cast(pl.Float64)
        if series.dtype == pl.Time:
            return (series.to_physical() // 1000).cast(pl.Float64)
        if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.String, pl.Null)):
            raise self._type_changed()
        if series.dtype == pl.String and self.column.dtype == "Boolean":
            series = series.str.to_lowercase().replace({"true": "1", "false": "0"})
        bare = series.str.strip_chars() if series.dtype == pl.String else series
        cast = bare.cast(pl.Float64, strict=False)
        self._refuse_lost(cast, "Send a number or null.")
        return cast.fill_nan(None)

    def _text(self) -> "pl.Series":
        import polars as pl

        series = self.series
        if series.dtype.is_float():  # whole numbers with nulls arrive as floats from pandas and csv
            known = series.fill_nan(None)
            whole = known.cast(pl.Int64, strict=False)
            if not whole.cast(pl.Float64).eq_missing(known.cast(pl.Float64)).all():
                raise self._type_changed()
            series = whole
        if series.dtype.is_integer() or series.dtype in (pl.String, pl.Null, pl.Boolean, pl.Categorical, pl.Enum):
            text = series.cast(pl.String)
            return text.set(text == "", None)
        raise self._type_changed()

    def _time(self) -> "pl.Series":
        import polars as pl

        series = self.series
        if series.dtype == pl.Datetime:
            zone = getattr(series.dtype, "time_zone", None)
            naive = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series
            return _in_microseconds(naive)
        if series.dtype.is_integer():
            micros = series.cast(pl.Int64, strict=False)
            self._refuse_lost(micros, "Send microseconds since 1970, at most 2**63.")
            return micros.cast(pl.Datetime("us"))
        if series.dtype in (pl.Date, pl.Null):
            return series.cast(pl.Datetime("us"))
        if series.dtype == pl.String:
            parsed = parse_times(series)
            self._refuse_lost(parsed, "Send a date or time such as 2024-05-01 or 2024-05-01T13:30:00Z.")
            return parsed
        raise self._type_changed()

    def _refuse_lost(self, after: "pl.Series", remedy: str) -> None:
        """Raise for the first cell that held something which the cast could not keep."""
        lost = (self.series.is_not_null() & after.is_null()).arg_true()
        if lost.len():
            row = int(lost[0])
            raise DataError(_wrong_cell(self.column, self.first_row + row, self.series[row], remedy))

    def _type_changed(self) -> DataError:
        return DataError(
            f"Column {self.column.name!r} was {self.column.kind} ({self.column.dtype}) in training; here it is "
            f"{self.series.dtype}. Convert it before you predict."
        )


def _in_microseconds(times: "pl.Series") -> "pl.Series":
    """A Datetime column in microseconds; milliseconds beyond them end at the last one, 292,000 years from now."""
    import polars as pl

    if times.dtype == pl.Datetime("ms"):
        most = (2**63 - 1) // 1000
        return (times.to_physical().clip(-most, most) * 1000).cast(pl.Datetime("us"))
    return times.dt.cast_time_unit("us")


def parse_times(series: "pl.Series") -> "pl.Series":
    """Strings to Datetime("us") in UTC by ISO 8601: a date, or a date and a time with or without a zone; else null."""
    import polars as pl

    name = series.name
    text = series.str.strip_chars().str.replace("T", " ", literal=True).str.replace(r"\s*Z$", "+00:00").alias("text")
    instants = pl.DataFrame(text).select(
        pl.coalesce(
            pl.col("text")
            .str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False)
            .dt.replace_time_zone(None),
            pl.col("text").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
            pl.col("text")
            .str.to_datetime("%Y-%m-%d %H:%M%:z", time_unit="us", strict=False)
            .dt.replace_time_zone(None),
            pl.col("text").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False),
            pl.col("text").str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
        ).alias(name)
    )
    return instants.get_column(name)


# ------------------------------------------------------------------------------------------------------------ rows


def blocks_of_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> Blocks:
    """Packed inputs of rows as dictionaries: numbers and booleans, strings, datetimes or ISO 8601 strings, None.

    Each row has each of the signature's columns; None, NaN and NaT are missing. A row may also carry the target and
    what training dropped; any other name is refused, since it is a misspelling. Raises RowError.
    """
    values: dict[Block, list[Any]] = {"number": [], "text": [], "time": []}
    layout: list[tuple[Column, Block]] = [(column, BLOCK_OF_KIND[column.kind]) for column in signature.columns]
    for number, row in enumerate(rows):
        for column, block in layout:
            try:
                value = row[column.name]
            except KeyError:
                raise absent_column(number, column.name) from None
            values[block].append(_CONVERT[block](column, value, number))
        if len(row) > len(layout):
            refuse_unknown(signature, row, number)
    number, text, time = ((len(rows), len(signature.block(block))) for block in BLOCKS)
    return Blocks(
        np.array(values["number"], dtype=np.float64).reshape(number),
        np.array(values["text"], dtype=object).reshape(text),
        np.array(values["time"], dtype=np.int64).reshape(time),
    )


def absent_column(row: int, column: str) -> RowError:
    """The error for a row without one of the model's columns."""
    return RowError(f"Row {row} lacks column {column!r}. Send it, or null if it is unknown.", row=row, column=column)


def refuse_unknown(signature: Signature, names: "Mapping[str, Any] | Sequence[str]", row: int) -> None:
    """Raise RowError for the first name that is neither an input nor the target nor a dropped column."""
    known = set(signature.names) | signature.ignorable
    for name in names:
        if name not in known:
            raise RowError(
                f"Row {row} has a column {name!r} that the model does not know. It takes {listed(signature.names)}.",
                row=row,
                column=name,
            )


def number_value(column: Column, value: Any, row: int) -> float:
    """A number as float64: NaN for None; durations and times of day in microseconds, as in frames.

    Raises RowError for text, and for whole numbers beyond float64.
    """
    if value is None:
        return float("nan")
    if isinstance(value, _NUMBERS):
        try:
            return float(value)
        except (OverflowError, ValueError):  # 10**400, a signalling NaN
            pass
    elif isinstance(value, timedelta):
        return float(value // _MICROSECOND)
    elif isinstance(value, time):
        return float((datetime.combine(_EPOCH, value, UTC) - _EPOCH) // _MICROSECOND)
    elif _is_missing(value):
        return float("nan")
    raise _wrong_value(column, row, value, "Send a number or null.")


def text_value(column: Column, value: Any, row: int) -> str:
    """A category or text: "" for None. Whole numbers and booleans are written as Polars writes them."""
    if isinstance(value, str):
        if value.isascii() or _is_utf8(value):
            return value
        raise _wrong_value(column, row, value, "Send text that UTF-8 can hold.")
    if value is None or _is_missing(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    raise _wrong_value(column, row, value, "Send a string or null.")


def time_value(column: Column, value: Any, row: int) -> int:
    """A time in microseconds since 1970 UTC: the smallest int64 for None. A time without a zone is taken as UTC."""
    if value is None or _is_missing(value):
        return MISSING_TIME
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < 2**63:
        return int(value)
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return (aware - _EPOCH) // _MICROSECOND
        if isinstance(value, date):
            return (datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH) // _MICROSECOND
    except ValueError:
        pass
    raise _wrong_value(column, row, value, "Send a date or time such as 2024-05-01 or 2024-05-01T13:30:00Z, or null.")


_CONVERT: dict[Block, Callable[[Column, Any, int], Any]] = {
    "number": number_value,
    "text": text_value,
    "time": time_value,
}


def _is_missing(value: Any) -> bool:
    """NaN and NaT are the values that differ from themselves; pandas' NA and arrays do not say whether they do."""
    try:
        return not isinstance(value, str) and bool(value != value)
    except (TypeError, ValueError):
        return False


def _is_utf8(text: str) -> bool:
    """Whether no surrogate stands alone; onnxruntime would raise for one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong_value(column: Column, row: int, value: Any, remedy: str) -> RowError:
    return RowError(_wrong_cell(column, row, value, remedy), row=row, column=column.name)


def _wrong_cell(column: Column, row: int, value: Any, remedy: str) -> str:
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    return f"Column {column.name!r} was {column.kind} in training; row {row} holds {shown}. {remedy}"
