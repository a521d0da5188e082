"""What a schedule will find, said when it is made: the smallest drift that four of five of its windows show."""

from datetime import datetime, timedelta
from statistics import median

import polars as pl
from msgspec.structs import replace

from monitor.looked import compared_kinds, read_reference, version_of
from monitor.power import POWER, Finds, finds_of
from monitor.sketches import windows_of
from storage.budget import level_of
from storage.cron import recent
from storage.errors import SettingError
from storage.records import ModelVersion, Schedule
from storage.store import Store
from storage.timing import parse_timing
from storage.traffic import OUTPUT_PREFIX

#: Windows of the past whose rows are counted.
MOST_WINDOWS = 8

_TIME = f"{OUTPUT_PREFIX}time"
_INSTANT = timedelta(microseconds=1)


def finds(store: Store, schedule: Schedule, now: datetime, *, rows: int | None = None) -> Finds:
    """What a schedule for drift finds.

    rows: of a window; by default the median of the last 8 windows that had any, had the schedule been there. In the
    unit of a sensitive column, nothing is told. Raises SettingError for another check and for what no schedule can
    have, UnknownNameError for an endpoint or a variant that there is not.
    """
    if schedule.check != "drift":
        raise SettingError(f"check is {schedule.check!r}. How small a change it finds can be told of drift alone.")
    level = level_of(schedule, now)
    version = version_of(store, store.endpoints.get(schedule.endpoint), schedule.variant)
    counted = [] if rows is not None else _rows_of_windows(store, schedule, version, now)
    if rows is None and not counted:
        return Finds(None, 0, level, POWER, (), 0)
    usual = round(median(counted)) if rows is None else rows
    kinds = compared_kinds(version.signature)
    reference = read_reference(store, version).select(list(kinds))
    found = finds_of(reference, usual, level=level, kinds=kinds, windows=len(counted))
    hidden = {column.name for column in version.signature.columns if column.sensitive}
    told = tuple(replace(one, shift=None) if one.name in hidden else one for one in found.columns)
    return replace(found, columns=told)


def _rows_of_windows(store: Store, schedule: Schedule, version: ModelVersion, now: datetime) -> list[int]:
    """Rows in each of the last windows that have any."""
    due = recent(parse_timing(schedule.cron, schedule.zone), now, MOST_WINDOWS)
    if not due:
        return []
    windows = windows_of(schedule, due[0] - _INSTANT, now)
    start, end = min(windows.starts), max(windows.ends)
    store.traffic.compact()
    parts = store.traffic.parts(schedule.endpoint, start, end, variant=schedule.variant)
    times = [
        store.traffic.read_part(path, start, end, model=version.name, version=version.version, columns=[_TIME])
        for path in parts
    ]
    if not times:
        return []
    answered = pl.concat(times).get_column(_TIME)
    rows = [
        int(((answered >= since) & (answered < until)).sum())
        for since, until in zip(windows.starts, windows.ends, strict=True)
    ]
    return [count for count in rows if count]
