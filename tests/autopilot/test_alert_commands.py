"""`autopilot monitor schedule`, `channel` and `alerts`: what they change, what they print, and what they refuse."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from autopilot.__main__ import run
from autopilot.alert_commands import add_commands, rule_of
from storage import SettingError, Store, UnknownNameError
from storage.errors import InputError
from storage.records import AlertRule, Channel
from tests import portable
from tests.monitor.alerts.told import NOON, judge
from tests.monitor.alerts.told import schedule as schedule_hourly
from tests.refusals import raises


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with an endpoint `flights`, which the commands find."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    opened = Store.open(tmp_path / "store")
    portable.publish(opened, portable.classifier(), endpoint="flights")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store as above, of those that change nothing."""
    opened = Store.open(tmp_path_factory.mktemp("untouched"))
    portable.publish(opened, portable.classifier(), endpoint="flights")
    yield opened
    opened.close()


@pytest.fixture
def monitor() -> Callable[..., object]:
    """The commands about alerts."""
    app = App()
    add_commands(app)
    return lambda *words: app(words, exit_on_error=False, print_error=False, result_action="return_value")


def test_a_schedule_is_made_as_it_is_asked_for(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Each option is a field."""
    store.schedules.alerts.put_channel(Channel("ops", "command", ("true",), ("InAlert",), 9.0, NOON))
    before = datetime.now(UTC)
    words = "--name nightly --zone Europe/Berlin --missed catch-up --start-offset -P8D --end-offset -P1D --level 0.01"
    more = ["--alert", "2 of 3", "--tell", "ops", "--variant", "main", "--check", "drift", "--json"]
    assert run(["monitor", "schedule", "flights", "--cron", "30 2 * * *", *words.split(), *more]) == 0
    [made] = store.schedules.list()
    assert json.loads(capsys.readouterr().out)["name"] == made.name == "nightly"
    assert (made.endpoint, made.cron, made.zone, made.missed) == ("flights", "30 2 * * *", "Europe/Berlin", "catch-up")
    assert (made.start_offset, made.end_offset, made.level) == ("-P8D", "-P1D", 0.01)
    assert (made.alert, made.variant, made.check) == (AlertRule(2, 3, ("ops",)), "main", "drift")
    assert before <= made.created_at <= datetime.now(UTC)


def test_the_short_form_makes_the_schedule_of_the_endpoint(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """As it always did: hourly, in UTC, the latest missed report made up for."""
    assert run(["monitor", "schedule", "flights", "--cron", "0 * * * *"]) == 0
    [made] = store.schedules.list()
    assert (made.name, made.endpoint, made.zone, made.missed, made.level) == (
        "flights",
        "flights",
        "UTC",
        "latest",
        0.05,
    )
    assert "flights is checked for drift at '0 * * * *' (UTC)" in capsys.readouterr().out
    assert run(["monitor", "schedule", "flights"]) == 0
    assert capsys.readouterr().out == "flights: drift at '0 * * * *' (UTC), OK\n"


def test_a_schedule_is_run_paused_resumed_and_removed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, or the one of the endpoint's name."""
    for name in ("flights", "other"):
        run(["monitor", "schedule", "flights", "--cron", "every hour", "--name", name])
    capsys.readouterr()
    assert run(["monitor", "schedule", "flights", "--name", "other", "--run", "--pause"]) == 0
    assert "other: drift at 'every hour' (UTC, paused), OK\n" in capsys.readouterr().out
    assert [one.status for one in store.schedules.executions("other")] == ["pending"]
    assert run(["monitor", "schedule", "flights", "--name", "other", "--resume"]) == 0
    assert not store.schedules.get("other").paused
    capsys.readouterr()
    assert run(["monitor", "schedule", "flights", "--remove", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], [one["name"] for one in told["schedules"]]) == (True, ["other"])
    assert run(["monitor", "schedule", "flights", "--name", "other", "--remove"]) == 0
    assert capsys.readouterr().out == "flights has no schedule.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody", "--cron", "0 * * * *"], "The store has no endpoint 'nobody'."),
        (["flights", "--cron", "99 * * * *"], "The minute in cron '99 * * * *' is '99'."),
        (["flights", "--cron", "every hour", "--zone", "Moon"], "zone is 'Moon', which is no time zone."),
        (["flights", "--cron", "every hour", "--check", "bias"], "check is 'bias', which this version cannot make"),
        (["flights", "--cron", "every hour", "--check", "luck"], "See: autopilot --help"),
        (["flights", "--cron", "every hour", "--alert", "often"], "alert is 'often'."),
        (["flights", "--cron", "every hour", "--tell", "ops"], "The store has no channel 'ops'."),
        (["flights", "--pause"], "Endpoint 'flights' has no schedule 'flights'. Make it with --cron."),
        (["flights", "--run", "--name", "x"], "Endpoint 'flights' has no schedule 'x'."),
        (["flights", "--remove"], "Endpoint 'flights' has no schedule 'flights'."),
    ],
)
def test_each_mistake_is_told(
    untouched: Store, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, and nothing is kept."""
    assert run(["monitor", "schedule", *words, "--store", str(untouched.root)]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert untouched.schedules.list() == []


def test_channels_are_made_listed_and_removed(
    store: Store, monitor: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    """One of each kind."""
    alerts = store.schedules.alerts
    monitor("channel")
    assert capsys.readouterr().out == "The store has no channels.\n"
    monitor("channel", "hook", "--webhook", "https://h.example/a")
    monitor("channel", "ops", "--email", "a@h.example", "--email", "b@h.example", "--state", "InAlert")
    monitor("channel", "retrain", "--command", "autopilot fit 'my flights.csv' --target late", "--timeout", "7200")
    capsys.readouterr()
    found: dict[str, Any] = {
        one.name: (one.kind, one.target, one.states, one.timeout_s) for one in alerts.list_channels()
    }
    assert found == {
        "hook": ("webhook", ("https://h.example/a",), ("InAlert", "OK"), 10.0),
        "ops": ("email", ("a@h.example", "b@h.example"), ("InAlert",), 30.0),
        "retrain": ("command", ("autopilot", "fit", "my flights.csv", "--target", "late"), ("InAlert", "OK"), 7200.0),
    }
    monitor("channel", "--json")
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["hook", "ops", "retrain"]
    monitor("channel", "retrain")
    assert capsys.readouterr().out == ("retrain: command autopilot fit 'my flights.csv' --target late at InAlert, OK\n")
    monitor("channel", "hook", "--remove")
    assert [one.name for one in alerts.list_channels()] == ["ops", "retrain"]


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["ops", "--webhook", "https://h/", "--email", "a@b"], InputError, "one of --webhook, --email, --command"),
        (["--webhook", "https://h/"], InputError, "Give a name and one of"),
        (["ops", "--remove", "--command", "true"], InputError, "or a name and --remove"),
        (["ops", "--remove"], UnknownNameError, "The store has no channel 'ops'."),
        (["ops"], UnknownNameError, "The store has no channel 'ops'."),
        (["ops", "--command", "say 'hello"], SettingError, "whose quotes do not match"),
        (["ops", "--command", ""], SettingError, "has nobody to tell"),
        (["ops", "--webhook", "h.example"], SettingError, "is no address of a webhook"),
    ],
)
def test_what_is_no_channel_is_told(
    untouched: Store, monitor: Callable[..., object], words: list[str], kind: type[Exception], message: str
) -> None:
    """And none is made."""
    with raises(kind, message):
        monitor("channel", *words, "--store", str(untouched.root))
    assert untouched.schedules.alerts.list_channels() == []


def test_alerts_are_shown(store: Store, monitor: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    """The state of each schedule; of one when it changed, and who was told."""
    schedule_hourly(store, Channel("ops", "command", ("true",), ("InAlert",), 9.0, NOON))
    judge(store, True)
    monitor("alerts")
    assert capsys.readouterr().out == "InAlert  hourly\n"
    monitor("alerts", "--json")
    assert json.loads(capsys.readouterr().out) == [{"schedule": "hourly", "state": "InAlert"}]
    monitor("alerts", "hourly")
    assert capsys.readouterr().out.splitlines() == [
        "hourly is InAlert.",
        "2024-06-01 12:00 InAlert: 1 of the last 1 verdicts were bad",
        "2024-06-01 12:00 ops waiting",
    ]
    monitor("alerts", "hourly", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], len(told["changes"]), told["deliveries"][0]["channel"]) == ("InAlert", 1, "ops")
    with raises(UnknownNameError, "The store has no schedule 'nobody'."):
        monitor("alerts", "nobody")


@pytest.mark.parametrize("text", ["", "2", "2/3", "2 of", "a of b", "-1 of 3", "2 of 3 ", "٢ of 3", "20000 of 30000"])
def test_a_bad_rule_is_told(text: str) -> None:
    """With what would be right."""
    with raises(SettingError, "Write how many of how many verdicts have to be bad, such as '2 of 3'."):
        rule_of(text, [])
