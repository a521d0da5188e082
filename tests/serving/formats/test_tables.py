"""Tables become a model's inputs, and whatever else such bytes may be, the server survives."""

import io
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.errors import BodyError, TooManyRowsError
from serving.formats import Answer
from serving.formats import table_rows as table_rows_module
from serving.formats.table_answers import TableAnswers
from serving.formats.table_process import TableFormat
from serving.formats.table_rows import TableRows
from serving.limits import Limits
from storage import InputError, Predictor
from storage.boundary import Blocks, blocks_of_rows
from tests.portable import CLASSIFIER, ROWS, classifier, regressor, with_sets

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = pl.DataFrame(list(ROWS))
LIMITS = Limits(6_000_000, 1_000_000)
FORMATS: tuple[TableFormat, ...] = ("arrow", "arrow_file", "parquet")


def dumped(frame: pl.DataFrame, format: TableFormat, **options: Any) -> bytes:
    """A frame as Polars writes it."""
    file = io.BytesIO()
    write: dict[TableFormat, Callable[..., object]] = {
        "arrow": frame.write_ipc_stream,
        "arrow_file": frame.write_ipc,
        "parquet": frame.write_parquet,
    }
    write[format](file, **options)
    return file.getvalue()


def by_pyarrow(table: pa.Table, format: TableFormat) -> bytes:
    """A table as pyarrow writes it."""
    file = io.BytesIO()
    if format == "parquet":
        pq.write_table(table, file)
    else:
        with (pa.ipc.new_stream if format == "arrow" else pa.ipc.new_file)(file, table.schema) as writer:
            writer.write_table(table)
    return file.getvalue()


def same(left: Blocks, right: Blocks) -> bool:
    return all(
        (a == b).all() if a.dtype == object else a.tobytes() == b.tobytes() for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("format", FORMATS)
def test_tables_are_the_same_rows_as_json(format: TableFormat) -> None:
    """By Polars and by pyarrow, in any order of columns, with more of them than the model takes."""
    reader, expected = TableRows(CLASSIFIER, LIMITS, format), blocks_of_rows(CLASSIFIER, ROWS)
    more = FRAME.with_columns(new=pl.lit(1)).select("seen", "new", "town", "visits", "amount")
    for body in (dumped(FRAME, format), dumped(more, format), by_pyarrow(FRAME.to_arrow(), format)):
        assert same(reader.decode(body), expected)


@pytest.mark.parametrize("format", FORMATS)
def test_text_of_many_rows_is_the_same_text(format: TableFormat) -> None:
    """It comes back from the process in another way."""
    rows = [{**ROWS[0], "town": f"town {at % 700}" if at % 11 else None} for at in range(12_000)]
    blocks = TableRows(CLASSIFIER, LIMITS, format).decode(dumped(pl.DataFrame(rows), format))
    assert same(blocks, blocks_of_rows(CLASSIFIER, rows))


def test_dictionaries_and_batches_of_pyarrow_are_read() -> None:
    """As a pandas user with categories sends them."""
    table = pa.table(
        {**FRAME.to_arrow().to_pydict(), "town": pa.array(["Ulm", "Bonn", "Rome", None]).dictionary_encode()}
    )
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=2):
            writer.write_batch(batch)
    assert same(TableRows(CLASSIFIER, LIMITS, "arrow").decode(file.getvalue()), blocks_of_rows(CLASSIFIER, ROWS))


@pytest.mark.parametrize("format", FORMATS)
def test_wrong_cells_and_absent_columns_are_named(format: TableFormat) -> None:
    """With row and column."""
    reader = TableRows(CLASSIFIER, LIMITS, format)
    wrong = FRAME.with_columns(amount=pl.Series(["1", "2", "many", "3"]))
    with pytest.raises(InputError, match="Column 'amount' was number in training; row 2 holds 'many'"):
        reader.decode(dumped(wrong, format))
    with pytest.raises(InputError, match="lacks 'town'"):
        reader.decode(dumped(FRAME.drop("town"), format))
    with pytest.raises(BodyError, match="no rows"):
        reader.decode(dumped(FRAME.clear(), format))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("body", [b"", b"ARROW1", b"PAR1PAR1", b"\xff" * 100, b"{}"])
def test_other_bytes_are_refused(format: TableFormat, body: bytes) -> None:
    """With what the body should have been."""
    with pytest.raises(BodyError, match=r"no (Arrow IPC|Parquet)|no rows"):
        TableRows(CLASSIFIER, LIMITS, format).decode(body)


@pytest.mark.parametrize("format", FORMATS)
def test_no_bytes_end_the_server(format: TableFormat) -> None:
    """Polars is ended by some of these, which ask for exabytes; the next table is read all the same."""
    reader, sound, random_ = TableRows(CLASSIFIER, LIMITS, format), dumped(FRAME, format), random.Random(7)
    for _ in range(60):
        body = bytearray(sound)
        for _ in range(random_.choice([1, 3])):
            at = random_.randrange(len(body))
            body[at : at + 8] = random_.choice([b"\xff" * 7 + b"\x7f", bytes(8), b"\xff" * 8])
        try:
            reader.decode(bytes(body))
        except InputError:
            continue
    assert same(reader.decode(sound), blocks_of_rows(CLASSIFIER, ROWS))


def test_a_small_body_of_a_billion_rows_is_refused_by_what_it_says() -> None:
    """Before it is unpacked."""
    file = io.BytesIO()
    table = pa.table({"amount": pa.array(np.zeros(1_000_000))})
    with pq.ParquetWriter(file, table.schema) as writer:
        for _ in range(12):
            writer.write_table(table)
    with pytest.raises(TooManyRowsError, match="more than 1000000 rows"):
        TableRows(CLASSIFIER, LIMITS, "parquet").decode(file.getvalue())


def test_a_process_that_was_killed_is_replaced() -> None:
    """As it is after a body that killed it."""
    reader, body = TableRows(CLASSIFIER, LIMITS, "arrow"), dumped(FRAME, "arrow")
    reader.decode(body)
    for process in list(table_rows_module._PROCESSES._idle):
        process.kill()
        process.wait()
    assert same(reader.decode(body), blocks_of_rows(CLASSIFIER, ROWS))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("model", [classifier(), regressor(), with_sets()])
def test_answers_are_read_by_pyarrow_to_the_bit(format: TableFormat, model: bytes) -> None:
    """Columns and types are those of `Predictor.predict`."""
    predictor = Predictor(model)
    outputs = predictor.run(blocks_of_rows(CLASSIFIER, ROWS), interval=predictor.has_interval)
    body = TableAnswers(predictor.signature, format).write(Answer(outputs))
    if format == "parquet":
        table = pq.read_table(io.BytesIO(body))
    else:
        table = (pa.ipc.open_stream if format == "arrow" else pa.ipc.open_file)(io.BytesIO(body)).read_all()
    expected = predictor.predict(FRAME, interval=predictor.has_interval)
    assert pl.DataFrame(pl.from_arrow(table)).equals(expected)
