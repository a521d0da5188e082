"""A store keeps what its runs collected."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from autopilot.report.archive import evidence_of, keep
from autopilot.search.folds import Scheme
from autopilot.tape import read_tape
from storage.errors import FailureError, UnknownNameError
from storage.store import Store
from tests.autopilot.report.runs import evidence, study, table
from tests.records import NOW, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With a run that has begun."""
    opened = Store.open(tmp_path)
    opened.runs.start(run())
    return opened


def test_the_last_evidence_of_a_run_is_found(store: Store) -> None:
    """And whoever reads its tape passes over it."""
    first = evidence(study(table("regression", 80), Scheme("k-fold", 3)))
    last = replace(first, notes=("the last",))
    keep(store, first, NOW)
    keep(store, last, NOW)
    assert evidence_of(store, "r1").to_bytes() == last.to_bytes()
    assert read_tape(store, "r1") == []
    store.close()


def test_why_there_is_none_is_told(store: Store) -> None:
    """No such run, one that still works, and one that kept nothing."""
    with pytest.raises(UnknownNameError, match="no run 'r9'"):
        evidence_of(store, "r9")
    with pytest.raises(FailureError, match="Run 'r1' has no report: it has not ended"):
        evidence_of(store, "r1")
    store.runs.complete("r1", NOW, "demo", 1)
    with pytest.raises(FailureError, match="it kept no evidence for one"):
        evidence_of(store, "r1")
    store.close()
