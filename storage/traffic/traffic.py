"""The captured traffic of all endpoints: where servers write, and everybody else reads."""

import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import StoreError
from storage.redaction import key_of
from storage.traffic.compaction import Compaction
from storage.traffic.frames import OUTPUT_PREFIX, frame_of_journal
from storage.traffic.journal import Header, Journal, JournalWriter, read_journal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import polars as pl

_KEYS = "keys"
_REDACTION_KEY = "redaction"
_DAY = len("date=2024-05-01")
_log = logging.getLogger(__name__)
_SORTED_BY = [OUTPUT_PREFIX + name for name in ("time", "inference_id", "event_id", "row")]


class Traffic:
    """The captured traffic of all endpoints.

    keys: the folder of the key of hashed columns; by default `keys` beside the traffic.
    """

    def __init__(self, root: Path, keys: Path | None = None) -> None:
        self._root = root
        self._key = partial(key_of, (keys or root.parent / _KEYS) / _REDACTION_KEY)

    def writer(self, header: Header) -> JournalWriter:
        """A writer for one server process and variant."""
        return JournalWriter(self._root / "journals" / f"endpoint={header.endpoint}", header, self._key)

    def compact(self) -> int:
        """Turn all complete journals into Parquet; returns the number of rows. Several processes may call it."""
        return Compaction(self._root).run()

    def read(
        self,
        endpoint: str,
        start: datetime,
        end: datetime,
        *,
        model: str | None = None,
        version: int | None = None,
        variant: str | None = None,
    ) -> "pl.DataFrame":
        """Rows that were answered in `start <= time < end`, oldest first; of one model version or variant, or of all.

        Columns: the model's inputs, typed as `boundary.typed` does; its outputs as `autopilot.label`,
        `autopilot.p_CLASS`, `autopilot.prediction`; and `autopilot.inference_id`, `autopilot.row` (within its
        request), `autopilot.time`, `autopilot.model`, `autopilot.version`, `autopilot.variant`, `autopilot.event_id`
        (of the request, which no other has), `autopilot.redacted` (JSON that tells which columns are not as they were
        sent, and how; null where all are). A redacted column is absent, or null where other rows have it; instead of it
        there may be `autopilot.masked.NAME` or `autopilot.hashed.NAME`, as `storage.redaction` tells.

        An empty frame where there are none. Traffic of the last two seconds may still be missing.
        """
        import polars as pl

        parts = list(self.batches(endpoint, start, end, model=model, version=version, variant=variant))
        return _sorted(pl.concat(parts, how="diagonal_relaxed")) if parts else pl.DataFrame()

    def batches(
        self,
        endpoint: str,
        start: datetime,
        end: datetime,
        *,
        model: str | None = None,
        version: int | None = None,
        variant: str | None = None,
        columns: "Collection[str] | None" = None,
    ) -> "Iterator[pl.DataFrame]":
        """The same rows in bounded memory, hour by hour; no frame is empty.

        Within a frame they are sorted as those of `read`, and all are of one variant and model version, and redacted
        alike. All rows of a request are in one frame. Within an hour, frames are in no order. columns: those that are
        read, of those that a frame has; None reads all.
        """
        for path in self.files(endpoint, start, end, variant=variant):
            part = self.read_part(path, start, end, model=model, version=version, columns=columns)
            if part.height:
                yield part

    def files(self, endpoint: str, start: datetime, end: datetime, *, variant: str | None = None) -> list[Path]:
        """What holds all rows of a window, for `read_part`: after a compaction, `parts`.

        Where that fails, as on a full disk, what is in Parquet already, and then the journals that are left: each row
        is in one of them. Raises StoreError if these cannot be listed.
        """
        compaction = Compaction(self._root)
        try:
            compaction.run()
            return self.parts(endpoint, start, end, variant=variant)
        except StoreError as error:
            try:
                left = compaction.left()
            except OSError:
                raise error from None
            _log.warning("%s Until then, its journals are read as they are.", error)
        parts = self.parts(endpoint, start, end, variant=variant)
        whole = [path for path in parts if path.name.partition(".")[0] not in left.claims]
        return [*whole, *(path for path in left.journals if _is_of(path, endpoint, variant))]

    def has(self, endpoint: str) -> bool:
        """Whether anything that an endpoint answered was captured, ever."""
        kinds = ("parquet", "*/*/*/*.parquet"), ("journals", "*.journal")
        files = (file for kind, at in kinds for file in (self._root / kind / f"endpoint={endpoint}").glob(at))
        return next(files, None) is not None

    def parts(self, endpoint: str, start: datetime, end: datetime, *, variant: str | None = None) -> list[Path]:
        """Parquet files of the hours that a window touches, by hour; journals that are not compacted are left out."""
        root = self._root / "parquet" / f"endpoint={endpoint}"
        first, last = (moment.astimezone(UTC).strftime("date=%Y-%m-%d/hour=%H") for moment in (start, end))
        # Folders outside the window are not looked into: a year of busy hours has millions of files.
        days = [day for day in root.glob(f"variant={variant or '*'}/date=*") if first[:_DAY] <= day.name <= last[:_DAY]]
        hours = [hour for day in days for hour in day.glob("hour=*") if first <= f"{day.name}/{hour.name}" <= last]
        return sorted((path for hour in hours for path in hour.glob("*.parquet")), key=_hour_of)

    def read_part(
        self,
        path: Path,
        start: datetime,
        end: datetime,
        *,
        model: str | None = None,
        version: int | None = None,
        columns: "Collection[str] | None" = None,
    ) -> "pl.DataFrame":
        """The rows of one of `files` in a window, as `batches` gives them. Those that were written before there were
        variants get what a new file tells."""
        import polars as pl

        is_parquet = path.suffix == ".parquet"
        when = pl.col(f"{OUTPUT_PREFIX}time")
        wanted = (when >= start.astimezone(UTC)) & (when < end.astimezone(UTC))
        if model is not None:
            wanted &= pl.col(f"{OUTPUT_PREFIX}model") == model
        if version is not None:
            wanted &= pl.col(f"{OUTPUT_PREFIX}version") == version
        file = pl.scan_parquet(path) if is_parquet else _frame_of(path).lazy()
        if columns is None:
            return _sorted(_completed(file.filter(wanted).collect(), path))
        names = [name for name in file.collect_schema().names() if name in columns or name in _SORTED_BY]
        frame = _sorted(_completed(file.filter(wanted).select(names).collect(), path))
        return frame.select(name for name in frame.columns if name in columns)


