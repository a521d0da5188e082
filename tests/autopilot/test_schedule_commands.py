"""`autopilot monitor schedule` and `backtest`: what they change, what they print, and what they refuse."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from autopilot import terminal
from autopilot.__main__ import run
from storage import Store
from storage.records import AlertRule, Channel, Schedule
from tests import portable
from tests.monitor import till
from tests.monitor.alerts.told import NOON

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with an endpoint `flights`, which the commands find."""
    monkeypatch.setenv("AUTOPILOT_STORE", str(tmp_path / "store"))
    yield from portable.served(tmp_path / "store", "flights")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store as above, of those that change nothing."""
    yield from portable.served(tmp_path_factory.mktemp("untouched"), "flights")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with an endpoint `till`: 60 rows an hour from midnight on, and other amounts at four and at five."""
    opened = Store.open(tmp_path_factory.mktemp("busy"))
    version = till.deploy(opened, portable.classifier(), NOON - 13 * HOUR)
    for hour in range(8):
        rows = till.rows(60, seed=hour + 1, amount=8.0 if hour in (4, 5) else 5.0)
        till.send(opened, version, rows, NOON + (hour - 12) * HOUR)
    opened.schedules.put(Schedule("slow", "till", "0 * * * *", 0.05, NOON, zone="Europe/Berlin", alert=AlertRule(2, 3)))
    yield opened
    opened.close()


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
    assert capsys.readouterr().out == "flights: drift at '0 * * * *' (UTC), level 0.05, alert 1 of 1: OK\n"


def test_a_schedule_is_run_paused_resumed_and_removed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, or the one of the endpoint's name."""
    for name in ("flights", "other"):
        run(["monitor", "schedule", "flights", "--cron", "every hour", "--name", name])
    capsys.readouterr()
    assert run(["monitor", "schedule", "flights", "--name", "other", "--run", "--pause"]) == 0
    told = capsys.readouterr().out
    assert "other: drift at 'every hour' (UTC, paused), level 0.05, alert 1 of 1: OK\n" in told
    assert "GET /api/schedules/other/executions tells what becomes of it." in told
    assert [one.status for one in store.schedules.executions("other")] == ["pending"]
    assert run(["monitor", "schedule", "flights", "--name", "other", "--resume"]) == 0
    assert not store.schedules.get("other").paused
    capsys.readouterr()
    assert run(["monitor", "schedule", "flights", "--remove", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], [one["name"] for one in told["schedules"]]) == (True, ["other"])
    assert run(["monitor", "schedule", "flights", "--name", "other", "--remove"]) == 0
    assert capsys.readouterr().out == "flights has no schedule.\n"


NIGHTLY = ["--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--alert", "2 of 3", "--tell", "ops", "--level", "0.01"]


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--level", "0.2"], {"level": 0.2}),
        (["--budget", "1 per day"], {"budget": "1 per day"}),
        (["--zone", "UTC"], {"zone": "UTC"}),
        (["--cron", "0 3 * * *"], {"cron": "0 3 * * *"}),
        (["--alert", "1 of 2"], {"alert": AlertRule(1, 2, ("ops",))}),
        (["--tell", "lead", "--tell", "ops"], {"alert": AlertRule(2, 3, ("lead", "ops"))}),
        (["--no-tell"], {"alert": AlertRule(2, 3)}),
        (["--check", "bias", "--facet", "town=Ulm"], {"check": "bias", "facets": ("town=Ulm",)}),
        (["--missed", "record", "--start-offset", "-P2D"], {"missed": "record", "start_offset": "-P2D"}),
        (["--level", "0.2", "--pause"], {"level": 0.2, "paused": True}),
    ],
)
def test_what_is_given_of_a_schedule_is_changed_and_the_rest_stays(
    store: Store, words: list[str], changes: dict[str, Any]
) -> None:
    """From then on."""
    for name in ("ops", "lead"):
        store.schedules.alerts.put_channel(Channel(name, "command", ("true",), ("InAlert",), 9.0, NOON))
    assert run(["monitor", "schedule", "flights", *NIGHTLY]) == 0
    before = store.schedules.get("flights")
    assert run(["monitor", "schedule", "flights", *words]) == 0
    after = store.schedules.get("flights")
    assert after == replace(before, **changes, created_at=after.created_at)
    assert after.created_at > before.created_at


