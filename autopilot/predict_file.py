"""Scoring a file of any size in bounded memory."""

from storage.batch import Transform
from storage.batch.engine import transform_files
from storage.predictor import OnError, Predictor


def predict_file(
    predictor: Predictor,
    source: str,
    out: str,
    *,
    interval: bool = False,
    delimiter: str = ",",
    on_error: OnError = "raise",
    overwrite: bool = False,
) -> int:
    """Predict each row of a file into another, in the rows' order; returns the number of rows.

    source: csv, tsv, parquet, ndjson or arrow, each also gzipped or by zstd. out: parquet, csv, ndjson or arrow by its
    ending; written whole or not at all. Its columns are `label` and `p_CLASS` for each class, or `prediction`; with
    `interval` also `lower` and `upper`, or `set`, which csv has as JSON. Raises DataError for a bad cell with its row's
    number, counted from 0, InputError if the output is there and not to be overwritten or the model gives no interval,
    and FailureError if the disk is full. With `on_error="null"` a row with a bad cell has null outputs instead, and the
    column `error` tells what is wrong. `storage.batch.engine.transform_files` does more: folders, object stores,
    columns of the input, going on after a kill.
    """
    transform = Transform(
        predictor.card.name,
        source,
        out,
        interval=interval,
        delimiter=delimiter,
        on_error=on_error,
        overwrite=overwrite,
    )
    return transform_files(predictor, transform).rows