def _is_of(path: Path, endpoint: str, variant: str | None) -> bool:
    """Whether a journal has rows of an endpoint, or of one variant of it."""
    journal = _journal(path)
    if journal is None or not journal.batches:
        return False
    return journal.header.endpoint == endpoint and variant in (None, journal.header.variant)


def _frame_of(path: Path) -> "pl.DataFrame":
    """The rows of a journal of which `_is_of` has seen some."""
    journal = _journal(path)
    assert journal is not None  # noqa: S101 - for the type checker
    return frame_of_journal(journal)


def _journal(path: Path) -> Journal | None:
    try:
        return read_journal(path)
    except FileNotFoundError:
        raise StoreError("Traffic was compacted while it was read. Ask again.") from None
    except OSError as error:
        raise StoreError(f"A journal of captured traffic cannot be read: {error}. Look after the disk.") from error


def _hour_of(path: Path) -> tuple[str, str]:
    return f"{path.parent.parent.name}/{path.parent.name}", str(path)


def _completed(frame: "pl.DataFrame", path: Path) -> "pl.DataFrame":
    """A frame, with the columns that files of before there were variants lack."""
    import polars as pl

    if f"{OUTPUT_PREFIX}event_id" in frame.columns:
        return frame
    variant = path.parent.parent.parent.name.removeprefix("variant=")
    times = pl.col(f"{OUTPUT_PREFIX}time").dt.timestamp("us").cast(pl.String)
    return frame.with_columns(
        pl.lit(variant).alias(f"{OUTPUT_PREFIX}variant"),
        pl.concat_str(f"{OUTPUT_PREFIX}inference_id", pl.lit("@"), times).alias(f"{OUTPUT_PREFIX}event_id"),
        pl.lit(None, pl.String).alias(f"{OUTPUT_PREFIX}redacted"),
    )


def _sorted(frame: "pl.DataFrame") -> "pl.DataFrame":
    return frame.sort(_SORTED_BY)
