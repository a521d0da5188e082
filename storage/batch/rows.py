"""Blocks of text as frames; row by row where one cannot be read as a whole, to tell which row is broken."""

import csv
import io
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from storage.formats import NULL_WORDS

_MISSING = frozenset({"", *NULL_WORDS})


class Rows(NamedTuple):
    """Rows of a block. faults: what is wrong with a row, by its place in the frame, where it is all null."""

    frame: pl.DataFrame
    faults: dict[int, str]


def csv_rows(data: bytes, names: Sequence[str], delimiter: str, numbers: Collection[str] = ()) -> Rows:
    """Rows of a csv text without header, as text: a wrong cell is then named and not guessed around.

    numbers: columns that are read as Float64 where all of the block are numbers, which takes a third of the time. It
    gives the same as `storage.boundary` makes of their text. A blank line is no row, unless there is but one column. A
    row with more or fewer cells than there are names, or that is not UTF-8, is a fault.
    """
    texts = dict.fromkeys(names, pl.String)
    for schema in ({**texts, **dict.fromkeys(numbers, pl.Float64)}, texts):
        try:
            frame = pl.read_csv(data, has_header=False, separator=delimiter, schema=schema, null_values=NULL_WORDS)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            continue
        # Polars fills short rows with nulls: then the last column has some, and there are too few delimiters.
        if len(names) == 1 or not frame.get_column(names[-1]).null_count():
            return Rows(frame, {})
        is_square = _count(data, delimiter) == frame.height * (len(names) - 1)
        return Rows(frame, {}) if is_square else _csv_by_row(data, names, delimiter)
    return _csv_by_row(data, names, delimiter)


def _count(data: bytes, delimiter: str) -> int:
    """How many delimiters stand outside of quotes."""
    if b'"' not in data:
        return data.count(delimiter.encode())
    letters = np.frombuffer(data, dtype=np.uint8)
    is_quoted = np.bitwise_xor.accumulate(letters == ord('"'))
    return int(np.count_nonzero((letters == ord(delimiter)) & ~is_quoted))


def _csv_by_row(data: bytes, names: Sequence[str], delimiter: str) -> Rows:
    csv.field_size_limit(max(csv.field_size_limit(), len(data) + 1))  # of the process: never lowered
    lines = csv.reader(io.StringIO(data.decode(errors="surrogateescape"), newline="\n"), delimiter=delimiter)
    rows: list[Sequence[str | None]] = []
    faults: dict[int, str] = {}
    nothing = [None] * len(names)
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            break
        except csv.Error as error:
            faults[len(rows)] = f"It is no row of csv: {error}."
            rows.append(nothing)
            continue
        if not cells and len(names) > 1:
            continue
        fault = _fault(cells or [""], len(names))
        if fault:
            faults[len(rows)] = fault
        rows.append(nothing if fault else [None if cell in _MISSING else cell for cell in cells or [""]])
    return Rows(pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row"), faults)


def _fault(cells: list[str], width: int) -> str | None:
    if len(cells) != width:
        count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
        return f"It has {count}, and the header has {width}. Correct the line, or the quotes before it."
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "It is not UTF-8. Save the file as UTF-8, for example by: iconv -f latin1 -t utf-8."
    return None


def ndjson_rows(data: bytes, names: Sequence[str] | None) -> Rows:
    """Rows of a text with one JSON object a line; blank lines are none. Line by line if one of them is no object.

    names: of columns that the frame is to have at least, null where the block has none. Raises PolarsError if values
    of one column have nothing in common.
    """
    try:
        return Rows(_with_columns(_objects(data), names), {})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        sound, faults = _sound_lines(data)
        if not faults:
            raise
        frame = _with_columns(_objects(b"\n".join(line for line in sound if line)), names)
        places = np.cumsum([line is not None for line in sound]) - 1
        at = pl.Series(places).set(pl.Series([line is None for line in sound]), None)
        return Rows(frame.select(pl.all().gather(at)), faults)


def _objects(data: bytes) -> pl.DataFrame:
    return pl.read_ndjson(data, infer_schema_length=None) if data.strip() else pl.DataFrame()


def _sound_lines(data: bytes) -> tuple[list[bytes | None], dict[int, str]]:
    """The lines that are not blank, None where one is no object; and why not."""
    lines: list[bytes | None] = []
    faults: dict[int, str] = {}
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        reason = _no_object(line)
        if reason:
            faults[len(lines)] = f"It is no JSON object: {reason}."
        lines.append(None if reason else line)
    return lines, faults


def _no_object(line: bytes) -> str | None:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return str(error)
    return None if isinstance(found, dict) else f"it is {type(found).__name__}"


def _with_columns(frame: pl.DataFrame, names: Sequence[str] | None) -> pl.DataFrame:
    lacking = [name for name in names or () if name not in frame.columns]
    return frame.with_columns(pl.lit(None).alias(name) for name in lacking) if lacking else frame
