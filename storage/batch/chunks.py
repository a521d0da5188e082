"""A table file as frames of some thousand rows, in their order and in bounded memory, from any of them on."""

import csv
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import polars as pl

from storage.batch.arrow_stream import batches_of
from storage.batch.lines import blocks_of, first_row
from storage.batch.places import COPY
from storage.batch.rows import Rows, csv_rows, ndjson_rows
from storage.errors import DataError
from storage.formats import UNPACK_ERRORS, Format, found_packing, refuse_repeated, unpacked

#: Large enough that a chunk's fixed cost is nothing, and so small that what is under way on sixteen cores is 0.5 GB.
_BLOCK_BYTES = 8 << 20
_LEAST_ROWS, _MOST_ROWS, _MOST_CELLS = 1_000, 32_768, 2_000_000
#: Chunks of a binary file that are read at once.
_WINDOW = 4
_HEADER_BYTES = 1 << 20
#: What a table's folder may hold while it is read: a copy from an object store, and what was unpacked.
COPIES = (COPY, "unpacked")


class Place(NamedTuple):
    """How far a file is read: so many rows, which end there; for text in bytes, else in rows."""

    rows: int = 0
    end: int = 0


class Chunk(NamedTuple):
    """Some rows. first_row: the first one's number in the file, from 0. faults: of rows that are broken in the file.

    end: as of Place. share: of the file that is read by then, 0 to 1.
    """

    first_row: int
    frame: pl.DataFrame
    faults: dict[int, str]
    end: int
    share: float


class Table(NamedTuple):
    """A file to read. path: on this machine; place: as messages name it; folder: for what has to be unpacked.

    sensitive: whether Polars' words, which may quote a cell, are not to be shown. numbers: columns that need not be
    kept as csv has them written.
    """

    path: Path
    place: str
    form: Format
    folder: Path
    delimiter: str = ","
    sensitive: bool = False
    numbers: frozenset[str] = frozenset()


def chunks_of(table: Table, start: Place) -> Iterator[Chunk]:
    """The rows after `start`; one chunk without rows if the table has none. The same chunks whenever it is asked.

    Raises DataError for a file that cannot be read, or not further.
    """
    refused, rows = "", start.rows
    try:
        chunks = _text_chunks if table.form in ("csv", "tsv", "ndjson") else _binary_chunks
        for chunk in chunks(table, start):
            yield chunk
            rows = chunk.first_row + chunk.frame.height
    except DataError as error:
        raise DataError(f"{table.place!r} {error}") from error
    except UNPACK_ERRORS as error:
        raise DataError(f"{table.place!r} cannot be unpacked{_after(rows)}: {error}. Copy it again.") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        message = f"{table.place!r} cannot be read{_after(rows)}: {{}}. Check the file."
        if not table.sensitive:
            raise DataError(message.format(reason)) from error
        refused = message.format(type(error).__name__)
    if refused:  # outside the handler, so that no traceback shows Polars' words either
        raise DataError(refused)


def _after(rows: int) -> str:
    return f" after {rows:,} rows" if rows else ""


# --------------------------------------------------------------------------------------------------------------- text


def _text_chunks(table: Table, start: Place) -> Iterator[Chunk]:
    with table.path.open("rb") as raw:
        names, begin = _header(table, raw)
        size = max(raw.seek(0, io.SEEK_END), 1)
        file = _at(raw, max(start.end, begin))
        rows, read = start.rows, _reader(table, names)
        for block in blocks_of(file, max(start.end, begin), _BLOCK_BYTES, quoted=table.form != "ndjson"):
            found = read(block.data)
            told = {at: f"Row {rows + at} of {table.place!r} is broken. {fault}" for at, fault in found.faults.items()}
            yield Chunk(rows, found.frame, told, block.end, min(raw.tell() / size, 1.0))
            rows += found.frame.height
        if not rows:
            yield Chunk(0, pl.DataFrame(schema=dict.fromkeys(names, pl.String)), {}, start.end, 1.0)


def _reader(table: Table, names: list[str]) -> Callable[[bytes], Rows]:
    """What reads a block of the format."""
    if table.form == "ndjson":
        return partial(ndjson_rows, names=names)
    return partial(csv_rows, names=names, delimiter=_delimiter(table), numbers=table.numbers.intersection(names))


def _delimiter(table: Table) -> str:
    return "\t" if table.form == "tsv" else table.delimiter


