"""A frame of raw columns as the bytes of its results."""

import io
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import polars as pl

from storage.batch.chunks import Chunk
from storage.batch.transform import Transform
from storage.errors import DataError, listed
from storage.formats import Format, Packing
from storage.predictor import Predictor

_COMPRESSION: dict[Packing, Literal["uncompressed", "gzip", "zstd"]] = {
    "": "uncompressed",
    "gzip": "gzip",
    "zstd": "zstd",
}
_ERROR = "error"


class Shape(NamedTuple):
    """What an output file is. place: of the input, for messages."""

    place: str
    form: Format
    packing: Packing


class Scored(NamedTuple):
    """Results of a chunk, as they are written. rows: that were read. errors: lines of the side file."""

    data: bytes
    errors: bytes
    rows: int
    bad_rows: int
    names: tuple[str, ...]


class BadRow(msgspec.Struct):
    """A line of the side file. row: its number in the file, from 0."""

    row: int
    file: str
    reason: str


def answer_names(predictor: Predictor, transform: Transform) -> tuple[str, ...]:
    """Columns that the model gives. Raises InputError if it gives no interval, and one was asked for."""
    names = list(predictor.signature.outputs)
    if not transform.probabilities:
        names = names[:1]
    if transform.interval:
        predictor.check_interval()
        names += predictor.extra_names
    return (*names, _ERROR) if transform.on_error == "null" else tuple(names)


def number_names(predictor: Predictor, transform: Transform) -> frozenset[str]:
    """Columns that only the model reads, as numbers: nobody sees how they were written."""
    if transform.join and transform.columns is None:
        return frozenset()
    columns = predictor.signature.columns
    numbers = {column.name for column in columns if column.kind == "number" and column.dtype != "Boolean"}
    return frozenset(numbers.difference(transform.columns or (), (transform.id,)))


def score(predictor: Predictor, transform: Transform, shape: Shape, chunk: Chunk, *, is_first: bool) -> Scored:
    """Predict a chunk and write what is to be kept of it. is_first: of its output, which then has a header.

    Raises DataError for a bad row, if those are to be raised, and for columns that are absent or cannot be written.
    """
    inputs, names = _kept(transform, answer_names(predictor, transform), chunk.frame.columns, shape.place)
    answers = _answers(predictor, transform, chunk, shape.place)
    reasons = answers.get_column(_ERROR) if _ERROR in answers.columns else None
    whole = chunk.frame.select(inputs).with_columns(answers.get_columns()) if inputs else answers
    errors, bad_rows = b"", 0
    if reasons is not None:
        bad_rows = reasons.len() - reasons.null_count()
        if transform.on_error == "skip" and bad_rows:
            errors = _lines(reasons, shape.place, chunk.first_row)
            whole = whole.filter(reasons.is_null())
    data = _written(whole.select(names), shape, is_first=is_first)
    return Scored(data, errors, chunk.frame.height, bad_rows, names)


def _answers(predictor: Predictor, transform: Transform, chunk: Chunk, place: str) -> pl.DataFrame:
    """The model's columns, with `error` unless bad rows are raised."""
    try:
        return _predicted(predictor, transform, chunk)
    except pl.exceptions.PolarsError as error:
        reason = type(error).__name__ if predictor.signature.has_sensitive else str(error).partition("\n")[0]
    raise DataError(f"{place!r} cannot be scored from row {chunk.first_row:,} on: {reason}. Check its columns.")


def _predicted(predictor: Predictor, transform: Transform, chunk: Chunk) -> pl.DataFrame:
    if transform.on_error == "raise":
        if chunk.faults:
            raise DataError(min(chunk.faults.items())[1])
        return predictor.predict(chunk.frame, interval=transform.interval, first_row=chunk.first_row)
    answers = predictor.predict(chunk.frame, interval=transform.interval, on_error="null", first_row=chunk.first_row)
    if not chunk.faults:
        return answers
    reasons = pl.Series(_ERROR, [chunk.faults.get(at) for at in range(chunk.frame.height)], dtype=pl.String)
    is_whole = reasons.is_null()
    nulled = answers.select(pl.when(is_whole).then(pl.exclude(_ERROR)), _ERROR)
    return nulled.with_columns(reasons.zip_with(~is_whole, answers.get_column(_ERROR)))


def _kept(
    transform: Transform, answers: Sequence[str], inputs: Sequence[str], place: str
) -> tuple[list[str], tuple[str, ...]]:
    """The input's columns to keep, and all columns to write, in order. A name that both have is the model's.

    Raises DataError for a name that neither has, and where all are asked for and one would hide another.
    """
    if transform.columns is not None:
        names = list(transform.columns)
    else:
        names = [*inputs, *answers] if transform.join else list(answers)
        if transform.join and (twice := [name for name in inputs if name in answers]):
            raise DataError(
                f"{place!r} has a column {twice[0]!r}, and the model's answer is called so too. Name the columns to "
                "write, without it, by --columns."
            )
    if transform.id is not None:
        names = [transform.id, *(name for name in names if name != transform.id)]
    if unknown := [name for name in names if name not in inputs and name not in answers]:
        raise DataError(
            f"{place!r} has no column {unknown[0]!r} to write. It has {listed(inputs)}, and the model gives "
            f"{listed(answers)}."
        )
    return [name for name in names if name not in answers], tuple(names)


def _lines(reasons: pl.Series, place: str, first_row: int) -> bytes:
    encode = msgspec.json.Encoder().encode
    told = enumerate(reasons.to_list(), start=first_row)
    return b"".join(encode(BadRow(row, place, reason)) + b"\n" for row, reason in told if reason is not None)


def _written(frame: pl.DataFrame, shape: Shape, *, is_first: bool) -> bytes:
    """The frame in the format of its file. Raises DataError if that cannot hold a column."""
    file, compression = io.BytesIO(), _COMPRESSION[shape.packing]
    try:
        if shape.form in ("csv", "tsv"):
            separator = "\t" if shape.form == "tsv" else ","
            flat = frame.with_columns(map(_as_json, nested)) if (nested := _nested(frame)) else frame
            flat.write_csv(file, include_header=is_first, separator=separator, compression=compression)
        elif shape.form == "ndjson":
            frame.write_ndjson(file, compression=compression)
        elif shape.form == "parquet":
            frame.write_parquet(file)
        else:
            frame.write_ipc(file)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"The results of {shape.place!r} cannot be written as {shape.form}: {reason}. Choose another format, or "
            "name the columns to write by --columns."
        ) from error
    return file.getvalue()


def _nested(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype.is_nested()]


def _as_json(name: str) -> pl.Expr:
    """A column of lists or structs as text: csv has neither."""
    text = pl.struct(pl.col(name).alias("x")).struct.json_encode().str.strip_prefix('{"x":').str.strip_suffix("}")
    return pl.when(pl.col(name).is_not_null()).then(text).alias(name)
