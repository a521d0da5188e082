"""The same rows as bodies of all formats, written by those who write them: json, csv, NumPy, Polars and pyarrow."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from serving.media import Format
from storage import Column, Signature
from storage.signature import Dropped

#: A column of each kind, and of each way in which training may have had its values.
COLUMNS = (
    Column("amount", "number", "Float64"),
    Column("visits", "number", "Int64"),
    Column("member", "number", "Boolean"),
    Column("town", "category", "String"),
    Column("zone", "category", "Int64"),
    Column("note, with a comma", "text", "String"),
    Column("seen", "time", "Datetime(time_unit='us', time_zone=None)"),
    Column("since", "time", "Int64", format="s"),
)
SIGNATURE = Signature("regression", "price", COLUMNS, (Dropped("id", "each row has another value"),))
NAMES = list(SIGNATURE.names)

Row = dict[str, Any]

_DTYPES = {
    "amount": pl.Float64,
    "visits": pl.Int64,
    "member": pl.Boolean,
    "town": pl.String,
    "zone": pl.Int64,
    "note, with a comma": pl.String,
    "seen": pl.Datetime("us"),
    "since": pl.Int64,
}


class Encoding(NamedTuple):
    """A way to send rows of `SIGNATURE`."""

    format: Format
    write: Callable[[Sequence[Row]], bytes]


def _jsonable(row: Row) -> Row:
    """In the order of the signature."""
    return {name: row[name].isoformat() if isinstance(row[name], datetime) else row[name] for name in NAMES}


def _json(rows: Sequence[Row]) -> bytes:
    return json.dumps([_jsonable(row) for row in rows], ensure_ascii=False).encode()


def _json_lists(rows: Sequence[Row]) -> bytes:
    return json.dumps({"instances": [list(_jsonable(row).values()) for row in rows]}).encode()


def _json_lines(rows: Sequence[Row]) -> bytes:
    return "\n".join(json.dumps(_jsonable(row)) for row in rows).encode()


def _csv(rows: Sequence[Row], *, header: bool, order: Sequence[str] = NAMES) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    if header:
        writer.writerow(order)
    writer.writerows([_jsonable(row)[name] for name in order] for row in rows)
    return file.getvalue().encode()


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a frame, each column with the type that its values have."""
    return pl.DataFrame(list(rows), schema=_DTYPES)


def _by_polars(method: str, rows: Sequence[Row], **options: Any) -> bytes:
    file = io.BytesIO()
    getattr(frame(rows), method)(file, **options)
    return file.getvalue()


def _table(rows: Sequence[Row]) -> pa.Table:
    """As pandas users have it: towns as dictionaries, times with a zone, and columns that the model does not take."""
    table = frame(rows).to_arrow().append_column("id", pa.array(range(len(rows)), pa.int64()))
    town, seen = (pa.concat_arrays(table.column(name).chunks) for name in ("town", "seen"))
    table = table.set_column(NAMES.index("town"), "town", town.cast(pa.string()).dictionary_encode())
    return table.set_column(NAMES.index("seen"), "seen", seen.cast(pa.timestamp("us", "UTC")))


def _by_pyarrow(new: Any, rows: Sequence[Row], compression: str | None) -> bytes:
    file, table = io.BytesIO(), _table(rows)
    with new(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=3)
    return file.getvalue()


def _parquet_by_pyarrow(rows: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    pq.write_table(_table(rows), file, compression="gzip", row_group_size=2, data_page_version="2.0")
    return file.getvalue()


def _npy_of_fields(rows: Sequence[Row]) -> bytes:
    """Fields whose types can say that a value is missing, in another order than the model's."""
    texts = max([1, *(len(row[name] or "") for row in rows for name in ("town", "note, with a comma"))])
    fields = {
        "since": "<f8",
        "town": f"<U{texts}",
        "note, with a comma": f"<U{texts}",
        "id": "<i4",
        "amount": ">f8",
        "visits": "<f8",
        "member": "<f4",
        "zone": "<f8",
        "seen": "<M8[us]",
    }
    array = np.zeros(len(rows), dtype=list(fields.items()))
    for name, code in fields.items():
        missing: Any = {"f": np.nan, "U": "", "M": "NaT"}.get(code[1])
        for at, row in enumerate(rows):
            if name != "id":
                array[name][at] = missing if row[name] is None else row[name]
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npy_of_texts(rows: Sequence[Row], *, bytes_: bool = False) -> bytes:
    """All cells as text, in the model's order."""
    cells = [[_text(cell) for cell in _jsonable(row).values()] for row in rows]
    array = np.array([[cell.encode() for cell in row] for row in cells] if bytes_ else cells)
    file = io.BytesIO()
    np.save(file, np.asfortranarray(array))
    return file.getvalue()


def _text(cell: Any) -> str:
    return "" if cell is None else repr(cell) if isinstance(cell, float) else str(cell)


ENCODINGS: dict[str, Encoding] = {
    "json": Encoding("json", _json),
    "json lists": Encoding("json", _json_lists),
    "json lines": Encoding("jsonlines", _json_lines),
    "csv": Encoding("csv", lambda rows: _csv(rows, header=False)),
    "csv with a header": Encoding("csv", lambda rows: _csv(rows, header=True, order=NAMES[::-1])),
    "npy of fields": Encoding("npy", _npy_of_fields),
    "npy of str": Encoding("npy", _npy_of_texts),
    "npy of bytes": Encoding("npy", lambda rows: _npy_of_texts(rows, bytes_=True)),
    "arrow stream": Encoding("arrow", lambda rows: _by_polars("write_ipc_stream", rows)),
    "arrow stream, zstd": Encoding("arrow", lambda rows: _by_polars("write_ipc_stream", rows, compression="zstd")),
    "arrow stream of pyarrow": Encoding("arrow", lambda rows: _by_pyarrow(pa.ipc.new_stream, rows, None)),
    "arrow stream of pyarrow, lz4": Encoding("arrow", lambda rows: _by_pyarrow(pa.ipc.new_stream, rows, "lz4")),
    "arrow file": Encoding("arrow_file", lambda rows: _by_polars("write_ipc", rows)),
    "arrow file of pyarrow": Encoding("arrow_file", lambda rows: _by_pyarrow(pa.ipc.new_file, rows, "zstd")),
    "parquet": Encoding("parquet", lambda rows: _by_polars("write_parquet", rows)),
    "parquet of pyarrow": Encoding("parquet", _parquet_by_pyarrow),
}

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "deflate": zlib.compress,
}
