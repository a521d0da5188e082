"""Findings say what was done and what to type."""

import msgspec
import pytest

from autopilot.table.findings import Finding

WHOLE = Finding("error", "leak", "'fee' tells.", "fee", "roc_auc 1.0000", "It was left out.", "To keep it: say so.")


def test_what_is_told_leaves_the_evidence_to_who_asks_for_it() -> None:
    """Message, action, overrule; what is empty leaves no gap."""
    assert WHOLE.told == "'fee' tells. It was left out. To keep it: say so."
    assert Finding("info", "task", "2 classes.").told == "2 classes."


def test_a_finding_survives_being_written_down() -> None:
    """As JSON, with every field; an older one has no evidence."""
    assert msgspec.json.decode(msgspec.json.encode(WHOLE), type=Finding) == WHOLE
    older = b'{"severity": "info", "code": "task", "message": "2 classes.", "column": null}'
    assert msgspec.json.decode(older, type=Finding) == Finding("info", "task", "2 classes.")


def test_there_are_three_severities() -> None:
    """Another is refused where it is read."""
    with pytest.raises(msgspec.ValidationError, match="fatal"):
        msgspec.json.decode(b'{"severity": "fatal", "code": "x", "message": "x"}', type=Finding)
