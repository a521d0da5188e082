"""Explaining the rows of a file into another."""

import polars as pl

from autopilot.table.read import read
from autopilot.table.write import refuse_target, write_table
from storage.explain import Explanation, explain
from storage.predictor import Predictor


def explain_file(
    predictor: Predictor,
    source: str,
    out: str | None = None,
    *,
    background: pl.DataFrame | None = None,
    class_: str | None = None,
    rows: int | None = None,
    seed: int | None = None,
    delimiter: str = ",",
) -> Explanation:
    """Explain the predictions for a file's rows, and write `Explanation.frame` if a target is named.

    source: csv, tsv, parquet, ndjson or arrow, each also gzipped. out: parquet, csv, ndjson or arrow by its ending.
    background: usual rows; None for the file's own. rows: only so many from the beginning; None for all, each of which
    takes some tens of milliseconds. seed: as of `Explainer`.

    Raises DataError for a file that cannot be read or written, or a cell that is not as in training; InputError for an
    unknown class.
    """
    if out is not None:
        refuse_target(out)
    signature = predictor.signature
    table = read(source, delimiter=delimiter, text=signature.block("text"), sensitive=signature.has_sensitive)
    chosen = table if rows is None else table.head(rows)
    found = explain(predictor, chosen, background=table if background is None else background, class_=class_, seed=seed)
    if out is not None:
        write_table(found.frame(), out)
    return found
