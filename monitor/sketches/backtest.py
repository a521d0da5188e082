"""What would a schedule have found, and when would its alert have gone off, had it been there in a past period?"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from monitor.charts import number
from monitor.sketches.hours import HOUR, SETTLED, History, Subject, keep_hours, load, subject_of, whole_hour
from monitor.sketches.rescore import Column, Counted, Verdicts, judge
from storage.backtests import Backtest, Drifted, WouldBe, check_tried
from storage.budget import level_of
from storage.cron import recent
from storage.errors import SettingError, counted
from storage.instants import minute_of
from storage.records import AlertState, Schedule
from storage.store import Store
from storage.timing import duration_of, parse_timing

_INSTANT = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)

#: Is told how many hours are done, of all, in which step. What it raises ends the work.
Observe: TypeAlias = Callable[[Literal["profiled", "read"], int, int], None]


class Windows(Struct, frozen=True):
    """The due times of a schedule, ascending, and the window of each."""

    due: tuple[datetime, ...]
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]


def backtest(
    store: Store,
    schedule: Schedule,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    observe: Observe = lambda step, done, of: None,
) -> Backtest:
    """What a schedule would have found at its due times in `start < due <= end`, from the hours that are kept.

    Hours that have traffic and no profile are profiled first; those of the last minutes have not settled, so the period
    ends before them. The schedule need not be in the store, so that it can be tried before it is saved. Its endpoint is
    taken as it is served now. Raises SettingError for what `check_tried` finds, for a period without a due time,
    and for windows that are no whole hours of UTC or have neither traffic nor profiles; UnknownNameError for an
    endpoint that the store does not hold.
    """
    check_tried(schedule, start, end, now)
    end = min(end, now - SETTLED)
    windows = windows_of(schedule, start, end)
    if not windows.due:
        raise SettingError(
            f"Nothing is due at {schedule.cron!r} ({schedule.zone}) from {minute_of(start)} to {minute_of(end)}. Ask "
            f"for a longer period, which ends {SETTLED // _MINUTE} minutes ago at the latest."
        )
    _refuse_parts_of_hours(windows)
    subject = subject_of(store, schedule.endpoint, schedule.variant)
    first, last = min(windows.starts), max(windows.ends)
    keep_hours(store, subject, first, last, now=now, observe=partial(observe, "profiled"))
    history = load(store, subject, first, last, partial(observe, "read"))
    if not history.rows.any():
        raise SettingError(
            f"Nothing is there of what {subject.version.name}:{subject.version.version} answered at endpoint "
            f"{schedule.endpoint!r} from {minute_of(first)} to {minute_of(last)}, neither traffic nor profiles. Ask "
            "for a time in which it was served, and its traffic captured."
        )
    return replay(history, subject, schedule, windows, (start, end))


def replay(
    history: History, subject: Subject, schedule: Schedule, windows: Windows, period: tuple[datetime, datetime]
) -> Backtest:
    """As `backtest`, of hours that were loaded before: to try another level, alert rule or rhythm costs no reading."""
    bounds = [np.array([int((at - history.start) / HOUR) for at in ends]) for ends in (windows.starts, windows.ends)]
    rows = _within(history.rows[:, None], bounds)[:, 0]

    def columns_of(place: int) -> Column:
        own = slice(*subject.baseline.starts[place : place + 2])
        counts, blocks = history.counts[:, own], history.blocks[place]

        def hours_of(window: int) -> Counted:
            hours = slice(int(bounds[0][window]), int(bounds[1][window]))
            return Counted(counts[hours].astype(np.int64), blocks[hours].astype(np.int64))

        tallies = _within(blocks.reshape(len(blocks), -1), bounds).reshape(-1, *blocks.shape[1:])
        return Column(Counted(_within(counts, bounds), tallies), hours_of)

    levels = np.array([level_of(schedule, due) for due in windows.due])
    found = judge(subject.baseline, rows, columns_of, levels=levels)
    names = [column.name for column in subject.baseline.columns]
    return _summarized(schedule, period, _outcomes(schedule, windows, rows, levels, found, names))


def windows_of(schedule: Schedule, start: datetime, end: datetime) -> Windows:
    """Due times in `start < due <= end` and what is looked at: what the schedule's offsets say, or all since the due
    time before. Raises SettingError for a cron, a zone or an offset that is none."""
    timing = parse_timing(schedule.cron, schedule.zone)
    due = timing.between(start, end)
    if not due:
        return Windows((), (), ())
    until = duration_of(schedule.end_offset or "PT0M")
    before = [*recent(timing, due[0] - _INSTANT, 1), *due[:-1]]
    since = before if schedule.start_offset is None else due
    offset = until if schedule.start_offset is None else duration_of(schedule.start_offset)
    return Windows(
        tuple(due),
        tuple((at + offset).astimezone(UTC) for at in since),
        tuple((at + until).astimezone(UTC) for at in due),
    )


def _summarized(schedule: Schedule, period: tuple[datetime, datetime], outcomes: tuple[WouldBe, ...]) -> Backtest:
    """The outcomes of a period, and what they come to."""
    judged = [outcome for outcome in outcomes if outcome.breached is not None]
    alarms = sum(outcome.breached is True for outcome in judged)
    states = ["OK", *(outcome.state for outcome in outcomes)]
    alerts = sum(after == "InAlert" != before for before, after in pairwise(states))
    expected = sum(outcome.level for outcome in judged)
    reports = counted(len(outcomes), "report")
    sentence = f"None of {reports} would have had rows enough to be judged."
    if judged:
        few = len(outcomes) - len(judged)
        sentence = (
            f"{alarms:,} of {reports} would have alarmed"
            f"{f' ({few:,} had too few rows)' if few else ''}; the alert would have gone off "
            f"{'once' if alerts == 1 else f'{alerts:,} times'}. Had nothing changed, {number(expected)} false alarms "
            "would be expected at most."
        )
    return Backtest(sentence, alarms, alerts, expected, schedule.name, *period, outcomes)


def _refuse_parts_of_hours(windows: Windows) -> None:
    for at in (*windows.starts, *windows.ends):
        if at != whole_hour(at):
            raise SettingError(
                f"A window of the schedule begins or ends at {minute_of(at)}, and the past is kept by whole hours of "
                "UTC. Have it due at minute 0, in a zone whose clock differs from UTC by whole hours."
            )


def _within(hours: NDArray[np.integer], bounds: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Sums of (H, K) over windows of hours, first and past the last: (W, K)."""
    sums = np.zeros((len(hours) + 1, hours.shape[1]), np.int64)
    np.cumsum(hours, axis=0, out=sums[1:])
    return sums[bounds[1]] - sums[bounds[0]]


