"""An endpoint named `till` with a reference of 400 rows, and traffic for it, written as a server writes it."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from storage import Predictor, Store
from storage.boundary import blocks_of_rows
from storage.records import ModelVersion
from storage.redaction import Redaction
from storage.traffic import Header, Invocation
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


def deploy(store: Store, model: bytes, now: datetime) -> ModelVersion:
    """Publish a model with a reference of 400 rows, and deploy it."""
    version = portable.publish(store, model, now=now)
    reference = store.blobs.put(portable.reference(Predictor(model), rows(400, seed=0)))
    version = store.models.publish(msgspec.structs.replace(version, reference_digest=reference))
    store.endpoints.deploy(ENDPOINT, version, now)
    return version


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
