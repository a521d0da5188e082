"""Backtests over HTTP: asked of a server, made by a monitor, each a process as users have it."""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import autopilot
from autopilot.__main__ import run
from storage import FailureError, Store
from storage.records import AlertRule, Schedule
from tests import portable
from tests.monitor import till
from tests.monitor.process import monitor, ready
from tests.refusals import raises
from tests.serving.conftest import ROOT, ServerProcess, serving

HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
PERIOD = {"start": "2024-06-01T00:00:00Z", "end": "2024-06-01T08:00:00Z"}


def filled(store: Store, hours: int, rows: int) -> Store:
    """With hours of so many rows from midnight on, other amounts in the fifth and the sixth, and an hourly schedule."""
    version = till.deploy(store, portable.classifier(), MIDNIGHT - HOUR)
    for hour in range(hours):
        sent = till.rows(rows, seed=hour + 1, amount=8.0 if hour in (4, 5) else 5.0)
        till.send(store, version, sent, MIDNIGHT + hour * HOUR)
    store.schedules.put(Schedule("hourly", till.ENDPOINT, "0 * * * *", 0.05, MIDNIGHT, budget="1 per quarter"))
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of eight hours."""
    store = filled(Store.open(tmp_path_factory.mktemp("asked") / "store"), 8, 60)
    portable.publish(store, portable.classifier(), name="silent", endpoint="silent", now=MIDNIGHT)
    store.schedules.put(Schedule("silent", "silent", "0 * * * *", 0.05, MIDNIGHT))
    store.schedules.put(Schedule("nightly", till.ENDPOINT, "0 3 * * *", 0.05, MIDNIGHT, zone="Europe/Berlin"))
    store.schedules.put(Schedule("quality", till.ENDPOINT, "0 * * * *", 0.05, MIDNIGHT, check="data-quality"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[ServerProcess]:
    """A server over it, without a monitor."""
    with serving(store) as server:
        yield server
        assert "was answered with 500" not in server.log


@pytest.fixture(scope="module")
def watched(server: ServerProcess, store: Store) -> Iterator[ServerProcess]:
    """The same with a monitor. Tests with it come last, since what waits does so no longer."""
    with monitor("--store", str(store.root)) as process:
        ready(process)
        yield server


def ask(server: ServerProcess, name: str = "hourly", **body: Any) -> dict[str, Any]:
    """What a backtest that was asked for is at first."""
    answer = server.client.post(f"/api/schedules/{name}/backtests", json={**PERIOD, **body})
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/backtests/{answer.json()['id']}")
    return answer.json()


def ended(server: ServerProcess, asked: dict[str, Any]) -> dict[str, Any]:
    """What became of it."""
    end = time.monotonic() + 120
    while (found := server.client.get(f"/api/backtests/{asked['id']}").json())["status"] in ("queued", "running"):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def of_command_line(store: Store, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `autopilot monitor backtest` says of the same period."""
    period = ["--from", PERIOD["start"], "--to", PERIOD["end"], "--store", str(store.root), "--json"]
    assert run(["monitor", "backtest", till.ENDPOINT, "--name", "hourly", *words, *period]) == 0
    return json.loads(capsys.readouterr().out)


def test_one_that_waits_says_so_and_can_be_stopped(server: ServerProcess) -> None:
    """It is asked for once by its key; nobody goes on with it."""
    headers = {"idempotency-key": "the-only-one"}
    first, again = (
        server.client.post("/api/schedules/hourly/backtests", json=PERIOD, headers=headers) for _ in range(2)
    )
    assert (first.status_code, first.json(), first.headers["location"]) == (
        202,
        again.json(),
        again.headers["location"],
    )
    assert again.headers["idempotency-replayed"] == "true"
    told = server.client.get(first.headers["location"])
    assert (told.json()["status"], told.json()["result"], told.json()["progress"]) == ("queued", None, None)
    assert told.json()["reason"] == "it waits for a monitor, which looks each second"
    same = server.client.get(first.headers["location"], headers={"if-none-match": told.headers["etag"]})
    assert same.status_code == 304
    path = f"{first.headers['location']}/stop"
    stopped = [server.client.post(path) for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in stopped] == [(200, "stopped")] * 2
    assert server.client.get(first.headers["location"]).json()["reason"] == "stopped by a user"


def test_where_no_monitor_is_it_is_said(server: ServerProcess) -> None:
    """When one would have begun long ago."""
    asked = ask(server)
    end = time.monotonic() + 60
    while "no monitor" not in (reason := server.client.get(f"/api/backtests/{asked['id']}").json()["reason"]):
        assert time.monotonic() < end, reason
        time.sleep(0.5)
    assert "start one by `autopilot serve`, or by `python -m monitor --store STORE`" in reason
    server.client.post(f"/api/backtests/{asked['id']}/stop")


