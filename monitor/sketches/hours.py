"""Profiles of an endpoint's hours: made of its traffic once, kept in the store, and read back for any period."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitor.drift import DriftReport
from monitor.looked import compared_kinds, read_reference
from monitor.sketches.baseline import Baseline
from monitor.sketches.blocks import NO_BLOCKS, with_room
from monitor.sketches.rescore import report_on
from monitor.sketches.stored import dump, parse, skim
from monitor.sketches.window import Profile, merge, profile
from storage.errors import SettingError
from storage.records import ModelVersion, StoredProfile
from storage.store import Store
from storage.traffic import OUTPUT_PREFIX

HOUR = timedelta(hours=1)

#: An hour is profiled this long after its end: what a server still holds is then captured. What comes later is seen,
#: and the hour profiled anew.
SETTLED = timedelta(minutes=5)

#: Is told, before each hour, how many are done, of all. What it raises ends the work.
Observe: TypeAlias = Callable[[int, int], None]


class Subject(NamedTuple):
    """Whose hours: what a model version answered at an endpoint, and what it is compared with. variant: None is all."""

    endpoint: str
    version: ModelVersion
    baseline: Baseline
    variant: str | None = None


class History(NamedTuple):
    """The counts of hours in a row, from `start` on.

    counts: (H, K), blocks: (C, H, B, `WIDTH`), as `Profile` has them; hours without traffic have none. rows: (H,) of
    the windows.
    """

    start: datetime
    rows: NDArray[np.int64]
    counts: NDArray[np.uint32]
    blocks: NDArray[np.unsignedinteger]


def subject_of(store: Store, endpoint_name: str, variant: str | None = None) -> Subject:
    """What an endpoint serves now, as its reports compare it: with the model's reference sample.

    variant: its traffic alone, of the version that it has; None is the main version's, of all variants. The baseline is
    kept in the store. Of sensitive columns nothing but counts will be kept. Raises UnknownNameError for an endpoint
    that the store does not hold, SettingError for a variant that the endpoint does not have.
    """
    endpoint = store.endpoints.get(endpoint_name)
    served = {one.name: one for one in endpoint.variants}
    if variant is not None and variant not in served:
        raise SettingError(f"Endpoint {endpoint_name!r} has no variant {variant[:80]!r}. It has: {', '.join(served)}.")
    version = store.models.get((served[variant] if variant is not None else endpoint.main).spec)
    kinds = compared_kinds(version.signature)
    private = frozenset(column.name for column in version.signature.columns if column.sensitive)
    baseline = Baseline.of(read_reference(store, version).select(list(kinds)), kinds, private=private)
    store.blobs.put(baseline.data)
    return Subject(endpoint_name, version, baseline, variant)


def keep_hours(
    store: Store,
    subject: Subject,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    observe: Observe = lambda done, of: None,
) -> int:
    """Profile the hours in `start <= hour < end` that have ended and have traffic that no profile knows; their number.

    start, end: whole hours, aware. Several processes may do so: an hour is kept once. Raises SettingError for times
    that are no whole hours, StoreError if the store cannot be used, and what `observe` raises: the rest is left for
    another time.
    """
    _check_hours(start, end)
    store.traffic.compact()
    known = {(one.hour, one.variant): one.files for one in _listed(store, subject, start, end)}
    count = 0
    files = _files(store, subject, start, end)
    for done, ((hour, variant), paths) in enumerate(files):
        observe(done, len(files))
        if hour + HOUR + SETTLED <= now and known.get((hour, variant), 0) < len(paths):
            count += _keep(store, subject, hour, variant, paths, now)
    return count


def load(
    store: Store, subject: Subject, start: datetime, end: datetime, observe: Observe = lambda done, of: None
) -> History:
    """The counts of the hours in `start <= hour < end` that are kept.

    Raises SettingError, StoreError, and what `observe` raises.
    """
    _check_hours(start, end)
    hours = int((end - start) / HOUR)
    counts = np.zeros((hours, subject.baseline.starts[-1]), np.uint32)
    rows = np.zeros(hours, np.int64)
    blocks = np.zeros((len(subject.baseline.columns), hours, *NO_BLOCKS.shape), np.uint32)
    kept = store.profiles
    listed = _listed(store, subject, start, end)
    for done, one in enumerate(listed):
        observe(done, len(listed))
        at = int((one.hour - start) / HOUR)
        skimmed = skim(kept.read(one))
        counts[at] += skimmed.counts.astype(np.uint32)
        lengths = skimmed.blocks.shape[1]
        before = int(blocks[:, at].max(initial=0)) if rows[at] else 0
        blocks = with_room(blocks, lengths, int(skimmed.blocks.max(initial=0)) + before)
        blocks[:, at, :lengths] += skimmed.blocks.astype(blocks.dtype)
        rows[at] += skimmed.rows
    return History(start, rows, counts, blocks)


def merged(store: Store, subject: Subject, start: datetime, end: datetime) -> Profile:
    """The profile of all rows of `start <= time < end`, from the hours that are kept; without any, of no rows."""
    return merge(_profiles(store, subject, start, end))


def _profiles(store: Store, subject: Subject, start: datetime, end: datetime) -> list[Profile]:
    """Those that are kept, by hour; one of no rows where there is none."""
    _check_hours(start, end)
    kept = store.profiles
    found = [parse(kept.read(one)) for one in _listed(store, subject, start, end)]
    return found or [profile(pl.DataFrame(), subject.baseline)]


def rescore(store: Store, subject: Subject, start: datetime, end: datetime, *, level: float = 0.05) -> DriftReport:
    """The drift report on `start <= time < end` from the hours that are kept, without their rows.

    start, end: whole hours. level: the chance of any alarm without drift. Raises SettingError for either, and
    StoreError if the store cannot be read.
    """
    hours = _profiles(store, subject, start, end)
    return report_on(merge(hours), subject.baseline, level=level, hours=hours)


def _check_hours(start: datetime, end: datetime) -> None:
    for name, moment in (("start", start), ("end", end)):
        if moment.utcoffset() is None:
            raise SettingError(f"The {name} {moment} has no time zone. Give an aware time, such as one in UTC.")
        if moment != whole_hour(moment):
            raise SettingError(
                f"The {name} {moment.isoformat()} is no whole hour of UTC, and profiles are of whole hours. Use "
                f"{whole_hour(moment).isoformat()}, or read the traffic itself."
            )
    if start > end:
        raise SettingError(f"The period from {start.isoformat()} ends before that, at {end.isoformat()}. Swap them.")


def whole_hour(moment: datetime) -> datetime:
    """The hour of UTC in which a moment is."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _listed(store: Store, subject: Subject, start: datetime, end: datetime) -> list[StoredProfile]:
    return store.profiles.list(
        subject.endpoint,
        start,
        end,
        model=subject.version.name,
        version=subject.version.version,
        baseline=subject.baseline.digest,
        variant=subject.variant,
    )


