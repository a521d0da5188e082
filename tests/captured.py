"""Requests captured as a server captures them, without a server."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from storage import Predictor, Store
from storage.boundary import Blocks, blocks_of_rows
from storage.predictor import Outputs
from storage.records import ModelVersion, Run
from storage.redaction import Redaction
from storage.traffic import Header, Invocation
from tests import portable

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON_US = 1_714_564_800_000_000  # date -d 2024-05-01T12:00Z +%s


def capture(
    store: Store,
    endpoint: str,
    version: ModelVersion,
    requests: Iterable[tuple[str, Blocks, Outputs]],
    *,
    redact: Mapping[str, Redaction] | None = None,
    start_us: int = NOON_US,
) -> None:
    """Requests with their answers, a second apart from noon on."""
    header = Header(endpoint, version.name, version.version, version.signature, redact=dict(redact or {}))
    writer = store.traffic.writer(header)
    writer.append(
        [
            Invocation(name, start_us + number * 1_000_000, blocks, outputs)
            for number, (name, blocks, outputs) in enumerate(requests)
        ]
    )
    writer.rotate()


def ask(
    store: Store, endpoint: str, version: ModelVersion, requests: Mapping[str, Sequence[Mapping[str, Any]]], **more: Any
) -> None:
    """Requests answered by a version and captured; by inference id, of the rows of each."""
    predictor = Predictor(store.models.read_file(version))
    read = {name: blocks_of_rows(version.signature, rows) for name, rows in requests.items()}
    capture(store, endpoint, version, [(name, rows, predictor.run(rows)) for name, rows in read.items()], **more)


def register(store: Store, predictor: Predictor, name: str = "demo") -> ModelVersion:
    """A trained model as the next version of a name; without a sample of what it was trained on."""
    signature, now = predictor.signature, datetime.now(UTC)
    run_id = f"{name}-{len(store.runs.list())}"
    store.runs.start(Run(run_id, "tests", "running", "x", "0" * 64, 1, "y", signature.task, "auto", 1, 0, now))
    digest = store.blobs.put(predictor.model_bytes)
    version = ModelVersion(
        name, 0, run_id, digest, len(predictor.model_bytes), digest, signature, portable.card(signature.task), now
    )
    return store.models.publish(version)
