"""A change that is asked for again by its key is made once: also at once, by two servers, and over kill -9."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from storage import Store
from storage.records import IdempotencyKey
from tests import portable
from tests.serving.conftest import ServerProcess, serving


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Store]:
    """For tests with several servers: `demo:1` and `demo:2`, which `shop` serves."""
    store = Store.open(tmp_path / "store")
    for shift in (0.0, 1.0):
        portable.publish(store, portable.classifier(shift), endpoint="shop")
    yield store
    store.close()


@pytest.fixture
def key() -> str:
    """One that no other test has."""
    return uuid4().hex


PLAN = {"model": "classifier:2"}
V1 = {"name": "main", "model": "classifier", "version": 1}


def test_the_answer_is_the_same_and_nothing_is_done_twice(
    server: ServerProcess, store: Store, endpoint: str, key: str
) -> None:
    """Status, body and headers; a header tells that it was there already."""
    headers = {"idempotency-key": key}
    first = server.client.post(f"/api/endpoints/{endpoint}/rollouts", json=PLAN, headers=headers)
    again = server.client.post(f"/api/endpoints/{endpoint}/rollouts", json=PLAN, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert len(store.rollouts.list(endpoint=endpoint)) == 1


def test_a_deletion_is_answered_again(server: ServerProcess, endpoint: str, key: str) -> None:
    """Without the key it would not be found."""
    headers = {"idempotency-key": key}
    assert server.client.delete(f"/api/endpoints/{endpoint}", headers=headers).status_code == 204
    again = server.client.delete(f"/api/endpoints/{endpoint}", headers=headers)
    assert (again.status_code, again.content) == (204, b"")
    assert server.client.delete(f"/api/endpoints/{endpoint}").status_code == 404


def test_the_key_of_another_request_is_refused(server: ServerProcess, key: str) -> None:
    """Another path, body, method or condition."""
    headers = {"idempotency-key": key}
    server.client.put("/api/endpoints/keyed", json={"variants": [V1]}, headers=headers).raise_for_status()
    for method, path, body in (
        ("PUT", "/api/endpoints/other", {"variants": [V1]}),
        ("PUT", "/api/endpoints/keyed", {"variants": [V1], "provider": "cpu"}),
        ("DELETE", "/api/endpoints/keyed", {"variants": [V1]}),
    ):
        answer = server.client.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:autopilot:key-reused")
    other = {**headers, "if-none-match": "*"}
    assert server.client.put("/api/endpoints/keyed", json={"variants": [V1]}, headers=other).status_code == 422


@pytest.mark.parametrize("name", ["", "a b", "x" * 256])
def test_a_key_that_is_none_is_refused(server: ServerProcess, name: str) -> None:
    """With what it may be."""
    answer = server.client.delete("/api/endpoints/price", headers={"idempotency-key": name})
    assert answer.status_code == 400
    assert "Send 1 to 255 visible ASCII characters" in answer.json()["detail"]


def test_what_was_refused_is_tried_again(server: ServerProcess, model: str, key: str) -> None:
    """It has changed nothing, so that there is nothing to keep."""
    headers = {"idempotency-key": key}
    body = {"version": 1}
    path = f"/api/models/{model}/aliases/production"
    server.client.put(path, json=body).raise_for_status()
    assert server.client.put(path, json=body, headers={**headers, "if-none-match": "*"}).status_code == 412
    server.client.delete(path).raise_for_status()
    assert server.client.put(path, json=body, headers={**headers, "if-none-match": "*"}).status_code == 201


def test_labels_are_counted_once(server: ServerProcess, endpoint: str, key: str) -> None:
    """The counts are those of the first time."""
    headers = {"idempotency-key": key}
    body = [{"inference_id": "a", "label": "yes"}]
    path = f"/api/endpoints/{endpoint}/labels"
    counts = [server.client.put(path, json=body, headers=headers).json()["new"] for _ in "ab"]
    assert counts == [1, 1]


@pytest.mark.slow
def test_requests_at_once_to_two_servers_do_it_once(own_store: Store) -> None:
    """One waits for the other, and gets its answer."""
    with serving(own_store) as server, serving(own_store) as other:
        answers: list[httpx.Response] = []

        def ask(asked: ServerProcess, number: int) -> None:
            headers = {"idempotency-key": f"key-{number}"}
            path = f"/api/models/demo/aliases/a{number}"
            answers.append(asked.client.put(path, json={"version": 1 + number % 2}, headers=headers))

        threads = [
            threading.Thread(target=ask, args=[asked, number])
            for number in range(10)
            for asked in (server, other, server, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [201] * 40
    assert len({answer.content for answer in answers}) == 10
    assert len([answer for answer in answers if "idempotency-replayed" not in answer.headers]) == 10


@pytest.mark.slow
def test_a_server_that_is_killed_has_done_all_of_it_or_nothing(own_store: Store) -> None:
    """Whoever got no answer asks the next server by the same key: each change is made exactly once."""
    path, done = "/api/endpoints/shop", 0
    for kill_s in (0.1, 0.23, 0.37):
        with serving(own_store) as server:
            killer = threading.Timer(kill_s, server.process.kill)
            killer.start()
            is_up = True
            while is_up:
                headers, body = {"idempotency-key": f"key-{done}"}, {"weights": {"main": done + 2}}
                try:
                    answer = server.client.patch(path, json=body, headers=headers)
                    assert answer.json()["revision"] == done + 3
                    done += 1
                except httpx.TransportError:
                    is_up = False
            killer.join()
    assert done > 3
    assert own_store.endpoints.get("shop").revision - 2 in (done, done + 1)


def test_answers_are_forgotten_after_a_day(store: Store) -> None:
    """The key may then be used for anything."""
    now = datetime.now(UTC)
    store.idempotency.add(IdempotencyKey("old", "0" * 64, 200, "{}", "{}", now - timedelta(hours=25)))
    store.idempotency.add(IdempotencyKey("fresh", "1" * 64, 200, "{}", "{}", now - timedelta(hours=23)))
    assert store.idempotency.find("old", now) is None
    assert store.idempotency.find("fresh", now) is not None
    store.idempotency.add(IdempotencyKey("old", "2" * 64, 200, "{}", "{}", now))
    assert json.loads(store.idempotency.find("old", now).body) == {}  # type: ignore[union-attr]


def test_a_change_does_not_hold_up_predictions(server: ServerProcess, store: Store, endpoint: str, key: str) -> None:
    """While another process writes, a change waits in a thread, and the event loop goes on."""
    with store.idempotency.together():
        headers = {"idempotency-key": key}
        thread = threading.Thread(
            target=httpx.patch,
            args=[f"{server.url}/api/endpoints/{endpoint}"],
            kwargs={"json": {"weights": {"main": 2}}, "headers": headers, "timeout": 30},
        )
        thread.start()
        time.sleep(0.2)
        assert server.client.get("/ping").status_code == 200
        assert thread.is_alive()
    thread.join()
    assert store.endpoints.get(endpoint).variants[0].weight == 2.0