def _outcomes(
    schedule: Schedule,
    windows: Windows,
    rows: NDArray[np.int64],
    levels: NDArray[np.float64],
    found: Verdicts,
    names: list[str],
) -> tuple[WouldBe, ...]:
    rule = schedule.alert
    latest: deque[bool] = deque(maxlen=rule.of)
    state: AlertState = "OK"
    outcomes: list[WouldBe] = []
    for at, due in enumerate(windows.due):
        drifted = _drifted(found, at, names)
        breached = bool(drifted) if found.enough[at] else None
        if breached is not None:
            latest.append(breached)
            state = "InAlert" if sum(latest) >= rule.datapoints else "OK"
        outcomes.append(
            WouldBe(
                scheduled_at=due,
                window_start=windows.starts[at],
                window_end=windows.ends[at],
                rows=int(rows[at]),
                verdict="too few rows" if breached is None else "drift" if breached else "no drift",
                breached=breached,
                drifted=drifted,
                state=state,
                level=float(levels[at]),
            )
        )
    return tuple(outcomes)


def _drifted(found: Verdicts, at: int, names: list[str]) -> tuple[Drifted, ...]:
    places = np.flatnonzero(found.drifted[at])
    effects = found.effects[at, places]
    return tuple(Drifted(names[places[i]], float(effects[i])) for i in np.argsort(-effects, kind="stable"))
