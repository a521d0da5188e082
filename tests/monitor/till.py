"""An endpoint named `till` with a reference of 400 rows, and traffic for it, written as a server writes it."""

import io
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl

from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from storage.labels import LabelItem, put_labels
from storage.labels.joined import TRUTH
from storage.records import ModelVersion
from storage.redaction import Redaction
from storage.traffic import OUTPUT_PREFIX, Header, Invocation
from tests import portable

ENDPOINT = "till"


def rows(count: int, *, seed: int, amount: float = 5.0) -> list[dict[str, Any]]:
    """Rows of the portable models; `amount` is the mean of the column `amount`, whose standard deviation is 1."""
    rng = np.random.default_rng(seed)
    return [
        {
            "amount": float(rng.normal(amount)),
            "town": str(rng.choice(["Ulm", "Bonn", "Rome"])),
            "visits": int(rng.integers(0, 9)),
            "seen": f"2024-05-{rng.integers(1, 31):02}",
        }
        for _ in range(count)
    ]


def deploy(store: Store, model: bytes, now: datetime, *, truths: bool = False) -> ModelVersion:
    """Publish a model with a reference of 400 rows, and deploy it. truths: whether the reference tells what happened,
    as often `yes` as the classifier says."""
    version = portable.publish(store, model, now=now)
    sample = portable.reference(Predictor(model), rows(400, seed=0))
    reference = store.blobs.put(_with_truths(sample) if truths else sample)
    version = store.models.publish(msgspec.structs.replace(version, reference_digest=reference))
    store.endpoints.deploy(ENDPOINT, version, now)
    return version


def _with_truths(sample: bytes) -> bytes:
    frame = pl.read_parquet(sample)
    happened = np.random.default_rng(0).random(frame.height) < frame[f"{OUTPUT_PREFIX}p_yes"].to_numpy()
    file = io.BytesIO()
    frame.with_columns(pl.Series(TRUTH, np.where(happened, "yes", "no"))).write_parquet(file)
    return file.getvalue()


def label(store: Store, now: datetime, *, wrong: int = 5, most: int | None = None) -> None:
    """Say of all answers, or the first so many, that they were right, but for one of so many."""
    answered = store.traffic.read(ENDPOINT, now - timedelta(days=1), now)[:most]
    other = {"yes": "no", "no": "yes"}
    said = zip(answered[f"{OUTPUT_PREFIX}inference_id"], answered[f"{OUTPUT_PREFIX}label"], strict=True)
    items = [LabelItem(id_, other[label] if place % wrong == 0 else label) for place, (id_, label) in enumerate(said)]
    put_labels(store, ENDPOINT, items, now, look=False)


def send(
    store: Store,
    version: ModelVersion,
    sent: Sequence[Mapping[str, Any]],
    at: datetime,
    *,
    redact: Mapping[str, Redaction] | None = None,
    endpoint: str = ENDPOINT,
) -> None:
    """Capture rows as answered one a millisecond from `at` on, and hand the journal over for compaction."""
    predictor = Predictor(store.models.read_file(version))
    header = Header(endpoint, version.name, version.version, version.signature, redact=dict(redact or {}))
    writer = store.traffic.writer(header)
    for number, row in enumerate(sent):
        blocks = blocks_of_rows(version.signature, [row])
        answered = at + timedelta(milliseconds=number)
        invocation = Invocation(uuid.uuid4().hex, int(answered.timestamp() * 1e6), blocks, predictor.run_once(blocks))
        writer.append([invocation])
    writer.rotate()
