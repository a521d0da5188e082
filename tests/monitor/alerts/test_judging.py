"""When a schedule goes into alert, and comes out of it."""

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from monitor.schedule import SETTLE, Watch
from storage import SettingError, Store, UnknownNameError
from storage.alerts import ALERT_STATES
from storage.errors import InputError, UsedError
from storage.records import AlertRule
from tests.monitor.alerts.told import HOUR, NOON, channel, judge, schedule
from tests.refusals import raises


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of those that change nothing."""
    opened = Store.open(tmp_path_factory.mktemp("untouched"))
    yield opened
    opened.close()


def states(store: Store) -> list[tuple[int, str, int]]:
    """Changes, oldest first: hours after noon, what to, of how many bad verdicts."""
    changes = reversed(store.schedules.alerts.changes("hourly"))
    return [((change.scheduled_at - NOON) // HOUR, change.state, change.bad) for change in changes]


@pytest.mark.parametrize(
    ("datapoints", "of", "verdicts", "expected"),
    [
        (1, 1, [0, 1, 1, 0, 1], [(1, "InAlert", 1), (3, "OK", 0), (4, "InAlert", 1)]),
        (2, 3, [1, 0, 0, 1, 0, 1, 0, 0], [(5, "InAlert", 2), (6, "OK", 1)]),
        (3, 3, [1, 1, 0, 1, 1, 1, 1, 0], [(5, "InAlert", 3), (7, "OK", 2)]),
        (2, 2, [1, None, ValueError("no"), 1], [(3, "InAlert", 2)]),  # what says nothing is no verdict
        (1, 3, [1, 0, 0, None, 0], [(0, "InAlert", 1), (4, "OK", 0)]),
        (1, 1, [0, 0, None], []),
    ],
)
def test_so_many_of_so_many_verdicts_make_an_alert(
    store: Store, datapoints: int, of: int, verdicts: list[object], expected: list[tuple[int, str, int]]
) -> None:
    """Written down when it changes, and only then."""
    schedule(store, datapoints=datapoints, of=of)
    judge(store, *(bool(one) if isinstance(one, int) else one for one in verdicts))  # type: ignore[arg-type]
    assert states(store) == expected
    state = expected[-1][1] if expected else "OK"
    assert store.schedules.alerts.state("hourly") == state
    assert store.schedules.alerts.states() == {"hourly": state}


def test_a_change_says_what_decided(store: Store) -> None:
    """The due time, its report, and the rule."""
    schedule(store, datapoints=2, of=4)
    judge(store, True, True)
    [change] = store.schedules.alerts.changes("hourly")
    assert (change.number, change.endpoint, change.check, change.report_id) == (1, "till", "drift", "r13")
    assert (change.bad, change.datapoints, change.of) == (2, 2, 4)
    assert change.at == store.schedules.executions("hourly")[0].ended_at


def test_what_is_asked_for_is_no_verdict(store: Store) -> None:
    """It is beside the due times that the rule speaks of."""
    schedule(store)
    judge(store, False)
    store.schedules.ask("hourly", NOON + HOUR / 2)
    judge(store, True, since=0)
    store.schedules.pause("hourly", NOON + HOUR / 2)
    judge(store, True, since=1)
    assert [one.breached for one in store.schedules.executions("hourly")] == [True, False]
    assert states(store) == []


def test_verdicts_before_a_change_of_the_schedule_do_not_count(store: Store) -> None:
    """They are of another level, or another rule."""
    schedule(store, datapoints=2, of=2)
    judge(store, True)
    store.schedules.put(replace(store.schedules.get("hourly"), level=0.01, created_at=NOON + HOUR / 2))
    judge(store, True, since=1)
    assert states(store) == []
    judge(store, True, since=2)
    assert states(store) == [(2, "InAlert", 2)]


def test_a_bad_verdict_never_ends_an_alert(store: Store) -> None:
    """Also after a pause or a change, from when on verdicts are counted anew; a good one does."""
    schedule(store, channel("command", "true"), datapoints=2, of=3)
    judge(store, True, True)
    store.schedules.pause("hourly", NOON + 1.2 * HOUR)
    store.schedules.resume("hourly", NOON + 1.5 * HOUR)
    judge(store, True, since=2)
    store.schedules.put(replace(store.schedules.get("hourly"), level=0.01, created_at=NOON + 2.5 * HOUR))
    judge(store, None, True, since=3)
    assert states(store) == [(1, "InAlert", 2)]
    judge(store, False, since=5)
    assert states(store) == [(1, "InAlert", 2), (5, "OK", 1)]
    assert len(store.schedules.alerts.deliveries()) == 2


def test_a_schedule_that_is_made_anew_is_not_in_alert(store: Store) -> None:
    """Whatever became of one of its name; nobody is told."""
    schedule(store, channel("command", "true"))
    judge(store, True)
    before, old = store.schedules.alerts.deliveries(), store.schedules.get("hourly")
    store.schedules.remove("hourly", NOON)
    assert store.schedules.alerts.states() == {}
    store.schedules.put(replace(old, created_at=NOON + HOUR / 2))
    assert store.schedules.alerts.state("hourly") == "OK"
    assert store.schedules.alerts.deliveries() == before
    judge(store, True, since=1)
    assert [state for _, state, _ in states(store)] == ["InAlert", "OK", "InAlert"]


ERROR = ValueError("no")


@pytest.mark.parametrize(
    ("datapoints", "of", "verdicts", "expected"),
    [
        (1, 1, [ERROR, ERROR, 0, ERROR, 0], [(0, "Failing", 0), (2, "OK", 0), (3, "Failing", 0), (4, "OK", 0)]),
        (2, 3, [ERROR, 0, ERROR, 0, ERROR, ERROR, ERROR, 0], [(5, "Failing", 0), (7, "OK", 0)]),
        (2, 2, [ERROR, None, ERROR, ERROR, None], [(3, "Failing", 0), (4, "OK", 0)]),  # too few rows is an answer
        (2, 2, [1, 1, ERROR, ERROR, None, 0], [(1, "InAlert", 2), (3, "Failing", 2), (4, "InAlert", 2), (5, "OK", 1)]),
        (2, 3, [1, 1, ERROR, ERROR, 0], [(1, "InAlert", 2), (3, "Failing", 2), (4, "InAlert", 2)]),
        (2, 3, [0, ERROR, ERROR, 1, 1], [(2, "Failing", 0), (3, "OK", 1), (4, "InAlert", 2)]),
    ],
)
def test_a_schedule_that_can_see_nothing_is_failing(
    store: Store, datapoints: int, of: int, verdicts: list[object], expected: list[tuple[int, str, int]]
) -> None:
    """After as many failures in a row as make an alert, until a check is made; verdicts go on from where they were."""
    schedule(store, datapoints=datapoints, of=of)
    judge(store, *(bool(one) if isinstance(one, int) else one for one in verdicts))  # type: ignore[arg-type]
    assert states(store) == expected


def test_channels_are_told_once_that_a_schedule_fails_and_once_that_it_goes_on(store: Store) -> None:
    """With the reason of the last time."""
    told = channel("command", "true", name="a", states=["OK", "Failing"])
    schedule(store, told, channel("command", "true", name="b", states=["InAlert"]), datapoints=2, of=2)
    judge(store, ERROR, SettingError("Nobody is there."), ERROR, False)
    failing, recovered = sorted(store.schedules.alerts.deliveries("hourly"), key=lambda one: one.number)
    assert (failing.channel, recovered.channel) == ("a", "a")
    body = json.loads(failing.body)
    assert (body["state"], body["report_id"], body["window_start"], body["columns"]) == ("Failing", None, None, [])
    assert body["sentence"] == (
        "The last 2 checks could not be made, so that nobody watches endpoint 'till': Nobody is there."
    )
    body = json.loads(recovered.body)
    assert (body["state"], body["sentence"], body["report_id"]) == ("OK", "Checks are made again.", "r15")


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ([1, ERROR, 1, 0], {"hook": ["InAlert", "Failing", "InAlert", "OK"], "retrain": ["InAlert"], "calm": ["OK"]}),
        ([1, ERROR, None, ERROR, 1], {"hook": ["InAlert", *["Failing", "InAlert"] * 2], "retrain": ["InAlert"]}),
        (
            [1, ERROR, 0, 1],
            {"hook": ["InAlert", "Failing", "OK", "InAlert"], "retrain": ["InAlert"] * 2, "calm": ["OK"]},
        ),
        ([0, ERROR, 0], {"hook": ["Failing", "OK"]}),
        ([0, ERROR, 1], {"hook": ["Failing", "InAlert"], "retrain": ["InAlert"]}),
    ],
)
def test_what_failures_interrupted_is_told_again_to_those_that_were_told_of_them(
    store: Store, verdicts: list[object], told: dict[str, list[str]]
) -> None:
    """Whoever trains a model again in an alert does so once in each."""
    states = {"hook": ALERT_STATES, "retrain": ["InAlert"], "calm": ["OK"]}
    schedule(store, *(channel("command", "true", name=name, states=those) for name, those in states.items()))
    judge(store, *(bool(one) if isinstance(one, int) else one for one in verdicts))  # type: ignore[arg-type]
    found: dict[str, list[str]] = {}
    for one in sorted(store.schedules.alerts.deliveries(), key=lambda one: one.number):
        found.setdefault(one.channel, []).append(json.loads(one.body)["state"])
    assert found == told


def test_an_alert_that_failures_interrupt_is_no_less_one_after_a_pause(store: Store) -> None:
    """A bad verdict never ends it; what a user asks for beside the due times says nothing."""
    schedule(store, datapoints=2, of=3)
    judge(store, True, True, ERROR, ERROR)
    store.schedules.ask("hourly", NOON + 3.2 * HOUR)
    judge(store, False, since=3)
    assert states(store) == [(1, "InAlert", 2), (3, "Failing", 2)]
    store.schedules.pause("hourly", NOON + 3.4 * HOUR)
    store.schedules.resume("hourly", NOON + 3.5 * HOUR)
    judge(store, True, since=4)
    assert states(store) == [(1, "InAlert", 2), (3, "Failing", 2), (4, "InAlert", 1)]


def test_a_schedule_that_nobody_comes_to_is_failing(store: Store) -> None:
    """Each due time is missed, as where there is more to do than the monitor can; not where there was no monitor."""
    schedule(store, datapoints=2, of=2)
    for hour in (0, 1, 2, 3, 4):
        Watch(store, lambda work: work(), clock=lambda hour=hour: NOON + hour * HOUR + SETTLE, most=0).look()
        assert store.schedules.alerts.state("hourly") == ("Failing" if hour > 1 else "OK")
    [change] = store.schedules.alerts.changes("hourly")
    assert change.sentence == (
        "The last 2 checks could not be made, so that nobody watches endpoint 'till': the next due time came before "
        "anybody began this one."
    )
    judge(store, False, since=5)
    judge(store, False, since=50)
    assert [state for _, state, _ in states(store)] == ["Failing", "OK"]


def test_a_check_that_takes_longer_than_to_the_next_due_time_is_no_failing_one(store: Store) -> None:
    """While somebody works on it, due times that pass are nothing to wake people for."""
    schedule(store)
    now = [NOON + SETTLE]
    working = Watch(store, lambda work: None, clock=lambda: now[0], most=1)
    for hour in range(4):
        now[0] = NOON + hour * HOUR + SETTLE
        working.renew()
        working.look()
    kept = store.schedules.executions("hourly")
    assert [one.status for one in kept] == ["pending", "missed", "missed", "running"]
    assert states(store) == []


def test_a_check_whose_processes_die_counts_as_failed(store: Store) -> None:
    """Nobody ends it: the monitor that gives it up does."""
    schedule(store)
    for attempt in range(4):
        now = NOON + attempt * HOUR / 60 + SETTLE
        if attempt == 0:
            Watch(store, lambda work: None, clock=lambda now=now: now).look()
        else:
            store.schedules.take("other", now, ready=now, lease_s=1)
    assert states(store) == [(0, "Failing", 0)]


def test_changes_are_paged_by_number(store: Store) -> None:
    """Newest first."""
    schedule(store)
    judge(store, True, False, True)
    alerts = store.schedules.alerts
    assert [change.number for change in alerts.changes("hourly", 2)] == [3, 2]
    assert [change.number for change in alerts.changes("hourly", 2, before=2)] == [1]


def test_each_channel_waits_to_be_told_of_its_states(store: Store) -> None:
    """One delivery for each change and channel, in the transaction of the change."""
    schedule(store, channel("command", "true", name="a"), channel("command", "true", name="b", states=["InAlert"]))
    judge(store, True, False)
    told = [(one.channel, one.number, one.status) for one in store.schedules.alerts.deliveries("hourly")]
    assert sorted(told) == [("a", 1, "waiting"), ("a", 2, "waiting"), ("b", 1, "waiting")]
    assert store.schedules.alerts.delivery_counts() == {"waiting": 3}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (channel("webhook", "ftp://h/x"), "'ftp://h/x' is no address of a webhook."),
        (channel("webhook", "https://user:secret@h/x"), "without a password."),
        (channel("webhook", "https://h:x/"), "is no address of a webhook."),
        (channel("webhook", "http://a/ b"), "is no address of a webhook."),
        (channel("webhook", "http://a", "http://b"), "'' is no address of a webhook."),
        (channel("email", "ops"), "'ops' is no e-mail address."),
        (channel("email", "a@b\nBcc: c@d"), "is no e-mail address."),
        (channel("email"), "has nobody to tell."),
        (channel("command"), "has nobody to tell."),
        (channel("command", ""), "has nobody to tell."),
        (channel("command", "true", name="../x"), "'../x' cannot name a channel."),
        (channel("command", "true", timeout_s=0), "timeout is 0 s. Use more than 0 and at most 86400 s."),
        (channel("command", "true", timeout_s=float("nan")), "timeout is nan s."),
        (channel("command", "true", states=()), "is told of no state."),
    ],
)
def test_a_channel_that_cannot_be_told_is_refused(untouched: Store, wrong: object, message: str) -> None:
    """When it is made."""
    with raises(InputError, message):
        untouched.schedules.alerts.put_channel(wrong)  # type: ignore[arg-type]
    assert untouched.schedules.alerts.list_channels() == []


def test_a_channel_is_replaced_and_removed(store: Store) -> None:
    """Not while a schedule tells it."""
    alerts = store.schedules.alerts
    schedule(store, channel("command", "true"))
    alerts.put_channel(channel("email", "ops@example.com"))
    assert alerts.list_channels() == [alerts.channel("ops")] == [channel("email", "ops@example.com")]
    with raises(UsedError, "Channel 'ops' is told by schedule 'hourly'. Change that first."):
        alerts.remove_channel("ops")
    store.schedules.put(replace(store.schedules.get("hourly"), alert=AlertRule()))
    alerts.remove_channel("ops")
    with raises(UnknownNameError, "The store has no channel 'ops'."):
        alerts.channel("ops")
    with raises(UnknownNameError, "The store has no channel 'ops'."):
        alerts.remove_channel("ops")
