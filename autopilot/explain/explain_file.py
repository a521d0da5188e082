"""Explaining the rows of a file into another, and what they are held against."""

import polars as pl

from autopilot.explain.explanation import Explanation
from autopilot.explain.shapley import explain
from autopilot.table.read import read
from autopilot.table.write import refuse_target, write_table
from storage.predictor import Predictor
from storage.records import ModelVersion
from storage.store import Store


def explain_file(
    predictor: Predictor,
    source: str,
    out: str | None = None,
    *,
    background: pl.DataFrame | None = None,
    class_: str | None = None,
    rows: int | None = None,
    seed: int = 0,
    delimiter: str = ",",
) -> Explanation:
    """Explain the predictions for a file's rows, and write `Explanation.frame` if a target is named.

    source: csv, tsv, parquet, ndjson or arrow, each also gzipped. out: parquet, csv, ndjson or arrow by its ending.
    background: usual rows; None for the file's own. rows: only so many from the beginning; None for all, each of which
    takes some tens of milliseconds.

    Raises DataError for a file that cannot be read or written, or a cell that is not as in training; InputError for an
    unknown class.
    """
    if out is not None:
        refuse_target(out)
    table = read(source, delimiter=delimiter, text=predictor.signature.block("text"))
    chosen = table if rows is None else table.head(rows)
    found = explain(predictor, chosen, background=table if background is None else background, class_=class_, seed=seed)
    if out is not None:
        write_table(found.frame(), out)
    return found


def read_usual(store: Store, version: ModelVersion) -> pl.DataFrame:
    """The reference sample of a registered version: what its predictions are held against."""
    return pl.read_parquet(store.models.read_reference(version))
