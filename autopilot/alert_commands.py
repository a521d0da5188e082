"""The commands about alerts below `autopilot monitor`: who is told, and what was found and told.

They change records in the store; a monitor that runs follows within a second. As in `cli.py`, what a command needs is
imported inside it.
"""

import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from autopilot.parameters import Json, StorePath, open_store
from storage.errors import InputError, SettingError
from storage.records import AlertChange, AlertRule, AlertState, Channel, ChannelKind
from storage.settings import Settings

#: Seconds that one attempt may take where nobody says so.
_TIMEOUTS_S: dict[ChannelKind, float] = {"webhook": 10.0, "email": 30.0, "command": 3600.0}


def add_commands(monitor: App) -> None:
    """Put the commands below another."""
    monitor.command(alerts, name="alerts")
    monitor.command(channel, name="channel")


def rule_of(text: str, channels: Iterable[str]) -> AlertRule:
    """When a schedule is in alert, as a user writes it. Raises SettingError.

    >>> rule_of("2 of 3", ["ops"])
    AlertRule(datapoints=2, of=3, channels=('ops',))
    """
    found = re.fullmatch(r"(\d{1,4}) of (\d{1,4})", text, re.ASCII)
    if found is None:
        raise SettingError(f"alert is {text!r}. Write how many of how many verdicts have to be bad, such as '2 of 3'.")
    return AlertRule(int(found[1]), int(found[2]), tuple(channels))


def alerts(schedule: str | None = None, /, *, store: StorePath = None, json: Json = False) -> None:
    """Show which schedules are in alert; of one schedule, when that changed and who was told.

    Parameters
    ----------
    schedule
        A schedule's name, also of one that was removed: what waits for its channels is told all the same.
    """
    from rich.markup import escape

    from autopilot import terminal

    schedules = open_store(store).schedules
    if schedule is None:
        states = schedules.alerts.states()
        if json:
            terminal.print_json([{"schedule": name, "state": state} for name, state in states.items()])
        for name, state in () if json else states.items():
            terminal.say(f"{state:8} {name}")
        return
    state, changes = schedules.alerts.state(schedule), schedules.alerts.changes(schedule)
    told = schedules.alerts.deliveries(schedule)
    removed = schedule not in schedules.alerts.states()
    if removed and not changes and not told:
        schedules.get(schedule)  # which says that there is none
    if json:
        found = {"schedule": schedule, "state": state, "removed": removed, "changes": changes, "deliveries": told}
        terminal.print_json(found)
        return
    terminal.say(f"{schedule} was removed when it was {state}." if removed else f"{schedule} is {state}.")
    for change in changes:
        terminal.say(escape(f"{change.at:%Y-%m-%d %H:%M} {change.state}: {_why(change)}"))
    became = {change.number: f" ({change.state})" for change in changes}
    for delivery in told:
        what = f"{delivery.channel} {delivery.status}{became.get(delivery.number, '')}"
        reason = f": {delivery.reason}" if delivery.reason else ""
        terminal.say(escape(f"{delivery.created_at:%Y-%m-%d %H:%M} {what}{reason}"))


def _why(change: AlertChange) -> str:
    """How many verdicts were bad, if one decided, and what was found."""
    if change.report_id is None:
        return change.sentence
    if change.of == 1:
        bad = f"the last verdict was {'bad' if change.bad else 'not bad'}"
    elif change.bad:
        bad = f"{change.bad} of the last {change.of} verdicts {'was' if change.bad == 1 else 'were'} bad"
    else:
        bad = f"no bad verdict among the last {change.of}"
    return f"{bad}. {change.sentence}" if change.sentence else bad


def channel(
    name: str | None = None,
    /,
    *,
    webhook: Annotated[str | None, Parameter(help="Post JSON to this address, signed.")] = None,
    email: Annotated[
        list[str] | None, Parameter(negative="", help="Send an e-mail to this address; may be given several times.")
    ] = None,
    command: Annotated[str | None, Parameter(help="Run this program with its arguments; JSON is on its input.")] = None,
    state: Annotated[
        list[AlertState] | None,
        Parameter(negative="", help="Tell only that it comes to this; may be given several times. Default: all."),
    ] = None,
    timeout: Annotated[float | None, Parameter(help="Seconds that an attempt may take.")] = None,
    remove: Annotated[bool, Parameter(negative="", help="Remove the channel.")] = False,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Make a channel that alerts are told by, or replace or remove it. Without a name, list the channels.

    Parameters
    ----------
    name
        Of the channel: what `schedule --tell` takes.
    """
    from rich.markup import escape

    from autopilot import terminal
    from storage.alerts import ALERT_STATES, obstacle

    opened = open_store(store).schedules.alerts
    given = _targets(webhook, email, command)
    if len(given) > 1 or (given and (remove or name is None)):
        raise InputError("Give a name and one of --webhook, --email, --command; or a name and --remove.")
    if name is not None and given:
        [(kind, target)] = given
        made = Channel(
            name,
            kind,
            target,
            states=tuple(state or ALERT_STATES),
            timeout_s=_TIMEOUTS_S[kind] if timeout is None else timeout,
            created_at=datetime.now(UTC),
        )
        opened.put_channel(made)
        if (found := obstacle(made, Settings.load())) is not None:
            warning = f"Channel {name!r} is made, but a monitor that is started here could not tell it: {found}"
            terminal.err.print(warning, markup=False, soft_wrap=True)
    elif name is not None and remove:
        opened.remove_channel(name)
    listed = opened.list_channels() if name is None or remove else [opened.channel(name)]
    if json:
        terminal.print_json(listed)
        return
    for one in listed:
        terminal.say(escape(f"{one.name}: {one.kind} {shlex.join(one.target)} at {', '.join(one.states)}"))
    if not listed:
        terminal.say("The store has no channels.")


def _targets(
    webhook: str | None, email: list[str] | None, command: str | None
) -> list[tuple[ChannelKind, tuple[str, ...]]]:
    """What was given, by the kind of channel."""
    found: list[tuple[ChannelKind, tuple[str, ...]]] = []
    if webhook is not None:
        found.append(("webhook", (webhook,)))
    if email is not None:
        found.append(("email", tuple(email)))
    if command is not None:
        found.append(("command", _words(command)))
    return found


def _words(command: str) -> tuple[str, ...]:
    """The words of a command, as a shell would part them; none will ever read them."""
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise SettingError(f"command is {command!r}, whose quotes do not match: {error}. Close them.") from error
