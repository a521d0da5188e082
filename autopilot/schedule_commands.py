"""The commands about schedules below `autopilot monitor`: when an endpoint is checked, and what that would have found.

They change records in the store; a monitor that runs follows within a second. As in `cli.py`, what a command needs is
imported inside it.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import App, Parameter
from msgspec.structs import asdict, replace

from autopilot.alert_commands import rule_of
from autopilot.parameters import Json, StorePath, open_store
from storage.budget import changed
from storage.errors import AutopilotError, SettingError, UnknownNameError
from storage.records import AlertState, CheckKind, Missed, Schedule

if TYPE_CHECKING:
    from storage.store import Store

_Offset = Annotated[str | None, Parameter(allow_leading_hyphen=True)]

#: An option that can be the default again, by --no-OPTION, which gives None.
_Optional = Annotated[str | None, Parameter(allow_leading_hyphen=True, negative_none="no-", show_default=False)]

#: Of such an option that is not given. No argument of a program can be this.
_AS_IT_IS = "\0"

#: Of a schedule for which nobody says another.
_LEVEL = 0.05


def add_commands(monitor: App) -> None:
    """Put the commands below another."""
    monitor.command(schedule, name="schedule")
    monitor.command(backtest, name="backtest")


def schedule(
    endpoint: str,
    /,
    *,
    cron: str | None = None,
    name: str | None = None,
    check: CheckKind | None = None,
    facet: Annotated[
        list[str] | None,
        Parameter(
            negative="--no-facet",
            help="Whose bias; may be given several times: sex=female, age>40, sex; default: of fit's --fairness.",
        ),
    ] = None,
    variant: _Optional = _AS_IT_IS,
    zone: str | None = None,
    missed: Missed | None = None,
    start_offset: _Optional = _AS_IT_IS,
    end_offset: _Optional = _AS_IT_IS,
    alert: str | None = None,
    tell: Annotated[
        list[str] | None,
        Parameter(negative="--no-tell", help="Tell this channel of alerts; may be given several times."),
    ] = None,
    level: float | None = None,
    budget: str | None = None,
    rows: int | None = None,
    run: Annotated[bool, Parameter(negative="", help="Run it at once, beside its due times.")] = False,
    pause: Annotated[bool, Parameter(negative="", help="Have it owe nothing until it is resumed.")] = False,
    resume: Annotated[bool, Parameter(negative="", help="Have it go on.")] = False,
    remove: Annotated[bool, Parameter(negative="", help="Remove the schedule.")] = False,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Check an endpoint on schedule while the server runs. Without an option, list its schedules.

    --cron makes a schedule. Of one that is there, what is given is changed, and the rest stays as it is. Of one that
    looks for drift, it then says how small a drift it will find.

    Parameters
    ----------
    cron
        Five fields, such as "0 * * * *" for each full hour, where day of week 0 is Sunday; "every 15 minutes", or
        hours, days or weeks; or SageMaker's cron(...).
    name
        Of the schedule; an endpoint may have several. Default: the endpoint's.
    check
        What is looked for; default: drift.
    variant
        Which variant is looked at; default: the main one.
    zone
        Time zone of the five fields, such as Europe/Berlin; default: UTC.
    missed
        What becomes of due times at which no monitor was there: each is made up for, the latest covers them all, or
        they are only recorded; default: latest.
    start_offset
        Where the window begins, from the due time, such as -P8D; default: where the window before ended.
    end_offset
        Where the window ends, such as -P1D; default: at the due time.
    alert
        How many of how many verdicts have to be bad, such as "2 of 3"; default: 1 of 1.
    level
        Chance of any alarm in a report where nothing has changed; default: 0.05.
    budget
        False alarms instead of a level, such as "1 per quarter".
    rows
        That a window is expected to have, for what it will find; default: as past windows had.
    """
    opened = open_store(store)
    opened.endpoints.get(endpoint)
    called = name or endpoint
    given = {
        "cron": cron,
        "check": check,
        "facets": None if facet is None else tuple(facet),
        "zone": zone,
        "missed": missed,
        "level": level,
        "budget": budget,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    optional = {"variant": variant, "start_offset": start_offset, "end_offset": end_offset}
    changes |= {field: value for field, value in optional.items() if value != _AS_IT_IS}
    is_changed = bool(changes) or (alert, tell, rows) != (None, None, None)
    _refuse_contradictions(remove=remove, pause=pause, resume=resume, others=is_changed or run)
    if not is_changed:
        _change(opened, endpoint, called, run=run, pause=pause, resume=resume, remove=remove, json=json)
        return
    now = datetime.now(UTC)
    known = _known(opened, endpoint, called) if cron is None else _find(opened, endpoint, called)
    made = _changed(known or Schedule(called, endpoint, cron or "", _LEVEL, now), changes, alert, tell)
    made = replace(made, paused=pause or (made.paused and not resume))
    if made != known:
        made = replace(made, created_at=now)
        opened.schedules.put(made)
    if run:
        opened.schedules.ask(called, now)
        if not json:
            _tell_asked(called)
    _tell(opened, made, rows, json=json)


def _refuse_contradictions(*, remove: bool, pause: bool, resume: bool, others: bool) -> None:
    """Raises SettingError for what cannot be done at once, before anything is done. others: of what a schedule has."""
    if remove and (pause or resume or others):
        raise SettingError("--remove is given with options of a schedule that stays. Leave them out, or --remove.")
    if pause and resume:
        raise SettingError("--pause and --resume are given. Leave one of them out.")


def _changed(before: Schedule, changes: dict[str, Any], alert: str | None, tell: list[str] | None) -> Schedule:
    """A schedule with what was given in place of its own."""
    rule = before.alert if alert is None else rule_of(alert, before.alert.channels)
    rule = rule if tell is None else replace(rule, channels=tuple(tell))
    return changed(before, {**changes, "alert": rule})


def _tell(store: "Store", made: Schedule, rows: int | None, *, json: bool) -> None:
    """Tell of a schedule as it is from now on, and how small a drift it will find."""
    from rich.markup import escape

    from autopilot import terminal

    found, complaint = _finds(store, made, rows)
    if json:
        terminal.print_json({**asdict(made), "finds": found})
        return
    when = "once it is resumed" if made.paused else "while `autopilot serve` runs"
    terminal.say(escape(f"{made.endpoint} is checked for {made.check} at {made.cron!r} ({made.zone}) {when}."))
    if found is not None:
        terminal.print_finds(found)
    elif complaint:
        terminal.say(escape(complaint))


def _finds(store: "Store", made: Schedule, rows: int | None) -> tuple[dict[str, Any] | None, str]:
    """How small a drift a schedule will find, or why that cannot be told: the schedule is there anyway."""
    from autopilot import servers

    if made.check != "drift":
        return None, ""
    unknown = "How small a drift it will find depends on the rows of a window: there were none yet. Give --rows."
    if rows is None and not store.traffic.has(made.endpoint):
        return None, unknown
    given = [] if rows is None else ["--rows", str(rows)]
    try:
        found = servers.ask_monitor("finds", _as_json(made), "--store", str(store.root), *given)
    except AutopilotError as error:
        return None, f"How small a drift it will find cannot be told: {error}"
    return (None, unknown) if found["rows"] is None else (found, "")


def _as_json(asked: Schedule) -> str:
    return msgspec.json.encode(asked).decode()


def _change(
    store: "Store", endpoint: str, called: str, *, run: bool, pause: bool, resume: bool, remove: bool, json: bool
) -> None:
    """Change a schedule as asked, and list those of its endpoint."""
    from rich.markup import escape

    from autopilot import terminal

    schedules, now = store.schedules, datetime.now(UTC)
    if remove or pause or resume or run:
        _known(store, endpoint, called)
    removed = schedules.remove(called, now) if remove else False
    if pause or resume:
        (schedules.pause if pause else schedules.resume)(called, now)
    if run:
        schedules.ask(called, now)
    listed = schedules.list(endpoint)
    if json:
        terminal.print_json({"endpoint": endpoint, "removed": removed, "schedules": listed})
        return
    states = schedules.alerts.states()
    if run:
        _tell_asked(called)
    for one in listed:
        terminal.say(escape(_line(one, states[one.name])))
    if not listed:
        terminal.say(f"{endpoint} has no schedule.")


def _tell_asked(called: str) -> None:
    """Say that a check was asked for, and where to see what becomes of it."""
    from autopilot import terminal

    how = "begins within seconds while `autopilot serve` runs"
    terminal.say(f"A check of {called} {how}: GET /api/schedules/{called}/executions tells what becomes of it.")


def _line(one: Schedule, state: AlertState) -> str:
    """A schedule and the state of its alert, for people."""
    facets = f" of {', '.join(one.facets)}" if one.facets else ""
    paused = ", paused" if one.paused else ""
    level = one.budget or f"level {one.level:g}"
    rule = one.alert
    told = f" to {', '.join(rule.channels)}" if rule.channels else ""
    return (
        f"{one.name}: {one.check}{facets} at {one.cron!r} ({one.zone}{paused}), {level}, alert {rule.datapoints} of "
        f"{rule.of}{told}: {state}"
    )


def _find(store: "Store", endpoint: str, called: str) -> Schedule | None:
    return next((one for one in store.schedules.list(endpoint) if one.name == called), None)


def _known(store: "Store", endpoint: str, called: str) -> Schedule:
    found = _find(store, endpoint, called)
    if found is None:
        raise UnknownNameError(f"Endpoint {endpoint!r} has no schedule {called!r}. Make it with --cron.")
    return found


def backtest(
    endpoint: str,
    /,
    *,
    name: str | None = None,
    cron: str | None = None,
    start: Annotated[str, Parameter(name="--from")] = "30d",
    end: Annotated[str | None, Parameter(name="--to")] = None,
    variant: str | None = None,
    zone: str | None = None,
    start_offset: _Offset = None,
    end_offset: _Offset = None,
    alert: str | None = None,
    level: float | None = None,
    budget: str | None = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """What would a schedule for drift have found in the past, and when would its alert have gone off?

    From profiles of hours: those that have traffic and no profile yet are profiled first. Nothing is recorded.

    Parameters
    ----------
    name
        A schedule of the endpoint; the other options are tried in place of its own.
    cron
        Without --name, when it would have been due.
    start
        Due times after it: 2024-05-01, or 30d for 30 days ago.
    end
        And up to it; default: now.
    variant
        Which variant is looked at; default: the main one.
    zone
        Time zone of the five fields; default: UTC.
    start_offset
        Where the window begins, from the due time, such as -P8D; default: at the due time before.
    end_offset
        Where the window ends, such as -P1D; default: at the due time.
    alert
        How many of how many verdicts have to be bad; default: 1 of 1.
    level
        Chance of any alarm in a report where nothing has changed; default: 0.05.
    budget
        False alarms instead of a level, such as "1 per quarter".
    """
    from autopilot import servers, terminal
    from storage.backtests import BacktestConfig, tried
    from storage.instants import instant_of

    opened, now = open_store(store), datetime.now(UTC)
    opened.endpoints.get(endpoint)
    if name is None and cron is None:
        raise SettingError('Nobody says when it would have been due. Give --cron, such as "0 * * * *", or --name.')
    known = _known(opened, endpoint, name) if name else Schedule(endpoint, endpoint, cron or "", _LEVEL, now)
    asked = BacktestConfig(
        cron=cron,
        variant=variant,
        zone=zone,
        start_offset=start_offset,
        end_offset=end_offset,
        alert=None if alert is None else rule_of(alert, ()),
        level=level,
        budget=budget,
    )
    made = tried(known, asked)
    since, until = instant_of(start, "--from", now), now if end is None else instant_of(end, "--to", now)
    period = ["--from", since.isoformat(), "--to", until.isoformat()]
    found = servers.ask_monitor("backtest", _as_json(made), "--store", str(opened.root), *period)
    terminal.print_json(found) if json else terminal.print_backtest(found, made.zone)
