"""Reading a table: from a path, a URL, or whatever frame the caller has."""

import csv
import hashlib
import http.client
import io
import re
import urllib.error
import urllib.request
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from autopilot.errors import FetchError
from storage.errors import DataError
from storage.formats import (
    NULL_WORDS,
    UNPACK_ERRORS,
    format_of,
    found_packing,
    known_format,
    refuse_delimiter,
    refuse_repeated,
    unpacked,
)

#: A number that begins with zeros is a code; two digits are a padded month, day, hour or minute.
LEADING_ZERO = r"^\s*[+-]?0[0-9][0-9]"

_URL_TIMEOUT_S = 20


def read(data: Any, *, delimiter: str = ",", text: Collection[str] = (), sensitive: bool = False) -> pl.DataFrame:
    """The table as a Polars frame.

    data: a path or an http(s) URL of csv, tsv, parquet, ndjson or arrow, each also with `.gz` or `.zst`; a Polars
        frame or lazy frame; a pandas frame; a pyarrow table; anything with the Arrow capsule interface
        (`__arrow_c_stream__`).
    delimiter: between the cells of a csv file. text: its columns that are kept as they are written: 01234 is no number
        where it names a level. sensitive: whether it has columns of which no message shows a value: then what went
        wrong in another library is told by the name of its error alone, since its words may quote a cell.

    Raises DataError if there is no table in it, names repeat, or cells cannot be read; FetchError if a URL does not
    answer.
    """
    frame = _without_quotes(data, delimiter, text) if sensitive else _read(data, delimiter, text)
    _refuse_useless(frame, describe(data))
    return frame


def _read(data: Any, delimiter: str, text: Collection[str]) -> pl.DataFrame:
    if isinstance(data, str | Path):
        return _read_place(str(data), delimiter, text)
    if isinstance(data, pl.LazyFrame):
        return _collect(data)
    return data if isinstance(data, pl.DataFrame) else _read_object(data)


def _without_quotes(data: Any, delimiter: str, text: Collection[str]) -> pl.DataFrame:
    """The table; what another library says of it, in an error or as its cause, is replaced."""
    try:
        return _read(data, delimiter, text)
    except DataError as error:
        cause = error.__cause__
        if cause is None or isinstance(cause, OSError | UnicodeDecodeError):  # our own words, and the system's
            raise
        name = type(cause).__name__
    raise DataError(
        f"{describe(data)} cannot be read: {name}. It has sensitive columns, so what the error says is not shown. "
        "Check the table, or read it yourself and give the frame."
    )


def describe(data: Any) -> str:
    """Where a table came from, in words for records and messages."""
    return (
        str(data)
        if isinstance(data, str | Path)
        else f"a {type(data).__module__.partition('.')[0]} {type(data).__name__}"
    )


def digest(frame: pl.DataFrame) -> str:
    """sha256 over names, types and row hashes: equal for equal tables whatever file they came from.

    Python objects, which Polars cannot hash, count by name and type.
    """
    names = repr([(name, str(dtype)) for name, dtype in frame.schema.items()]).encode()
    plain = frame.select(pl.exclude(pl.Object))
    rows = plain.hash_rows().to_numpy().tobytes() if plain.width else b""
    return hashlib.sha256(names + rows).hexdigest()


def _read_place(place: str, delimiter: str, text: Collection[str]) -> pl.DataFrame:
    is_url = place.startswith(("http://", "https://"))
    if not (is_url or Path(place).suffix):
        _read_bytes(place)  # it has no format: if it is missing, or a folder, then that is what to tell
    form = format_of(place)
    data = _fetch(place) if is_url else _read_bytes(place)
    data = _unpacked(data, place)
    if not data.strip():
        raise DataError(f"{place!r} is empty. Give a file with a header and rows.")
    if form in ("csv", "tsv"):
        return read_csv(data, place, "\t" if form == "tsv" else delimiter, text)
    try:
        if form == "parquet":
            return pl.read_parquet(io.BytesIO(data))
        if form == "ndjson":
            return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        return _read_arrow(data)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{place!r} cannot be read as {form}: {_first_line(error)}. Check the file and its ending."
        ) from error


def _read_bytes(place: str) -> bytes:
    try:
        return Path(place).expanduser().read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {place!r}. Check the path; it is taken from {str(Path.cwd())!r}.") from error
    except IsADirectoryError as error:
        raise DataError(f"{place!r} is a folder. Name a file in it.") from error
    except OSError as error:
        raise DataError(f"{place!r} cannot be read: {error.strerror}. Name a file that you may read.") from error


def _fetch(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "autopilot"})  # noqa: S310 - http(s) only, see caller
    try:
        with urllib.request.urlopen(request, timeout=_URL_TIMEOUT_S) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise FetchError(f"{url!r} answered {error.code} {error.reason}. Check the address.") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FetchError(f"{url!r} did not answer: {reason}. Check the address and the network.") from error


