"""Captured requests one by one, for people who look at them, and how many there are."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from storage.errors import InputError
from storage.redaction import Redaction
from storage.traffic import HASHED_PREFIX, MASKED_PREFIX, OUTPUT_PREFIX, Traffic, by_hour

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

MOST_CAPTURES = 1_000
_BEGINNING, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_CIRCUMSTANCES = ("inference_id", "row", "time", "model", "version", "variant", "event_id", "redacted")


class Captured(Struct, frozen=True):
    """A request that was captured, and its answer.

    event_id: its own; inference_id: the client's, which it may use again. inputs, outputs: one for each row, by column.
    redacted: how columns were redacted: of a dropped one the inputs tell nothing, of a masked one whether there was a
    value, of a hashed one its digest.
    """

    event_id: str
    inference_id: str
    time: datetime
    variant: str
    model: str
    version: int
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    redacted: dict[str, Redaction] = {}


class CapturePage(Struct, frozen=True):
    """Some captured requests, newest first. next: asks for those that follow; None if none do."""

    items: tuple[Captured, ...]
    next: str | None


class CaptureSummary(Struct, frozen=True):
    """What was captured of a model version behind a variant. first, last: times of its first and last answer."""

    variant: str
    model: str
    version: int
    requests: int
    rows: int
    first: datetime
    last: datetime


def capture_page(
    traffic: Traffic,
    endpoint: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    variant: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> CapturePage:
    """Captured requests that were answered in `start <= time < end`, newest first.

    after: `next` of the page before. It looks at the hours from the newest on, and no further than it has to.
    Raises InputError for a limit that is not 1 to 1,000, and for an `after` that no page gave.
    """
    import polars as pl

    if not 1 <= limit <= MOST_CAPTURES:
        raise InputError(f"The limit is {limit}. Use 1 to {MOST_CAPTURES}.")
    before = None if after is None else _cursor(after)
    found: list[Captured] = []
    for frames in _hours(traffic, endpoint, start or _BEGINNING, end or _END, variant, before):
        keys = pl.concat([_keys(frame) for frame in frames])
        if before is not None:
            time_us, event_id = before
            keys = keys.filter((pl.col("us") < time_us) | ((pl.col("us") == time_us) & (pl.col("event_id") < event_id)))
        chosen = keys.sort("us", "event_id", descending=True).head(limit + 1 - len(found)).get_column("event_id")
        requests = [request for frame in frames for request in _requests(frame, chosen)]
        found += sorted(requests, key=lambda one: (one.time, one.event_id), reverse=True)
        if len(found) > limit:
            last = found[limit - 1]
            return CapturePage(tuple(found[:limit]), f"{_micros(last.time)}.{last.event_id}")
    return CapturePage(tuple(found), None)


def capture_summary(
    traffic: Traffic, endpoint: str, *, start: datetime | None = None, end: datetime | None = None
) -> list[CaptureSummary]:
    """What was captured in `start <= time < end`, by variant, model and version."""
    import polars as pl

    names = ["variant", "model", "version"]
    time, event_id = pl.col("time"), pl.col("event_id")
    parts = [
        _own(frame)
        .group_by(names)
        .agg(event_id.n_unique().alias("requests"), pl.len().alias("rows"), time.min().alias("first"), last=time.max())
        for frame in traffic.batches(endpoint, start or _BEGINNING, end or _END)
    ]
    if not parts:
        return []
    sums = pl.col("requests", "rows").sum()
    total = pl.concat(parts).group_by(names).agg(sums, pl.col("first").min(), pl.col("last").max()).sort(names)
    return msgspec.convert(total.to_dicts(), list[CaptureSummary])


def _hours(
    traffic: Traffic,
    endpoint: str,
    start: datetime,
    end: datetime,
    variant: str | None,
    before: tuple[int, str] | None,
) -> Iterator[list["pl.DataFrame"]]:
    """The rows of each hour, newest first; what could not be compacted is read at once, since any hour may be in it."""
    last = end if before is None else min(end, datetime.fromtimestamp(before[0] / 1e6, UTC))
    files: dict[str, list[Path]] = defaultdict(list)
    journals: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for path in traffic.files(endpoint, start, last, variant=variant):
        if path.suffix == ".parquet":
            files["/".join(path.parts[-3:-1])].append(path)
            continue
        for hour, frame in by_hour(traffic.read_part(path, start, end)):
            journals[hour].append(frame)
    for hour in sorted({*files, *journals}, reverse=True):
        yield [*(traffic.read_part(path, start, end) for path in files[hour]), *journals[hour]]


def _own(frame: "pl.DataFrame") -> "pl.DataFrame":
    """What capture adds, without its prefix."""
    return frame.select(f"{OUTPUT_PREFIX}{name}" for name in _CIRCUMSTANCES).rename(
        lambda name: name.removeprefix(OUTPUT_PREFIX)
    )


def _keys(frame: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    return _own(frame).select(pl.col("time").dt.timestamp("us").alias("us"), "event_id").unique()


def _requests(frame: "pl.DataFrame", chosen: "pl.Series") -> list[Captured]:
    """The chosen requests of a frame."""
    import polars as pl

    found = frame.filter(pl.col(f"{OUTPUT_PREFIX}event_id").is_in(chosen.implode()))
    inputs, outputs = inputs_of(found), outputs_of(found)
    requests: list[Captured] = []
    for (event_id,), rows in found.group_by(f"{OUTPUT_PREFIX}event_id"):
        own = _own(rows).row(0, named=True)
        redacted = own["redacted"]
        requests.append(
            Captured(
                event_id=str(event_id),
                inference_id=own["inference_id"],
                time=own["time"],
                variant=own["variant"],
                model=own["model"],
                version=own["version"],
                inputs=rows.select(**inputs).to_dicts(),
                outputs=rows.select(**outputs).to_dicts(),
                redacted={} if redacted is None else msgspec.json.decode(redacted, type=dict[str, Redaction]),
            )
        )
    return requests


def inputs_of(frame: "pl.DataFrame") -> dict[str, str]:
    """The columns of a captured frame that hold inputs, by the name of the input; redacted ones come last.

    >>> import polars as pl
    >>> inputs_of(pl.DataFrame(schema=["age", "autopilot.label", "autopilot.hashed.name"]))
    {'age': 'age', 'name': 'autopilot.hashed.name'}
    """
    plain = {name: name for name in frame.columns if not name.startswith(OUTPUT_PREFIX)}
    redacted = {
        name.removeprefix(prefix): name
        for prefix in (MASKED_PREFIX, HASHED_PREFIX)
        for name in frame.columns
        if name.startswith(prefix)
    }
    return plain | redacted


def outputs_of(frame: "pl.DataFrame") -> dict[str, str]:
    """The columns of a captured frame that hold outputs, by the name of the output."""
    others = {f"{OUTPUT_PREFIX}{name}" for name in _CIRCUMSTANCES}
    return {
        name.removeprefix(OUTPUT_PREFIX): name
        for name in frame.columns
        if name.startswith(OUTPUT_PREFIX) and name not in others and not name.startswith((MASKED_PREFIX, HASHED_PREFIX))
    }


def _micros(time: datetime) -> int:
    since = time - _BEGINNING
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _cursor(after: str) -> tuple[int, str]:
    """Time in microseconds and event id of the last request of a page."""
    micros, _, event_id = after.partition(".")
    if not (micros.isascii() and micros.isdecimal() and len(micros) <= 17 and event_id):
        raise InputError(
            f"after is {after[:80]!r}, which no page gave. Take `next` of the page before, or leave it out."
        )
    return int(micros), event_id