def _header(table: Table, raw: IO[bytes]) -> tuple[list[str], int]:
    """Names of the columns, and where rows begin. Raises DataError if there is none, or a name twice."""
    if table.form == "ndjson":
        block = next(blocks_of(_at(raw, 0), 0, _BLOCK_BYTES, quoted=False), None)
        if block is None or not block.data.strip():
            raise DataError("is empty. Give a file with rows.")
        return ndjson_rows(block.data, None).frame.columns, 0
    head = _at(raw, 0).read(_HEADER_BYTES)
    if not head.strip():
        raise DataError("is empty. Give a file with a header and rows.")
    size = first_row(head)
    try:
        line = head[:size].decode("utf-8-sig")
        names = next(csv.reader([line], delimiter=_delimiter(table)), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"has no csv header in its first line: {error}. Save it as UTF-8, with a header.") from error
    _refuse_repeated(names)
    return names, size


def _refuse_repeated(names: list[str]) -> None:
    try:
        refuse_repeated(names, "")
    except DataError as error:
        raise DataError(str(error).removeprefix("'' ")) from error


def _at(raw: IO[bytes], start: int) -> IO[bytes]:
    """A file, unpacked, from a byte of what is in it."""
    raw.seek(0)
    packing = found_packing(raw.read(4))
    raw.seek(0)
    if not packing:
        raw.seek(start)
        return raw
    file = unpacked(raw, packing)
    while start:
        if not (skipped := len(file.read(min(start, _BLOCK_BYTES)))):
            raise EOFError("it ends too early")
        start -= skipped
    return file


# ------------------------------------------------------------------------------------------------------------- binary


def _binary_chunks(table: Table, start: Place) -> Iterator[Chunk]:
    frames, rows, total = _frames(table, start)
    for frame in frames:
        first, rows = rows, rows + frame.height
        if rows > start.rows or not rows:
            yield Chunk(first, frame, {}, rows, rows / total if total else 0.0)


def _frames(table: Table, start: Place) -> tuple[Iterator[pl.DataFrame], int, int]:
    """Frames of the size that suits the table; the number of the first one's first row; rows in all, 0 if unknown."""
    path = _plain(table)
    if table.form == "arrow" and not _is_arrow_file(path):
        return _regrouped(batches_of(path)), 0, 0
    if table.form == "parquet":
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    else:
        lazy = pl.scan_ipc(path, glob=False)
    total = int(lazy.select(pl.len()).collect().item())
    return _windows(lazy, start.rows, total), start.rows, total


def _windows(lazy: pl.LazyFrame, start: int, total: int) -> Iterator[pl.DataFrame]:
    """The rows from `start`; an empty frame if there are none at all.

    Polars' own batches, `collect_batches`, take 440 MB where this takes 130, and more the larger the file is: it reads
    ahead by row groups. To begin anew for each window costs 0.15 us a row of 30 columns.
    """
    size = _chunk_rows(lazy.collect_schema().len())
    for first in range(start, max(total, 1), size * _WINDOW):
        window = lazy.slice(first, size * _WINDOW).collect()
        yield from (window.slice(at, size) for at in range(0, max(window.height, 1), size))


def _plain(table: Table) -> Path:
    """The file, or where a packed one was unpacked to: a table of contents at the end cannot be read before it."""
    with table.path.open("rb") as raw:
        if not (packing := found_packing(raw.read(4))):
            return table.path
        raw.seek(0)
        plain = table.folder / COPIES[1]
        with plain.open("wb") as into:
            shutil.copyfileobj(unpacked(raw, packing), into, _BLOCK_BYTES)
    return plain


def _is_arrow_file(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"ARROW1"


def _chunk_rows(width: int) -> int:
    return max(_LEAST_ROWS, min(_MOST_ROWS, _MOST_CELLS // max(width, 1)))


def _regrouped(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The rows of frames of any size as frames of exactly one, but for the last; an empty one if there are none."""
    held: list[pl.DataFrame] = []
    height, is_begun = 0, False
    for frame in frames:
        size = _chunk_rows(frame.width)
        held.append(frame)
        height += frame.height
        if height < size:
            continue
        whole = pl.concat(held)
        yield from (whole.slice(at, size) for at in range(0, height - size + 1, size))
        held, height, is_begun = [whole.slice(height - height % size)], height % size, True
    if height or (held and not is_begun):
        yield pl.concat(held)
