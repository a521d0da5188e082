"""Captured traffic beside its labels."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from storage.errors import StoreError
from storage.labels.items import LabelItem
from storage.labels.receive import signature_of
from storage.labels.summary import LabelSummary, VersionQuality
from storage.predictor import Outputs
from storage.quality import Quality
from storage.signature import Signature
from storage.traffic import OUTPUT_PREFIX

if TYPE_CHECKING:
    from storage.store import Store

#: Columns that labels add to traffic.
TRUTH, HAPPENED_AT, RECEIVED_AT = (f"{OUTPUT_PREFIX}{name}" for name in ("truth", "happened_at", "received_at"))

_ID, _ROW = f"{OUTPUT_PREFIX}inference_id", f"{OUTPUT_PREFIX}row"
_MODEL, _VERSION = f"{OUTPUT_PREFIX}model", f"{OUTPUT_PREFIX}version"
_KEY = {"inference_id": pl.String, "row": pl.Int32}
#: Ids are looked for in the newest traffic first. At 30 million rows a second, what is looked at costs under a second.
_STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=31))
_MOST_LOOKED_ROWS = 20_000_000
_SHOWN_IDS = 5
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def keys_of(items: Sequence[LabelItem]) -> pl.DataFrame:
    """Which rows labels are of: `inference_id` and `row`."""
    return pl.DataFrame([(item.inference_id, item.row) for item in items], schema=_KEY, orient="row")


def unknown_of(store: "Store", endpoint: str, keys: pl.DataFrame, now: datetime) -> tuple[int, tuple[str, ...]]:
    """How many rows are not among the captured ones, and inference ids of the first of them.

    Looks at the newest 20 million rows. Traffic of the last seconds may not be there yet.
    """
    keys = keys.unique(maintain_order=True)
    hashes = _hashes(keys, "inference_id", "row")
    order = np.argsort(hashes)
    known, looked = np.zeros(len(hashes), dtype=np.bool_), 0
    for frame in _newest(store, endpoint, now) if len(hashes) else ():
        found = _hashes(frame, _ID, _ROW)
        at = np.minimum(np.searchsorted(hashes, found, sorter=order), len(hashes) - 1)
        places = order[at]
        known[places[hashes[places] == found]] = True
        looked += frame.height
        if known.all() or looked > _MOST_LOOKED_ROWS:
            break
    lost = keys.filter(pl.Series(~known))
    return lost.height, tuple(lost.get_column("inference_id").unique(maintain_order=True).head(_SHOWN_IDS))


def looked_up(store: "Store", endpoint: str, keys: pl.DataFrame, now: datetime) -> tuple[int | None, tuple[str, ...]]:
    """As `unknown_of`, of labels that are kept whatever comes of it: None where traffic cannot be read."""
    try:
        return unknown_of(store, endpoint, keys, now)
    except StoreError:
        return None, ()


def _hashes(frame: pl.DataFrame, *names: str) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return frame.select(pl.struct(pl.col(names[0]), pl.col(names[1]).cast(pl.Int32)).hash()).to_series().to_numpy()


def _newest(store: "Store", endpoint: str, now: datetime) -> Iterator[pl.DataFrame]:
    """Ids and rows of the traffic, the newest steps first."""
    end = _LAST
    for start in (*(now - step for step in _STEPS), _FIRST):
        yield from store.traffic.batches(endpoint, start, end, columns=(_ID, _ROW))
        end = start


def with_truth(store: "Store", endpoint: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of traffic with their labels: `autopilot.truth`, of the type of what was predicted,
    `autopilot.happened_at` and `autopilot.received_at`; null where there is none."""
    if not frame.width:
        return frame
    labels = store.labels.frame(endpoint, frame.get_column(_ID).unique().to_list())
    prediction = f"{OUTPUT_PREFIX}prediction"
    dtype = pl.Float64 if prediction in frame.columns else frame.schema[f"{OUTPUT_PREFIX}label"]
    text = pl.col("label")
    value = text.str.json_decode(pl.String) if dtype == pl.String else text.cast(dtype, strict=False)
    truth = labels.select(
        pl.col("inference_id").alias(_ID),
        pl.col("row").alias(_ROW),
        value.alias(TRUTH),
        pl.col("happened_at").alias(HAPPENED_AT),
        pl.col("received_at").alias(RECEIVED_AT),
    )
    return frame.join(truth, on=[_ID, _ROW], how="left", maintain_order="left")


def labelled_traffic(
    store: "Store",
    endpoint: str,
    start: datetime,
    end: datetime,
    *,
    model: str | None = None,
    version: int | None = None,
) -> pl.DataFrame:
    """Rows that were answered in `start <= time < end` as `Traffic.read` gives them, with the columns of `with_truth`.

    Rows without a label are there too. Where clients gave several requests one inference id, a label is each one's.
    """
    return with_truth(store, endpoint, store.traffic.read(endpoint, start, end, model=model, version=version))


def label_summary(
    store: "Store", name: str, start: datetime | None = None, end: datetime | None = None
) -> LabelSummary:
    """How many labels an endpoint has, and how good the answers of a window were by them; without bounds, of all.

    Raises UnknownNameError.
    """
    signature, count = signature_of(store, name), store.labels.count(name)
    outputs = [OUTPUT_PREFIX + column for column in signature.outputs]
    wanted = {*outputs, _ID, _ROW, _MODEL, _VERSION}
    found: dict[tuple[str, int], Quality] = {}
    for frame in store.traffic.batches(name, start or _FIRST, end or _LAST, columns=wanted) if count else ():
        if not set(outputs) <= set(frame.columns):
            continue  # of an older version with other classes: today's labels say nothing of it
        labelled = with_truth(store, name, frame).drop_nulls(TRUTH)
        if labelled.height:
            quality = found.setdefault(labelled.select(_MODEL, _VERSION).row(0), Quality(signature))
            quality.add(labelled.get_column(TRUTH), outputs_of(signature, labelled))
    versions = [VersionQuality(*key, quality.rows, quality.values()) for key, quality in sorted(found.items())]
    return LabelSummary(count, tuple(versions))


def outputs_of(signature: Signature, frame: pl.DataFrame) -> Outputs:
    """What traffic's rows, all of one version, were answered."""
    if signature.task == "regression":
        return Outputs(None, None, frame.get_column(f"{OUTPUT_PREFIX}prediction").to_numpy())
    shares = frame.select(f"{OUTPUT_PREFIX}p_{name}" for name in signature.classes)
    label = np.array(frame.get_column(f"{OUTPUT_PREFIX}label").to_list(), dtype=object)
    return Outputs(label, shares.to_numpy(order="c"), None)
