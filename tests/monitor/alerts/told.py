"""A schedule with an alert, verdicts for it, and what its channels are told. The clock is given."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from monitor.alerts import Messenger, Senders
from monitor.schedule import SETTLE, Checked, Watch, Window
from storage import Store
from storage.records import AlertRule, Channel, ChannelKind, Schedule
from tests import portable
from tests.monitor import till

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = b"a secret of ours"


def channel(
    kind: ChannelKind, *target: str, name: str = "ops", states: Sequence[str] = ("InAlert", "OK"), timeout_s: float = 10
) -> Channel:
    """A channel as users make it."""
    return Channel(name, kind, target, tuple(states), timeout_s, NOON)  # type: ignore[arg-type]


def schedule(store: Store, *channels: Channel, datapoints: int = 1, of: int = 1) -> None:
    """An endpoint with an hourly schedule from noon on, which tells these channels."""
    till.deploy(store, portable.classifier(), NOON - HOUR)
    for one in channels:
        store.schedules.alerts.put_channel(one)
    rule = AlertRule(datapoints, of, tuple(one.name for one in channels))
    store.schedules.put(Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, NOON, alert=rule))


def judge(store: Store, *verdicts: bool | Exception | None, since: int = 0) -> None:
    """One verdict an hour, from so many hours after noon on: bad, not bad, none, or an error."""
    for hour, verdict in enumerate(verdicts, since):

        def check(store: Store, schedule: Schedule, window: Window, now: datetime, found: object = verdict) -> Checked:
            if isinstance(found, Exception):
                raise found
            return Checked("drift" if found else "no drift", found, f"r{now:%H}")  # type: ignore[arg-type]

        now = NOON + hour * HOUR + SETTLE
        Watch(store, lambda work: work(), clock=lambda now=now: now, make=check).look()


def messenger(store: Store, now: datetime, senders: Senders | None = None) -> Messenger:
    """One that tells at once, at that time."""
    return Messenger(store, senders or Senders(SECRET), lambda work: work(), clock=lambda: now)