def _files(
    store: Store, subject: Subject, start: datetime, end: datetime
) -> list[tuple[tuple[datetime, str], list[Path]]]:
    """The traffic's files by hour and variant; those of other model versions too."""
    files: dict[tuple[datetime, str], list[Path]] = {}
    for path in store.traffic.parts(subject.endpoint, start, end, variant=subject.variant):
        date, hour = path.parent.parent, path.parent
        time = datetime.strptime(f"{date.name} {hour.name} +0000", "date=%Y-%m-%d hour=%H %z")
        if time < end:
            files.setdefault((time, date.parent.name.removeprefix("variant=")), []).append(path)
    return list(files.items())


def _keep(store: Store, subject: Subject, hour: datetime, variant: str, paths: list[Path], now: datetime) -> bool:
    """Profile one hour of one variant; False if another process has done so."""
    columns = {_captured(subject, column.name): column.name for column in subject.baseline.columns}
    version = subject.version
    found: list[Profile] = []
    for path in paths:
        part = store.traffic.read_part(
            path, hour, hour + HOUR, model=version.name, version=version.version, columns=columns
        )
        if part.height:
            found.append(profile(part.rename(columns, strict=False), subject.baseline))
    # An hour of other versions' rows is kept too, as one of none: it need not be read again.
    whole = merge(found or [profile(pl.DataFrame(), subject.baseline)])
    data = dump(whole)
    row = StoredProfile(
        endpoint=subject.endpoint,
        variant=variant,
        model=version.name,
        version=version.version,
        baseline=subject.baseline.digest,
        hour=hour,
        rows=whole.rows,
        files=len(paths),
        digest="",
        size_bytes=len(data),
        created_at=now,
    )
    return store.profiles.put(row, data)


def _captured(subject: Subject, name: str) -> str:
    """What a column of a report is called in captured traffic."""
    is_input = name in subject.version.signature.names
    return name if is_input or name.startswith(OUTPUT_PREFIX) else OUTPUT_PREFIX + name
