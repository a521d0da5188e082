"""The journals that one thread writes, and what it wrote of each endpoint."""

import logging
from collections.abc import Sequence

from msgspec import Struct

from serving.capture_plan import Plan, Taken
from storage.errors import StoreError
from storage.traffic import JournalWriter, Traffic

#: What keeps a journal from being written: a full disk, a folder or a key that cannot be read.
WriteError = (OSError, StoreError)

_LOG_S = 60.0

_log = logging.getLogger(__name__)


class Counts(Struct):
    """What became of one endpoint's answers that were to be captured.

    rows, bytes: written. overflowed_rows: answered and not captured, since the queue was full; failed_rows: since the
    journal could not be written. refused: requests whose answer was not given, since it could not be captured.
    """

    rows: int = 0
    bytes: int = 0
    overflowed_rows: int = 0
    failed_rows: int = 0
    refused: int = 0

    @property
    def lost_rows(self) -> int:
        """Rows that were answered and not captured."""
        return self.overflowed_rows + self.failed_rows

    def add(self, other: "Counts") -> None:
        """Add what another has counted."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class CountsByEndpoint(dict[str, Counts]):
    """Counts by the endpoint's name, all 0 at first."""

    def __missing__(self, name: str) -> Counts:
        counts = self[name] = Counts()
        return counts


class Journals:
    """The journals of one thread: one for each plan that it writes for."""

    def __init__(self, traffic: Traffic) -> None:
        self.counts = CountsByEndpoint()
        self._traffic = traffic
        self._writers: dict[Plan, JournalWriter] = {}

    def append(self, plan: Plan, answers: Sequence[Taken]) -> None:
        """Hand answers to the operating system, all or none. Raises what is a `WriteError`."""
        batches = [answer.batch for answer in answers if answer.batch is not None]
        others = [answer.invocation for answer in answers if answer.invocation is not None]
        writer = self._writers.get(plan)
        if writer is None:
            writer = self._writers[plan] = self._traffic.writer(plan.header)
        written_bytes = writer.append(others, batches)
        counts = self.counts[plan.header.endpoint]
        counts.rows += sum(answer.rows for answer in answers)
        counts.bytes += written_bytes

    @property
    def are_open(self) -> bool:
        """Whether anything was written that compaction cannot have yet."""
        return bool(self._writers)

    def rotate(self) -> None:
        """Hand what was written to compaction."""
        for writer in self._writers.values():
            try:
                writer.rotate()
            except OSError as error:
                _log.error(
                    "A traffic journal could not be closed: %s. Compaction takes it when the server ends.", error
                )
        self._writers.clear()


class Complaint:
    """Tells the log, at most once a minute, how many more there are of what should not be.

    text: with %d for how many, and %s for why.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._told = 0
        self._told_at = float("-inf")

    def tell(self, count: int, reason: str, now_s: float) -> bool:
        """Tell of those that have come since it was last told, if it is time. count: of all since the beginning."""
        is_due = count > self._told and now_s - self._told_at >= _LOG_S
        if is_due:
            _log.error(self._text, count - self._told, reason)
            self._told, self._told_at = count, now_s
        return is_due


def reason_of(error: BaseException) -> str:
    """Why a journal could not be written, without the server's own paths."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
