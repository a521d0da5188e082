"""`autopilot monitor channel` and `alerts`: what they change, what they print, and what they refuse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from msgspec.structs import replace

from autopilot.alert_commands import add_commands, rule_of
from storage import SettingError, Store, UnknownNameError
from storage.errors import InputError
from storage.records import Channel
from tests import portable
from tests.monitor.alerts.told import HOUR, NOON, judge
from tests.monitor.alerts.told import schedule as schedule_hourly
from tests.refusals import raises


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with an endpoint `flights`, which the commands find."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    yield from portable.served(tmp_path / "store", "flights")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store as above, of those that change nothing."""
    yield from portable.served(tmp_path_factory.mktemp("untouched"), "flights")


@pytest.fixture
def monitor() -> Callable[..., object]:
    """The commands about alerts."""
    app = App()
    add_commands(app)
    return lambda *words: app(words, exit_on_error=False, print_error=False, result_action="return_value")


def test_channels_are_made_listed_and_removed(
    store: Store, monitor: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    """One of each kind."""
    alerts = store.schedules.alerts
    monitor("channel")
    assert capsys.readouterr().out == "The store has no channels.\n"
    monitor("channel", "hook", "--webhook", "https://h.example/a")
    monitor("channel", "ops", "--email", "a@h.example", "--email", "b@h.example", "--state", "InAlert")
    monitor(
        "channel",
        "retrain",
        "--command",
        "autopilot fit 'my flights.csv' --target late",
        "--timeout",
        "7200",
        "--state",
        "InAlert",
    )
    capsys.readouterr()
    found: dict[str, Any] = {
        one.name: (one.kind, one.target, one.states, one.timeout_s) for one in alerts.list_channels()
    }
    assert found == {
        "hook": ("webhook", ("https://h.example/a",), ("OK", "InAlert", "Failing"), 10.0),
        "ops": ("email", ("a@h.example", "b@h.example"), ("InAlert",), 30.0),
        "retrain": ("command", ("autopilot", "fit", "my flights.csv", "--target", "late"), ("InAlert",), 7200.0),
    }
    monitor("channel", "--json")
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["hook", "ops", "retrain"]
    monitor("channel", "retrain")
    assert capsys.readouterr().out == ("retrain: command autopilot fit 'my flights.csv' --target late at InAlert\n")
    monitor("channel", "hook", "--remove")
    assert [one.name for one in alerts.list_channels()] == ["ops", "retrain"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--webhook", "https://h.example/a"], "The setting webhook_secret, which signs webhooks, has 0 characters."),
        (["--email", "ops@h.example"], "No mail server is set. Set smtp_url and smtp_from"),
        (["--command", "/opt/no-such-program now"], "'/opt/no-such-program' is no program that can be run."),
        (["--command", "LICENSE"], "'LICENSE' is no program that can be run."),
    ],
)
def test_a_channel_that_could_not_be_told_from_here_is_made_with_a_warning(
    store: Store,
    monitor: Callable[..., object],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    """The monitor may be elsewhere, with other settings and programs."""
    monitor("channel", "ops", *words, "--json")
    out, err = capsys.readouterr()
    assert [one["name"] for one in json.loads(out)] == ["ops"]
    assert err.startswith(f"Channel 'ops' is made, but a monitor that is started here could not tell it: {message}")
    monitor("channel", "ops", "--command", "true")
    assert capsys.readouterr().err == ""


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
        "2024-06-01 12:00 InAlert: the last verdict was bad",
        "2024-06-01 12:00 ops waiting (InAlert)",
    ]
    monitor("alerts", "hourly", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], len(told["changes"]), told["deliveries"][0]["channel"]) == ("InAlert", 1, "ops")
    with raises(UnknownNameError, "The store has no schedule 'nobody'."):
        monitor("alerts", "nobody")


def test_alerts_of_a_schedule_that_was_removed_are_shown(
    store: Store, monitor: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    """What waits for its channels is told all the same. Made anew, it is in no alert."""
    schedule_hourly(store, Channel("ops", "command", ("true",), ("InAlert",), 9.0, NOON))
    judge(store, False, True)
    old = store.schedules.get("hourly")
    store.schedules.remove("hourly", NOON + HOUR)
    monitor("alerts", "hourly")
    shown = [
        "2024-06-01 13:00 InAlert: the last verdict was bad",
        "2024-06-01 13:00 ops waiting (InAlert)",
    ]
    assert capsys.readouterr().out.splitlines() == ["hourly was removed when it was InAlert.", *shown]
    monitor("alerts", "hourly", "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], told["state"]) == (True, "InAlert")
    store.schedules.put(replace(old, created_at=NOON + 2 * HOUR))
    monitor("alerts", "hourly")
    anew = "2024-06-01 14:00 OK: The schedule was made anew."
    assert capsys.readouterr().out.splitlines() == ["hourly is OK.", anew, *shown]


def test_why_a_state_changed_is_shown(
    store: Store, monitor: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdicts only where there are any."""
    schedule_hourly(store)
    judge(store, ValueError("[red]"), None)
    monitor("alerts", "hourly")
    assert capsys.readouterr().out.splitlines() == [
        "hourly is OK.",
        "2024-06-01 13:00 OK: the last verdict was not bad. Checks are made again.",
        "2024-06-01 12:00 Failing: The last check could not be made, so that nobody watches endpoint 'till': "
        "ValueError: [red].",
    ]


@pytest.mark.parametrize("text", ["", "2", "2/3", "2 of", "a of b", "-1 of 3", "2 of 3 ", "٢ of 3", "20000 of 30000"])
def test_a_bad_rule_is_told(text: str) -> None:
    """With what would be right."""
    with raises(SettingError, "Write how many of how many verdicts have to be bad, such as '2 of 3'."):
        rule_of(text, [])