def test_those_of_a_schedule_are_listed_page_by_page(server: ServerProcess) -> None:
    """The newest first; batch jobs have a list of their own."""
    asked = [ask(server, "nightly", level=level)["id"] for level in (0.1, 0.2, 0.3)]
    for one in asked:
        server.client.post(f"/api/backtests/{one}/stop")
    first = server.client.get("/api/schedules/nightly/backtests", params={"limit": 2})
    second = server.client.get(first.links["next"]["url"])
    found = [*first.json()["items"], *second.json()["items"]]
    assert [one["id"] for one in found] == asked[::-1]
    assert [one["schedule"]["level"] for one in found] == [0.3, 0.2, 0.1]
    assert server.client.get("/api/jobs").json()["items"] == []
    for method, path in (("GET", f"/api/jobs/{asked[0]}"), ("POST", f"/api/jobs/{asked[0]}/stop")):
        answer = server.client.request(method, path)
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            f"Job '{asked[0]}' is a backtest job, and a batch job was asked for. Give the id of one.",
        )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"level": "low"}, "level is 'low'. Send a number or null."),
        ({"levle": 0.1}, "The body has a field 'levle', which is not known. The fields are 'start', 'end', 'cron',"),
        ({"level": 2}, "level is 2, the chance of any alarm. Use more than 0 and less than 1."),
        ({"level": 0.1, "budget": "1 per day"}, "level is 0.1 and budget '1 per day', which decides the level. Give"),
        ({"budget": "seldom"}, "The alarm budget is 'seldom'."),
        ({"cron": "99 * * * *"}, "The minute in cron '99 * * * *' is '99'. Use 0-59,"),
        ({"zone": "Moon"}, "zone is 'Moon', which is no time zone. Write one of IANA's, such as Europe/Berlin."),
        ({"start_offset": "eight days"}, "'eight days' is no duration. Write it by ISO 8601, such as -P8D"),
        ({"alert": {"datapoints": 3, "of": 2}}, "The alert takes 3 of 2 verdicts. Use at least 1 of at most 100."),
        ({"start": "once"}, "start is 'once'. Send a time such as 2024-05-01T13:30:00Z."),
        ({"start": "0001-01-01T00:00:00Z"}, "A time is 0001-01-01T00:00:00+00:00. Send one of the years 2 to 9998."),
        ({"end": "2024-05-31T00:00:00"}, "and end 2024-05-31T00:00:00+00:00. Give a start before the end."),
        (
            {"start": "2998-01-01T00:00:00Z", "end": "2999-01-01T00:00:00Z"},
            "start is 2998-01-01T00:00:00+00:00, which is yet to come. Give one in the past.",
        ),
        ({"start": "2020-01-01T00:00:00Z"}, "They span 400 days at most: give a later start, or an earlier end."),
        ([], "The body is []. Send an object."),
    ],
)
def test_a_body_that_is_wrong_is_refused(server: ServerProcess, body: Any, detail: str) -> None:
    """With field, value and remedy; no job is made."""
    sent = {**PERIOD, **body} if isinstance(body, dict) else body
    before = server.client.get("/api/schedules/hourly/backtests").json()
    answer = server.client.post("/api/schedules/hourly/backtests", json=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert detail in answer.json()["detail"]
    assert server.client.get("/api/schedules/hourly/backtests").json() == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        ("POST", "schedules/nobody/backtests", {}, 404, "The store has no schedule 'nobody'."),
        ("POST", "schedules/hourly/backtests", {"variant": "new"}, 404, "Endpoint 'till' has no variant 'new'."),
        ("POST", "schedules/quality/backtests", {}, 400, "check is 'data-quality'. From profiles, only drift can be"),
        ("POST", "schedules/hourly/backtests", None, 400, "The body is empty."),
        ("GET", "backtests/none", None, 404, "The store has no job 'none'."),
        ("POST", "backtests/none/stop", None, 404, "The store has no job 'none'."),
    ],
)
def test_what_is_not_there_is_told(
    server: ServerProcess, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    """By a problem."""
    answer = server.client.request(method, f"/api/{path}", content=b"" if body is None else json.dumps(body))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail in answer.json()["detail"]


def test_it_is_what_the_command_line_says(
    watched: ServerProcess, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the schedule, and with options in place of its own."""
    own = ended(watched, ask(watched))
    assert (own["status"], own["reason"], own["attempts"]) == ("completed", None, 1)
    assert own["result"] == of_command_line(store, capsys)
    assert [one["verdict"] for one in own["result"]["outcomes"]] == ["no drift"] * 4 + ["drift"] * 2 + ["no drift"] * 2
    assert store.jobs.get(own["id"]).lease_until is None
    [listed] = watched.client.get("/api/schedules/hourly/backtests", params={"limit": 1}).json()["items"]
    assert listed == {**own, "result": None}

    body: dict[str, Any] = {
        "cron": "0 */2 * * *",
        "alert": {"datapoints": 2, "of": 3},
        "level": 0.2,
        "zone": "Europe/Berlin",
    }
    other = ended(watched, ask(watched, **body, start_offset="-PT3H", end_offset="-PT1H", variant="main"))
    words = ["--cron", "0 */2 * * *", "--alert", "2 of 3", "--level", "0.2", "--zone", "Europe/Berlin"]
    more = ["--start-offset", "-PT3H", "--end-offset", "-PT1H", "--variant", "main"]
    assert other["result"] == of_command_line(store, capsys, *words, *more)
    assert other["result"]["outcomes"] != []
    assert store.schedules.get("hourly").budget == "1 per quarter"


def test_a_schedule_whose_hours_are_not_kept_fails_with_that_reason(watched: ServerProcess) -> None:
    """So does one whose windows are no whole hours."""
    found = ended(watched, ask(watched, "silent"))
    assert (found["status"], found["result"]) == ("failed", None)
    assert found["reason"] == (
        "Nothing is there of what silent:1 answered at endpoint 'silent' from 2024-06-01 00:00 UTC to 2024-06-01 08:00 "
        "UTC, neither traffic nor profiles. Ask for a time in which it was served, and its traffic captured."
    )
    found = ended(watched, ask(watched, cron="*/30 * * * *"))
    assert (found["status"], "whole hours of UTC" in found["reason"]) == ("failed", True)


def test_the_client_waits_for_it(watched: ServerProcess) -> None:
    """And is told why one failed."""
    with autopilot.Client(watched.url) as client:
        asked = client.schedules.backtest("hourly", start=MIDNIGHT, end=MIDNIGHT + 8 * HOUR, alert=AlertRule(2, 3))
        result = asked.wait().result
        assert result is not None
        assert result.sentence.startswith("2 of 8 reports would have alarmed; the alert would have gone off once.")
        assert [(one.state, one.drifted[0].name) for one in result.outcomes if one.breached] == [
            ("OK", "amount"),
            ("InAlert", "amount"),
        ]
        failing = client.schedules.backtest("silent", start=MIDNIGHT, end=MIDNIGHT + HOUR)
        with raises(FailureError, f"Job {failing.id} failed: Nothing is there of what silent:1 answered"):
            failing.wait()


def test_the_guides_requests_are_answered(watched: ServerProcess) -> None:
    """As they stand there."""
    guide = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (curl .*)$", guide, flags=re.MULTILINE)
    answers: list[dict[str, Any]] = []
    for command in commands:
        known = answers[0]["id"] if answers else ""
        words = shlex.split(command.replace("$SERVER", watched.url).replace("/ID", f"/{known}"))
        done = subprocess.run([*words, "-sS", "--fail-with-body"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        answers.append(json.loads(done.stdout))
    assert [answer.get("status", "a list") in ("queued", "running", "completed") for answer in answers] == [
        True,
        True,
        False,
    ]
    assert ended(watched, answers[0])["result"]["outcomes"] != []


def test_two_monitors_make_each_once(store: Store, server: ServerProcess) -> None:
    """Whoever claims it; the other takes the next, or none."""
    with ExitStack() as stack:
        for process in [stack.enter_context(monitor("--store", str(store.root))) for _ in range(2)]:
            ready(process)
        asked = [ask(server, level=level) for level in (0.01, 0.02, 0.03, 0.04)]
        found = [ended(server, one) for one in asked]
    assert [(one["status"], one["attempts"]) for one in found] == [("completed", 1)] * 4
    assert [one["result"]["outcomes"][0]["level"] for one in found] == [0.01, 0.02, 0.03, 0.04]


@pytest.mark.parametrize("waits", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["told", "after its lease"])
def test_one_whose_monitor_was_killed_is_made_by_another(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], *, waits: bool
) -> None:
    """When its lease has ended; then it waits for a monitor, and says so."""
    store = filled(Store.open(tmp_path_factory.mktemp("killed") / "store"), 200, 10)
    with serving(store) as server:
        asked = ask(server, end="2024-06-09T08:00:00Z")
        with monitor("--store", str(store.root)) as process:
            while store.jobs.get(asked["id"]).status == "queued":
                time.sleep(0.002)
            process.kill()
            process.wait(60)
        claimed = store.jobs.get(asked["id"])
        assert (claimed.status, claimed.attempts) == ("running", 1)
        assert claimed.owner is not None
        if not waits:
            store.jobs.expire(claimed.owner, datetime.now(UTC))
            told = server.client.get(f"/api/backtests/{asked['id']}").json()
            assert told["reason"] == "it waits for a monitor, which looks each second"
        with monitor("--store", str(store.root)):
            found = ended(server, asked)
        assert (found["status"], found["attempts"], found["reason"]) == ("completed", 2, None)
        assert store.jobs.get(asked["id"]).owner != claimed.owner
        words = ["--to", "2024-06-09T08:00:00Z", "--from", PERIOD["start"], "--store", str(store.root), "--json"]
        assert run(["monitor", "backtest", till.ENDPOINT, "--name", "hourly", *words]) == 0
        assert found["result"] == json.loads(capsys.readouterr().out)
    store.close()