def _unpacked(data: bytes, place: str) -> bytes:
    packing = found_packing(data)
    try:
        return unpacked(io.BytesIO(data), packing).read() if packing else data
    except UNPACK_ERRORS as error:
        raise DataError(f"{place!r} is {packing} that cannot be unpacked: {error}. Copy it again.") from error


def _read_arrow(data: bytes) -> pl.DataFrame:
    """Arrow IPC as a file (begins with ARROW1) or as a stream."""
    return pl.read_ipc(io.BytesIO(data)) if data.startswith(b"ARROW1") else pl.read_ipc_stream(io.BytesIO(data))


def read_csv(data: bytes, place: str, delimiter: str, text: Collection[str] = ()) -> pl.DataFrame:
    """A csv table from bytes; types are inferred from all rows, but for columns of text. Raises DataError."""
    refuse_delimiter(delimiter)
    decoded = _decode(data, place)
    header = _read_header(decoded, place, delimiter)
    refuse_repeated(header, place)
    _refuse_other_delimiter(header, place, delimiter)
    overrides = {name: pl.String for name in header if name in text}
    try:
        return _parse_csv(decoded, delimiter, overrides)
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{place!r} has a header and no rows. Give at least a few dozen rows.") from error
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{place!r} cannot be read as csv: {_first_line(error)}. Each row needs {len(header)} cells; "
            'put cells that hold the delimiter in "quotes".'
        ) from error


def _parse_csv(text: str, delimiter: str, overrides: dict[str, type[pl.String]]) -> pl.DataFrame:
    """Times stay text, which `infer` reads: Polars would take 01/05/2024 day first without a word.

    So do codes: 00123 is no number, although all its letters are digits.
    """
    parse = partial(
        pl.read_csv, separator=delimiter, null_values=NULL_WORDS, infer_schema_length=None, truncate_ragged_lines=False
    )
    data = text.encode()
    frame = parse(io.BytesIO(data), schema_overrides=overrides)
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_integer()]
    if not numbers or not re.search(rf'(?:^|["\n ]|{re.escape(delimiter)})0[0-9][0-9]', text):
        return frame
    cells = parse(io.BytesIO(data), columns=numbers, schema_overrides=dict.fromkeys(numbers, pl.String))
    is_code = cells.select(pl.all().str.contains(LEADING_ZERO).any()).row(0, named=True)
    return frame.with_columns(cells.get_column(name) for name in numbers if is_code[name])


def _read_header(text: str, place: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text.split("\n", 1)[0]), delimiter=delimiter), [])
    except csv.Error as error:
        raise DataError(f"{place!r} has no csv header in its first line: {error}. Check the file.") from error


def _decode(data: bytes, place: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{place!r} is not UTF-8: line {line} holds the byte 0x{data[error.start]:02x}. "
            "Save it as UTF-8, for example by: iconv -f latin1 -t utf-8."
        ) from error
    return text if "\n" in text else text.replace("\r", "\n")  # the line ends of old Macintosh programs


def _refuse_other_delimiter(header: list[str], place: str, delimiter: str) -> None:
    """One wide column whose name holds another delimiter: the file is not separated as was said."""
    if len(header) != 1:
        return
    other = next((mark for mark in ";\t|," if mark != delimiter and mark in header[0]), None)
    if other is None:
        return
    option = f"use --delimiter {other!r}"
    if known_format(place) == "tsv":  # which is split at tabs whatever is asked for
        option = "name it .csv" if other == "," else f"name it .csv and {option}"
    raise DataError(
        f"{place!r} has one column, {header[0][:60]!r}, when split at {delimiter!r}. It seems to be separated by "
        f"{other!r}: {option}, or give the table: polars.read_csv(path, separator={other!r})."
    )


def _collect(data: pl.LazyFrame) -> pl.DataFrame:
    try:
        return data.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{describe(data)} cannot be collected: {_first_line(error)}. Correct the query.") from error


def _read_object(data: Any) -> pl.DataFrame:
    columns = getattr(data, "columns", None)
    if columns is not None and type(data).__module__.startswith("pandas"):
        refuse_repeated([str(name) for name in columns], describe(data))
    try:
        if type(data).__module__.startswith("pandas"):
            return pl.from_pandas(data, nan_to_null=True)
        return pl.DataFrame(data)
    except (pl.exceptions.PolarsError, TypeError, ValueError, ImportError) as error:
        raise DataError(
            f"{describe(data)} is no table: {_first_line(error)}. Give a path, a URL, or a Polars, pandas or Arrow "
            "table."
        ) from error


def _refuse_useless(frame: pl.DataFrame, place: str) -> None:
    if frame.width == 0 or frame.height == 0:
        raise DataError(f"{place!r} has {frame.height} rows and {frame.width} columns. Give at least a few dozen rows.")
    if "" in frame.columns:
        raise DataError(f"{place!r} has a column without a name (number {frame.columns.index('') + 1}). Name it.")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
