"""The evidence of runs in a store: a blob, whose digest the run's tape tells."""

from datetime import datetime

import msgspec
from msgspec import Struct

from autopilot.report.evidence import Evidence
from storage.errors import FailureError
from storage.store import Store


class Collected(Struct, frozen=True):
    """Evidence was kept as a blob; the last one of a run is its own. Readers of a run's tape pass over it."""

    digest: str


def keep(store: Store, evidence: Evidence, now: datetime) -> None:
    """Keep a run's evidence; it is on disk when this returns."""
    body = msgspec.json.encode(Collected(store.blobs.put(evidence.to_bytes()))).decode()
    store.runs.add_event(evidence.run.id, now, Collected.__name__, body)


def evidence_of(store: Store, run_id: str) -> Evidence:
    """What a run collected at its end.

    Raises UnknownNameError if there is no such run, FailureError if it has not ended or kept nothing.
    """
    run = store.runs.get(run_id)
    records = store.runs.events(run_id, kind=Collected.__name__)
    if not records:
        why = "has not ended" if run.status == "running" else "kept no evidence for one"
        raise FailureError(f"Run {run_id!r} has no report: it {why}. `autopilot runs` lists the runs of the store.")
    return Evidence.from_bytes(store.blobs.get(msgspec.json.decode(records[-1].body, type=Collected).digest))
