"""What `autopilot endpoints capture` reads from its arguments, and what it changes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from storage.errors import InputError
from storage.records import CapturePolicy, Endpoint
from storage.redaction import REDACTIONS, Redaction
from storage.store import Store

#: Takes the redaction of a column back.
KEEP = "keep"


class CaptureChange(Struct, frozen=True):
    """What is to change; None and empty leave what there is. redact: as `age=drop`; `age=keep` takes that back."""

    share: float | None = None
    mode: Literal["async", "sync"] | None = None
    redact: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to change."""
        return self == CaptureChange()


def change_capture(store: Store, name: str, change: CaptureChange, now: datetime) -> Endpoint:
    """Change what is captured of an endpoint. It holds for what is answered from then on.

    Raises UnknownNameError, ConflictError if another changed the endpoint meanwhile, and InputError for a share that is
    not 0 to 1, a column that no variant takes, and what is not written as it should be.
    """
    old = store.endpoints.get(name)
    if change.is_empty:
        return old
    capture = CapturePolicy(
        old.capture.share if change.share is None else change.share,
        change.mode or old.capture.mode,
        _redacted(old.capture, change.redact),
    )
    return store.endpoints.put(replace(old, capture=capture), now, expected=old.revision)


def _redacted(old: CapturePolicy, pairs: Iterable[str]) -> dict[str, Redaction]:
    redact: dict[str, Redaction] = dict(old.redact)
    for pair in pairs:
        column, is_there, how = pair.rpartition("=")  # a column's name may have one, too
        known: list[Redaction] = [redaction for redaction in REDACTIONS if redaction == how]
        if not is_there or not (known or how == KEEP):
            raise InputError(
                f"--redact is {pair[:80]!r}. Write COLUMN={', COLUMN='.join(REDACTIONS)}, or COLUMN={KEEP} to capture "
                "the column as it is again."
            )
        redact.pop(column, None)
        for redaction in known:
            redact[column] = redaction
    return redact
