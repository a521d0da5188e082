"""Captured traffic beside those labels that were known at a time."""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from storage.labels.joined import HAPPENED_AT, RECEIVED_AT, TRUTH, with_truth

if TYPE_CHECKING:
    from storage.store import Store


def labelled_at(
    store: "Store", endpoint: str, start: datetime, end: datetime, known_at: datetime, *, model: str, version: int
) -> pl.DataFrame:
    """Rows that a version answered in `start <= time < end`, as `Traffic.read` gives them, with their labels.

    `autopilot.truth`, `autopilot.happened_at` and `autopilot.received_at` are null where no label had been received by
    `known_at`: asked again with the same time, it gives the same. A label that was replaced since is the exception: the
    store keeps the new one alone, which was not known then, so that such a row has none.
    """
    frame = store.traffic.read(endpoint, start, end, model=model, version=version)
    if not frame.width:
        return frame
    return known_at_time(with_truth(store, endpoint, frame), known_at)


def known_at_time(frame: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """A frame of `labelled_at` as it was at an earlier time."""
    known = pl.col(RECEIVED_AT) <= known_at
    columns = (TRUTH, HAPPENED_AT, RECEIVED_AT)
    return frame.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in columns)
