"""Lists come in pages that neither repeat nor lose an entry, whatever is inserted meanwhile."""

import json
import time
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from storage import Store
from storage.records import AlertRule, Channel, Schedule
from tests import portable
from tests.records import HOUR, NOW, execution, report, run
from tests.serving.conftest import ServerProcess

LISTS = (
    "models",
    "models/classifier/aliases",
    "endpoints",
    "endpoints/paid/captures",
    "endpoints/paid/captures/summary",
    "endpoints/paid/labels",
    "rollouts",
    "jobs",
    "schedules",
    "schedules/paid/executions",
    "schedules/paid/alerts",
    "schedules/paid/backtests",
    "alerts",
    "alerts/deliveries",
    "reports",
    "experiments",
    "runs",
    "runs/searched/trials",
    "runs/searched/events",
    "servers",
    "async-invocations",
)


def walk(server: ServerProcess, path: str, **query: Any) -> list[dict[str, Any]]:
    """All entries, by the cursors in the bodies."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = query if cursor is None else {**query, "cursor": cursor}
        page = server.client.get(f"/api/{path}", params=asked).raise_for_status().json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize("path", LISTS)
def test_each_list_is_a_page_with_a_tag(server: ServerProcess, path: str) -> None:
    """The same tag as long as it is the same; with it, nothing is sent again."""
    answer = server.client.get(f"/api/{path}")
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"items", "next"}
    if path != "servers":  # which say every two seconds that they are there
        again = server.client.get(f"/api/{path}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])


def test_pages_are_walked_by_cursor_and_by_link(server: ServerProcess) -> None:
    """The link has the filters of the request."""
    names = [(m["name"], m["version"]) for m in walk(server, "models", limit=1)]
    assert names == sorted(names, key=lambda one: (one[0], -one[1]))
    assert names[:2] == [("classifier", 2), ("classifier", 1)]
    first = server.client.get("/api/models", params={"limit": 1, "name": "classifier"})
    second = server.client.get(first.links["next"]["url"])
    assert [m["version"] for m in second.json()["items"]] == [1]
    assert second.json()["next"] is None
    assert "link" not in second.headers


def test_what_is_inserted_meanwhile_shifts_nothing(server: ServerProcess, store: Store) -> None:
    """Newer entries of lists that begin with the newest are not told, those in alphabetical order in their place."""
    for number in range(5):
        store.runs.start(run(f"r{number}", created_at=NOW + timedelta(minutes=number + 1)))
        store.reports.add(report(f"d{number}", created_at=NOW))  # all at one time
    page = server.client.get("/api/runs", params={"limit": 2, "experiment": "demo"}).json()
    store.runs.start(run("newest", created_at=NOW + HOUR))
    rest = walk(server, "runs", limit=2, experiment="demo", cursor=page["next"])
    assert [r["id"] for r in [*page["items"], *rest]] == ["r4", "r3", "r2", "r1", "r0"]

    page = server.client.get("/api/reports", params={"limit": 2, "endpoint": "late"}).json()
    store.reports.add(report("d9", created_at=NOW))
    rest = walk(server, "reports", limit=2, endpoint="late", cursor=page["next"])
    assert [r["id"] for r in [*page["items"], *rest]] == ["d4", "d3", "d2", "d1", "d0"]

    version = store.models.get("regressor")
    store.endpoints.deploy("a-first", version, NOW)
    page = server.client.get("/api/endpoints", params={"limit": 1}).json()
    for name in ("a-before", "a-second"):
        store.endpoints.deploy(name, version, NOW)
    rest = walk(server, "endpoints", limit=1, cursor=page["next"])
    names = [e["name"] for e in [*page["items"], *rest]]
    assert names[:2] == ["a-first", "a-second"]
    assert names == sorted(names)
    for name in ("a-first", "a-before", "a-second"):
        store.endpoints.delete(name, NOW)


def test_trials_events_and_executions_are_walked_in_their_order(server: ServerProcess, store: Store) -> None:
    """By number, and by due time from the newest."""
    for kind in "abc":
        store.runs.add_event("searched", NOW, kind)
    for hours in range(3):
        store.schedules.claim(execution("paid", scheduled_at=NOW + hours * HOUR))
    assert [t["number"] for t in walk(server, "runs/searched/trials", limit=2)] == [0, 1, 2]
    assert [e["kind"] for e in walk(server, "runs/searched/events", limit=1)] == ["a", "b", "c"]
    due = [e["scheduled_at"][11:13] for e in walk(server, "schedules/paid/executions", limit=1)]
    assert due == ["15", "14", "13"]


def test_who_was_told_is_walked_from_the_newest_on(server: ServerProcess, store: Store) -> None:
    """Changes of one moment too; of one schedule, in one status. Nothing shows where a channel leads."""
    alerts = store.schedules.alerts
    for name in ("a", "b"):
        target = ("/opt/tell", "--token", "s3cret")
        alerts.put_channel(Channel(name, "command", target, ("InAlert", "OK"), 9, NOW))
    schedule = Schedule("told", "paid", "0 * * * *", 0.05, NOW, alert=AlertRule(1, 1, ("a", "b")))
    store.schedules.put(schedule)
    for hours, breached in ((1, True), (2, False)):
        due = execution("told", scheduled_at=NOW + hours * HOUR)
        store.schedules.claim(due)
        store.schedules.end(replace(due, status="completed", breached=breached, ended_at=due.scheduled_at))
    for status in ("told", "failed"):
        taken = alerts.take_delivery("me", NOW + 3 * HOUR, lease_s=60)
        assert taken is not None
        reason = "'tell' ended with exit code 1.\nusage: tell --token s3cret" if status == "failed" else None
        alerts.end_delivery(taken, NOW + 3 * HOUR, status, reason)
    found = walk(server, "alerts/deliveries", schedule="told", limit=1)
    assert [one["number"] for one in found] == [2, 2, 1, 1]
    assert [one["status"] for one in found[:2]] == ["waiting", "waiting"]
    assert {one["status"] for one in found[2:]} == {"told", "failed"}
    assert len({one["id"] for one in found}) == 4
    assert "s3cret" not in json.dumps(found)
    [failed] = walk(server, "alerts/deliveries", status="failed")
    assert (failed["schedule"], failed["attempts"], failed["due_at"]) == ("told", 1, None)
    assert failed["reason"] == "'tell' ended with exit code 1."
    assert failed["ended_at"] == "2024-05-01T16:30:00.123456Z"
    assert walk(server, "alerts/deliveries", schedule="paid") == []


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=abc", "limit is 'abc'. Send a whole number from 1 to 1000."),
        ("limit=0", "limit is '0'. Send a whole number from 1 to 1000."),
        ("limit=1001", "limit is '1001'. Send a whole number from 1 to 1000."),
        ("limt=5", "/api/runs has no parameter 'limt'. Those that it has: experiment, status, limit, cursor."),
        ("status=done", "status is 'done'. Send one of running, completed, failed."),
        (
            "cursor=x",
            "cursor is 'x', which no page of this list gave. Take `next` of the page before, or leave it out.",
        ),
        ("cursor=", "cursor is '', which no page of this list gave."),
    ],
)
def test_a_parameter_is_refused_with_value_and_remedy(server: ServerProcess, query: str, detail: str) -> None:
    """As a problem."""
    answer = server.client.get(f"/api/runs?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]


def test_a_cursor_is_of_its_own_list(server: ServerProcess) -> None:
    """That of models begins no page of endpoints."""
    cursor = server.client.get("/api/models?limit=1").json()["next"]
    assert server.client.get(f"/api/endpoints?cursor={quote(cursor)}").status_code == 400


@pytest.mark.parametrize("bound", ["from=2024-05-01", "to=yesterday", "from=9999-99-99T00:00:00Z"])
def test_a_time_is_refused_with_an_example(server: ServerProcess, bound: str) -> None:
    """Under the name that it has in the query."""
    detail = server.client.get(f"/api/endpoints/paid/captures?{bound}").json()["detail"]
    name, _, value = bound.partition("=")
    assert detail == f"{name} is '{value}'. Send a time such as 2024-05-01T13:30:00Z."


def test_windows_may_be_named_without_a_zone(server: ServerProcess) -> None:
    """And as early and late as there are dates."""
    for start, end in (
        ("2024-05-01T00:00:00", "2024-05-02T00:00:00"),
        ("0002-01-01T00:00:00+14:00", "9998-12-31T23:59:59-14:00"),
    ):
        for path in ("captures", "captures/summary", "labels/summary"):
            query = {"from": start, "to": end}
            answer = server.client.get(f"/api/endpoints/paid/{path}", params=query)
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_at_the_ends_of_the_calendar_is_refused(server: ServerProcess, at: str) -> None:
    """In a query and in a body."""
    asked = server.client.get("/api/endpoints/paid/captures", params={"to": at})
    replayed = server.client.post("/api/endpoints/paid/replay", json={"end": at})
    for answer in (asked, replayed):
        assert answer.status_code == 400
        assert answer.json()["detail"] == f"A time is {at}. Send one of the years 2 to 9998."


def test_captured_requests_are_paged(server: ServerProcess) -> None:
    """With inputs and outputs, the newest first; two seconds after they were answered."""
    for name in ("a", "b", "c"):
        headers = {"x-amzn-sagemaker-inference-id": name}
        server.client.post("/endpoints/price/invocations", json=portable.ROWS[0], headers=headers).raise_for_status()
    end = time.monotonic() + 60
    while len(found := walk(server, "endpoints/price/captures", limit=2)) < 3:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert [one["inference_id"] for one in found] == ["c", "b", "a"]
    assert found[0]["outputs"] == [{"prediction": 1.0}]
    (counted,) = walk(server, "endpoints/price/captures/summary")
    assert (counted["model"], counted["version"], counted["requests"]) == ("regressor", 1, 3)