def test_a_change_of_nothing_leaves_a_schedule_as_it_is(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What waits goes on waiting; --rows alone only tells what it finds."""
    run(["monitor", "schedule", "flights", "--cron", "every hour", "--level", "0.01", "--run", "--pause"])
    before = store.schedules.get("flights")
    capsys.readouterr()
    assert run(["monitor", "schedule", "flights", "--level", "0.01", "--cron", "every hour"]) == 0
    assert "flights is checked for drift at 'every hour' (UTC) once it is resumed." in capsys.readouterr().out
    assert run(["monitor", "schedule", "flights", "--rows", "500"]) == 0
    assert store.schedules.get("flights") == before
    assert [one.status for one in store.schedules.executions("flights")] == ["pending"]


def test_a_level_takes_the_place_of_a_budget_and_no_facet_that_of_facets(store: Store) -> None:
    """So there is a way back."""
    run(["monitor", "schedule", "flights", "--cron", "every hour", "--check", "bias", "--facet", "town=Ulm"])
    assert run(["monitor", "schedule", "flights", "--budget", "1 per day"]) == 0
    assert run(["monitor", "schedule", "flights", "--check", "drift"]) == 2
    assert run(["monitor", "schedule", "flights", "--check", "drift", "--no-facet", "--level", "0.05"]) == 0
    found = store.schedules.get("flights")
    assert (found.check, found.facets, found.budget, found.level) == ("drift", (), None, 0.05)


def test_a_variant_and_offsets_can_be_the_default_again(store: Store) -> None:
    """One by one; what is not named stays."""
    offsets = ["--start-offset", "-P2D", "--end-offset", "-P1D"]
    assert run(["monitor", "schedule", "flights", "--cron", "every hour", "--variant", "main", *offsets]) == 0
    found: list[tuple[str | None, ...]] = []
    for words in (["--no-variant"], ["--no-start-offset"], ["--level", "0.01"], ["--no-end-offset"]):
        assert run(["monitor", "schedule", "flights", *words]) == 0
        made = store.schedules.get("flights")
        found.append((made.variant, made.start_offset, made.end_offset))
    assert found == [(None, "-P2D", "-P1D"), (None, None, "-P1D"), (None, None, "-P1D"), (None, None, None)]


def test_the_list_tells_level_alert_and_channels(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """And the state of the alert."""
    for name in ("ops", "lead"):
        store.schedules.alerts.put_channel(Channel(name, "command", ("true",), ("InAlert",), 9.0, NOON))
    run(["monitor", "schedule", "flights", *NIGHTLY, "--tell", "lead"])
    capsys.readouterr()
    run(["monitor", "schedule", "flights"])
    assert capsys.readouterr().out == (
        "flights: drift at '30 2 * * *' (Europe/Berlin), level 0.01, alert 2 of 3 to ops, lead: OK\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody", "--cron", "0 * * * *"], "The store has no endpoint 'nobody'."),
        (["flights", "--cron", "99 * * * *"], "The minute in cron '99 * * * *' is '99'."),
        (["flights", "--cron", "every hour", "--zone", "Moon"], "zone is 'Moon', which is no time zone."),
        (
            ["flights", "--cron", "every hour", "--check", "bias"],
            "No facet was named, and demo:1 was fitted without fairness=.",
        ),
        (["flights", "--cron", "every hour", "--check", "bias", "--facet", "sex"], "of no column that the model takes"),
        (["flights", "--cron", "every hour", "--budget", "seldom"], "The alarm budget is 'seldom'."),
        (
            ["flights", "--cron", "every hour", "--budget", "1 per year", "--level", "0.01"],
            "level is 0.01 and budget '1 per year', which decides the level. Give one of them.",
        ),
        (["flights", "--cron", "every hour", "--check", "luck"], "See: autopilot --help"),
        (["flights", "--cron", "every hour", "--alert", "often"], "alert is 'often'."),
        (["flights", "--cron", "every hour", "--tell", "ops"], "The store has no channel 'ops'."),
        (["flights", "--pause"], "Endpoint 'flights' has no schedule 'flights'. Make it with --cron."),
        (["flights", "--run", "--name", "x"], "Endpoint 'flights' has no schedule 'x'."),
        (["flights", "--remove"], "Endpoint 'flights' has no schedule 'flights'."),
        (["flights", "--level", "0.01"], "Endpoint 'flights' has no schedule 'flights'. Make it with --cron."),
        (["flights", "--name", "x", "--tell", "ops"], "Endpoint 'flights' has no schedule 'x'. Make it with --cron."),
        (["flights", "--rows", "500"], "Endpoint 'flights' has no schedule 'flights'. Make it with --cron."),
        (["flights", "--cron", "every hour", "--pause", "--resume"], "--pause and --resume are given."),
        (["flights", "--cron", "every hour", "--variant", ""], "Endpoint 'flights' has no variant ''. It has: main."),
    ],
)
def test_each_mistake_is_told(
    untouched: Store, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, and nothing is kept."""
    assert run(["monitor", "schedule", *words, "--store", str(untouched.root)]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert untouched.schedules.list() == []


@pytest.mark.parametrize("other", [["--pause"], ["--resume"], ["--run"], ["--level", "0.01"], ["--no-tell"]])
def test_a_schedule_is_removed_by_that_alone(
    store: Store, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wants something else of it besides has made a mistake, and loses no schedule by it."""
    store.schedules.put(Schedule("flights", "flights", "every hour", 0.05, NOON))
    assert run(["monitor", "schedule", "flights", "--remove", *other]) == 2
    assert "--remove is given with options of a schedule that stays." in capsys.readouterr().err.replace("\n", " ")
    assert store.schedules.get("flights").created_at == NOON


def test_a_schedule_has_facets_and_a_budget(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """As they are written; the list tells them."""
    words = ["--check", "bias", "--facet", "town=Ulm", "--facet", "amount>5", "--budget", "1 per quarter"]
    assert run(["monitor", "schedule", "flights", "--cron", "every hour", *words]) == 0
    [made] = store.schedules.list()
    assert (made.facets, made.budget) == (("town=Ulm", "amount>5"), "1 per quarter")
    assert capsys.readouterr().out == (
        "flights is checked for bias at 'every hour' (UTC) while `autopilot serve` runs.\n"
    )
    run(["monitor", "schedule", "flights"])
    told = "flights: bias of town=Ulm, amount>5 at 'every hour' (UTC), 1 per quarter, alert 1 of 1: OK\n"
    assert capsys.readouterr().out == told


def test_a_new_schedule_says_how_small_a_drift_it_will_find(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """That depends on the rows of a window: of one that nobody has seen, the user knows them."""
    assert run(["monitor", "schedule", "flights", "--cron", "every hour"]) == 0
    assert "How small a drift it will find depends on the rows of a window: there were none yet. Give --rows." in (
        capsys.readouterr().out
    )
    assert run(["monitor", "schedule", "flights", "--cron", "every hour", "--rows", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finds"] is None
    till.deploy(store, portable.classifier(), NOON)
    assert run(["monitor", "schedule", "till", "--cron", "every hour", "--rows", "500", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["finds"]["rows"], told["finds"]["level"]) == ("till", 500, 0.05)
    assert [one["name"] for one in told["finds"]["columns"]] == ["amount", "town", "visits", "seen", "label", "p_yes"]
    assert run(["monitor", "schedule", "till", "--cron", "every hour", "--rows", "500"]) == 0
    assert "The smallest drift found in 80% of windows of 500 rows, at level 0.05" in capsys.readouterr().out


def test_of_how_many_windows_the_rows_were_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One is no number of windows."""
    found = {"rows": 60, "windows": 1, "level": 0.05, "power": 0.8, "columns": []}
    for windows, told in ((1, "as the last window had"), (2, "as the last 2 windows had")):
        terminal.print_finds({**found, "windows": windows})
        assert told in " ".join(capsys.readouterr().out.split())


def test_the_past_of_a_schedule_is_told(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each due time, by the clock of the schedule's zone, and what it comes to."""
    period = ["--from", "2024-06-01T00:00Z", "--to", "2024-06-01T08:00Z", "--store", str(busy.root)]
    assert run(["monitor", "backtest", "till", "--name", "slow", *period]) == 0
    lines = capsys.readouterr().out.splitlines()
    [second] = [line for line in lines if "InAlert" in line and "60" in line and "│ drift" in line]
    assert "2024-06-01 08:00" in second  # in Berlin
    assert lines[-1].startswith("2 of 8 reports would have alarmed; the alert would have gone off once.")


def test_options_are_tried_in_place_of_the_schedules_own(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of that is kept."""
    period = ["--from", "2024-06-01T00:00Z", "--to", "2024-06-01T08:00Z", "--store", str(busy.root), "--json"]
    before = busy.schedules.list()
    own = ["--name", "slow", "--alert", "1 of 1", "--budget", "24 per day"]
    assert run(["monitor", "backtest", "till", *own, *period]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schedule"], told["alarms"], told["alerts"], told["expected"]) == ("slow", 2, 1, 4)
    assert [one["state"] for one in told["outcomes"]] == ["OK"] * 4 + ["InAlert"] * 2 + ["OK"] * 2
    assert busy.schedules.list() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody", "--cron", "0 * * * *"], "The store has no endpoint 'nobody'."),
        (["flights"], "Nobody says when it would have been due. Give --cron,"),
        (["flights", "--name", "x"], "Endpoint 'flights' has no schedule 'x'."),
        (["flights", "--cron", "0 * * * *", "--from", "once"], "--from is 'once', which is no moment."),
        (["flights", "--cron", "0 * * * *", "--level", "0.1", "--budget", "1 per day"], "Give one of them."),
        (["flights", "--cron", "0 * * * *"], "neither traffic nor profiles."),
        (
            ["flights", "--cron", "0 * * * *", "--from", "2024-06-02", "--to", "2024-06-01"],
            "start is 2024-06-02T00:00:00+00:00, and end 2024-06-01T00:00:00+00:00. Give a start before the end.",
        ),
        (
            ["flights", "--cron", "0 * * * *", "--from", "2998-06-01", "--to", "2999-06-01"],
            "start is 2998-06-01T00:00:00+00:00, which is yet to come. Give one in the past.",
        ),
        (
            ["flights", "--cron", "0 * * * *", "--from", "2022-01-01", "--to", "2024-01-01"],
            "its first window begins 730 days before the end, 2024-01-01T00:00:00+00:00. They span 400 days at most:",
        ),
        (["flights", "--cron", "0 * * * *", "--start-offset", "-P99999W"], "They span 400 days at most:"),
    ],
)
def test_what_cannot_be_tried_on_the_past_is_told(
    untouched: Store, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2."""
    assert run(["monitor", "backtest", *words, "--store", str(untouched.root)]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
