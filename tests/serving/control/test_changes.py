"""Changes over HTTP: what each noun allows, under conditions, and what a client that is wrong is told."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from storage import Store
from storage.api import tag_of
from tests.portable import ROWS
from tests.records import NOW
from tests.serving.conftest import ServerProcess

V1 = {"name": "main", "model": "classifier", "version": 1}
V2 = {"name": "new", "model": "classifier", "version": 2}


def change(server: ServerProcess, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
    """The body of an answer, whose status is checked."""
    content = b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = server.client.request(method, f"/api/{path}", content=content, headers=named)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.json() if answer.content else None


class TestEndpoints:
    def test_one_is_made_read_changed_and_deleted(self, server: ServerProcess, store: Store) -> None:
        """Each answer has the tag that the next condition wants."""
        made = server.client.put("/api/endpoints/shop", json={"variants": [V1]})
        assert (made.status_code, made.headers["location"]) == (201, "/api/endpoints/shop")
        read = server.client.get("/api/endpoints/shop")
        assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
        assert read.json()["capture"] == {"share": 1.0, "mode": "async", "redact": {}}

        body = {"variants": [{**V1, "weight": 90}, {**V2, "weight": 10}], "limits": {"max_rows": 10}}
        headers = {"if-match": read.headers["etag"]}
        put = server.client.put("/api/endpoints/shop", json=body, headers=headers)
        assert (put.status_code, put.json()["revision"]) == (200, 2)
        changed = change(server, "PATCH", "endpoints/shop", {"weights": {"new": 30}, "capture": {"share": 0.5}})
        assert [(v["name"], v["weight"]) for v in changed["variants"]] == [("main", 90.0), ("new", 30.0)]
        assert (changed["capture"]["share"], changed["limits"]["max_rows"]) == (0.5, 10)
        assert store.endpoints.get("shop").capture.share == 0.5

        change(server, "DELETE", "endpoints/shop", status=204, if_match=tag_of(store.endpoints.get("shop")))
        change(server, "GET", "endpoints/shop", status=404)

    def test_a_change_of_nothing_is_none(self, server: ServerProcess, store: Store, endpoint: str) -> None:
        """The tag that clients have stays good, and a roll-out goes on."""
        before = server.client.get(f"/api/endpoints/{endpoint}")
        for body in ({}, {"weights": {}}, {"capture": before.json()["capture"]}):
            answer = server.client.patch(f"/api/endpoints/{endpoint}", json=body)
            assert (answer.status_code, answer.headers["etag"]) == (200, before.headers["etag"])
            assert answer.json() == before.json()
        own = ("variants", "shadows", "capture", "limits", "provider")
        config = {field: before.json()[field] for field in own}
        answer = server.client.put(f"/api/endpoints/{endpoint}", json=config)
        assert (answer.status_code, answer.headers["etag"], answer.json()) == (
            200,
            before.headers["etag"],
            before.json(),
        )
        begun = change(server, "POST", f"endpoints/{endpoint}/rollouts", {"model": "classifier:2"}, 201)
        change(server, "PATCH", f"endpoints/{endpoint}", {})
        refused = change(server, "PATCH", f"endpoints/{endpoint}", {"capture": {"share": 0.5}}, 409)
        assert "other changes wait for its end" in refused["detail"]
        assert store.rollouts.get(begun["id"]).status == "running"
        assert store.endpoints.get(endpoint).revision == store.rollouts.get(begun["id"]).revision
        change(server, "POST", f"endpoints/{endpoint}/stop")
        status = change(server, "GET", f"endpoints/{endpoint}/status")["status"]
        assert f"Roll-out {begun['id']} watches its variants no more. Stopped by hand" in status["reason"]

    def test_what_another_changed_meanwhile_is_not_overwritten(
        self, server: ServerProcess, store: Store, endpoint: str
    ) -> None:
        """The problem tells what there is now, and its tag."""
        seen = server.client.get(f"/api/endpoints/{endpoint}").headers["etag"]
        store.endpoints.set_weights(endpoint, {"main": 3}, store.endpoints.get(endpoint).created_at)
        for method, body in (("PUT", {"variants": [V2]}), ("PATCH", {"weights": {"main": 5}}), ("DELETE", None)):
            content = b"" if body is None else json.dumps(body).encode()
            answer = server.client.request(
                method, f"/api/endpoints/{endpoint}", content=content, headers={"if-match": seen}
            )
            problem = answer.json()
            assert (answer.status_code, problem["type"]) == (412, "urn:autopilot:precondition")
            assert answer.headers["etag"] == tag_of(store.endpoints.get(endpoint))
            assert problem["current"]["variants"][0]["weight"] == 3.0
            assert f"endpoint '{endpoint}' is at" in problem["detail"]
        assert store.endpoints.get(endpoint).variants[0].weight == 3.0

    def test_a_new_one_only_takes_no_place(self, server: ServerProcess, endpoint: str) -> None:
        """`If-None-Match: *`; and `If-Match: *` changes only what is there."""
        change(server, "PUT", f"endpoints/{endpoint}", {"variants": [V1]}, 412, if_none_match="*")
        change(server, "PUT", "endpoints/shop2", {"variants": [V1]}, 412, if_match="*")
        change(server, "PUT", "endpoints/shop2", {"variants": [V1]}, 201, if_none_match="*")
        told = change(server, "DELETE", "endpoints/shop2", status=400, if_match="5")
        assert told["detail"].startswith("A condition is '5'. Send an ETag as it came, in its quotes")

    def test_the_server_follows_and_tells_so(self, server: ServerProcess, endpoint: str) -> None:
        """Its state comes to be InService, and the new version answers."""
        change(server, "PUT", f"endpoints/{endpoint}", {"variants": [{**V2, "name": "main"}]})
        end = time.monotonic() + 60
        while change(server, "GET", f"endpoints/{endpoint}/status")["status"]["state"] != "InService":
            assert time.monotonic() < end
        answer = server.client.post(f"/endpoints/{endpoint}/invocations", json=ROWS[0])
        assert answer.headers["x-autopilot-model"] == "classifier:2"

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "detail"),
        [
            ("PUT", "endpoints/x", {}, 400, "The body lacks 'variants'. Send 'variants', 'shadows', 'capture',"),
            (
                "PUT",
                "endpoints/x",
                {"variants": [{**V1, "version": "1"}]},
                400,
                "variants[0].version is '1'. Send a whole",
            ),
            (
                "PUT",
                "endpoints/x",
                {"variants": [{**V1, "wait": 1}]},
                400,
                "a field 'wait' at variants[0], which is not",
            ),
            ("PUT", "endpoints/x", {"variants": []}, 400, "has no production variant. Give it one."),
            ("PUT", "endpoints/x", {"variants": [{**V1, "weight": -1}]}, 400, "The weight of variant 'main' is -1.0."),
            ("PUT", "endpoints/x", {"variants": [{**V1, "version": 9}]}, 404, "The store has no model 'classifier:9'"),
            ("PUT", "endpoints/a%20b", {"variants": [V1]}, 400, "'a b' cannot name an endpoint."),
            ("PUT", "endpoints/x", {"variants": [V1], "provider": "tpu"}, 400, "provider is 'tpu'."),
            (
                "PATCH",
                "endpoints/paid",
                {"weights": {"nobody": 1}},
                400,
                "has no variant 'nobody'. Its variants are 'main'",
            ),
            (
                "PATCH",
                "endpoints/paid",
                {"weights": {"main": "x"}},
                400,
                'weights is {"main":"x"}. Give each a number.',
            ),
            (
                "PATCH",
                "endpoints/paid",
                {"capture": {"shar": 1}},
                400,
                "a field 'shar' at capture, which is not known.",
            ),
            ("PATCH", "endpoints/nobody", {"weights": {"main": 1}}, 404, "The store has no endpoint 'nobody'."),
            ("DELETE", "endpoints/nobody", None, 404, "The store has no endpoint 'nobody'."),
            ("POST", "endpoints/paid", None, 405, "/api/endpoints/paid was asked by POST. Use"),
        ],
    )
    def test_each_mistake_is_told(
        self, server: ServerProcess, method: str, path: str, body: Any, status: int, detail: str
    ) -> None:
        """With place, value and remedy."""
        assert detail in change(server, method, path, body, status)["detail"]

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b"", "The body is empty. Send a JSON object with 'variants'"),
            (b"{", "The body is no JSON: Input data was truncated."),
            (b"\xff", "The body is no JSON"),
            (b"[" * 200_000, "The body is no JSON"),
            (b"[]", "The body is []. Send an object."),
            (b" " * 7_000_000, "The body is longer than 6291456 bytes"),
            (b'{"variants": [{"version": 99999999999999999999}]}', "variants[0].version is 99999999999999999999. Send"),
            (b'{"variants": "main=classifier:1"}', "variants is 'main=classifier:1'. Send a list."),
        ],
    )
    def test_a_body_that_is_none_is_told(self, server: ServerProcess, body: bytes, detail: str) -> None:
        """Never a failure of the server."""
        answer = server.client.put("/api/endpoints/x", content=body)
        assert answer.status_code == (413 if "longer" in detail else 400)
        assert answer.json()["detail"].startswith(detail)


class TestModels:
    def test_an_alias_moves_and_names_a_version(
        self, server: ServerProcess, store: Store, model: str, endpoint: str
    ) -> None:
        """Where a number would, in paths and in roll-outs."""
        first = server.client.put(f"/api/models/{model}/aliases/production", json={"version": 1})
        assert first.status_code == 201
        tag = first.headers["etag"]
        change(server, "PUT", f"models/{model}/aliases/production", {"version": 2}, if_match=tag)
        change(server, "PUT", f"models/{model}/aliases/production", {"version": 1}, 412, if_match=tag)
        assert change(server, "GET", f"models/{model}/versions/production")["version"] == 2
        assert change(server, "GET", f"models?name={model}")["items"][0]["aliases"] == ["production"]
        rollout = change(server, "POST", f"endpoints/{endpoint}/rollouts", {"model": f"{model}:production"}, 201)
        assert [v["version"] for v in rollout["after"]] == [2]
        change(server, "DELETE", f"models/{model}/aliases/production", status=204)
        change(server, "GET", f"models/{model}/aliases/production", status=404)
        assert store.aliases.list(model) == []

    def test_only_what_nothing_uses_is_deleted(
        self, server: ServerProcess, store: Store, model: str, endpoint: str
    ) -> None:
        """The problem tells who does."""
        store.endpoints.deploy(endpoint, store.models.get(f"{model}:1"), NOW)
        told = change(server, "DELETE", f"models/{model}/versions/1", status=409)
        assert told["type"] == "urn:autopilot:used"
        assert told["detail"] == f"Model version '{model}:1' is used by endpoint '{endpoint}'. Let it go there first."
        change(server, "DELETE", f"models/{model}/versions/2", status=204)
        change(server, "GET", f"models/{model}/versions/2", status=404)
        change(server, "DELETE", f"models/{model}/versions/latest", status=404)


class TestRollouts:
    def test_one_is_begun_seen_and_taken_back(self, server: ServerProcess, endpoint: str) -> None:
        """A second one on the endpoint is a conflict."""
        begun = change(server, "POST", f"endpoints/{endpoint}/rollouts", {"model": "classifier:2", "share": 0.2}, 201)
        told = change(server, "POST", f"endpoints/{endpoint}/rollouts", {"model": "classifier:2"}, 409)
        assert told["type"] == "urn:autopilot:conflict"
        assert change(server, "GET", f"rollouts/{begun['id']}")["status"] == "running"
        assert [r["id"] for r in change(server, "GET", f"rollouts?endpoint={endpoint}&status=running")["items"]] == [
            begun["id"]
        ]
        assert change(server, "POST", f"endpoints/{endpoint}/rollback")["status"] == "rolled back"
        assert len(change(server, "GET", f"endpoints/{endpoint}")["variants"]) == 1
        told = change(server, "POST", f"endpoints/{endpoint}/stop", status=400)
        assert told["detail"] == f"No roll-out runs on endpoint '{endpoint}'. There is nothing to stop."


class TestLabels:
    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/json", '[{"inference_id": "a", "label": "yes"}, {"inference_id": "a", "label": "no", "row": 1}]'),  # noqa: E501
            ("application/json", '{"labels": [{"inference_id": "a", "label": "yes"}, '
             '{"inference_id": "a", "label": "no", "row": 1}]}'),
            ("application/x-ndjson", '{"inference_id": "a", "label": "yes"}\n'
             '{"inference_id": "a", "label": "no", "row": 1}\n'),
            ("application/jsonlines", '{"groundTruthData": {"data": "yes\\nno", "encoding": "CSV"}, '
             '"eventMetadata": {"eventId": "a"}, "eventVersion": "0"}\n'),
            ("text/csv", "inference_id,label,row\na,yes,\na,no,1\n"),
            ("text/csv; charset=utf-8", "row,label,inference_id,happened_at\r\n0,yes,a,2024-05-01T00:00:00Z\r\n1,no,a,\r\n"),  # noqa: E501
        ],
    )  # fmt: skip
    def test_they_are_kept_in_each_form(self, server: ServerProcess, endpoint: str, kind: str, body: str) -> None:
        """By inference id and row."""
        headers = {"content-type": kind}
        answer = server.client.put(f"/api/endpoints/{endpoint}/labels", content=body, headers=headers)
        assert (answer.status_code, answer.json()["new"]) == (200, 2), answer.text
        again = server.client.put(f"/api/endpoints/{endpoint}/labels", content=body, headers=headers)
        assert (again.json()["new"], again.json()["same"]) == (0, 2)
        listed = server.client.get(f"/api/endpoints/{endpoint}/labels?limit=1")
        assert [(one["row"], one["label"]) for one in listed.json()["items"]] == [(0, "yes")]
        rest = server.client.get(listed.links["next"]["url"]).json()["items"]
        assert [(one["row"], one["label"]) for one in rest] == [(1, "no")]
        assert server.client.get(f"/api/endpoints/{endpoint}/labels/summary").json()["labels"] == 2

    @pytest.mark.parametrize(
        ("kind", "body", "detail"),
        [
            (
                "text/csv",
                "id,label\na,yes\n",
                "The csv has the header ['id', 'label']. It has to name inference_id and",
            ),
            ("text/csv", "inference_id,label\na,yes,no\n", "Line 2 of the csv has 3 cells, and its header 2."),
            ("text/csv", "inference_id,label\na,\n", "Line 2 of the csv holds no label"),
            ("text/csv", b"inference_id,label\n\xff,yes\n", "The body is no csv"),
            (
                "application/json",
                '[{"inference_id": "a", "label": "maybe"}]',
                "labels[0].label is 'maybe', which is no",
            ),
            ("application/json", '[{"inference_id": 7, "label": "yes"}]', "[0].inference_id is 7. Send text."),
        ],
    )
    def test_each_mistake_is_told(self, server: ServerProcess, kind: str, body: str | bytes, detail: str) -> None:
        """And nothing is kept."""
        answer = server.client.put("/api/endpoints/paid/labels", content=body, headers={"content-type": kind})
        assert answer.status_code == 400
        assert detail in answer.json()["detail"]
        assert server.client.get("/api/endpoints/paid/labels").json()["items"] == []

    @pytest.mark.parametrize("kind", ["application/x-foo", "application/x-npy", "text/csv; charset=utf-16", "json"])
    def test_a_form_that_is_not_read_is_told(self, server: ServerProcess, kind: str) -> None:
        """Rather than taken for JSON."""
        body = b'[{"inference_id": "a", "label": "yes"}]'
        answer = server.client.put("/api/endpoints/paid/labels", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["type"]) == (415, "urn:autopilot:media-type")
        assert answer.json()["detail"].startswith(f"Content-Type is {kind!r}. Labels are application/json, ")

    def test_others_are_replaced_only_if_that_is_asked_for(self, server: ServerProcess, endpoint: str) -> None:
        """Otherwise it is a conflict that names the row."""
        change(server, "PUT", f"endpoints/{endpoint}/labels", [{"inference_id": "a", "label": "yes"}])
        told = change(server, "PUT", f"endpoints/{endpoint}/labels", [{"inference_id": "a", "label": "no"}], 409)
        assert "Row 0 of inference 'a' has the label \"yes\"" in told["detail"]
        assert told["title"] == "What is there does not allow it"
        told = change(
            server, "PUT", f"endpoints/{endpoint}/labels?replace=true", [{"inference_id": "a", "label": "no"}]
        )
        assert told["replaced"] == 1


class TestJobs:
    def test_a_batch_is_asked_for_and_ends(self, server: ServerProcess, tmp_path: Path) -> None:
        """Its file is there, and what was asked for can be read."""
        source, out = tmp_path / "in.ndjson", tmp_path / "out.csv"
        source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        asked = {"model": "regressor", "source": str(source), "out": str(out)}
        job = change(server, "POST", "jobs/batch", asked, 201)
        end = time.monotonic() + 60
        while (found := change(server, "GET", f"jobs/{job['id']}"))["status"] in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert (found["status"], found["result"]["rows"]) == ("completed", len(ROWS))
        assert out.read_text().splitlines()[1] == "1.0"
        told = change(server, "POST", f"jobs/{job['id']}/stop", status=400)
        assert "There is nothing left to stop." in told["detail"]
        assert "is there already" in change(server, "POST", "jobs/batch", asked, 400)["detail"]
        change(server, "POST", "jobs/batch", {**asked, "model": "nobody"}, 404)
        change(server, "GET", "jobs/none", status=404)


class TestSchedules:
    def test_one_is_made_replaced_and_removed(self, server: ServerProcess, store: Store, endpoint: str) -> None:
        """Under conditions, as endpoints."""
        made = server.client.put(f"/api/schedules/{endpoint}", json={"cron": "0 * * * *"})
        assert (made.status_code, made.json()["level"]) == (201, 0.05)
        tag = made.headers["etag"]
        change(server, "PUT", f"schedules/{endpoint}", {"cron": "30 6 * * SUN", "level": 0.01}, if_match=tag)
        change(server, "PUT", f"schedules/{endpoint}", {"cron": "0 0 * * *"}, 412, if_match=tag)
        assert [(one.cron, one.level) for one in store.schedules.list()] == [("30 6 * * SUN", 0.01)]
        change(server, "DELETE", f"schedules/{endpoint}", status=204)
        change(server, "DELETE", f"schedules/{endpoint}", status=404)

    def test_one_names_facets_and_a_budget(self, server: ServerProcess, store: Store, endpoint: str) -> None:
        """As text; both are told again."""
        asked = {"cron": "0 * * * *", "check": "bias", "facets": ["town=Ulm", "amount>5"], "budget": "1 per quarter"}
        told = change(server, "PUT", f"schedules/{endpoint}", asked, 201)
        assert (told["facets"], told["budget"]) == (["town=Ulm", "amount>5"], "1 per quarter")
        assert store.schedules.get(endpoint).facets == ("town=Ulm", "amount>5")
        change(server, "DELETE", f"schedules/{endpoint}", status=204)

    @pytest.mark.parametrize(
        ("endpoint", "body", "status", "detail"),
        [
            ("paid", {"cron": "0 25 * * *"}, 400, "The hour in cron '0 25 * * *' is '25'."),
            ("paid", {"cron": "0 * * * *", "level": 2}, 400, "level is 2, the chance of any alarm."),
            ("paid", {"cron": "0 * * * *", "budget": "seldom"}, 400, "The alarm budget is 'seldom'."),
            (
                "paid",
                {"cron": "0 * * * *", "check": "bias"},
                400,
                "No facet was named, and classifier:1 was fitted without fairness=.",
            ),
            ("paid", {"cron": "0 * * * *", "check": "bias", "facets": ["sex"]}, 400, "no column that the model takes"),
            ("nobody", {"cron": "0 * * * *"}, 404, "The store has no endpoint 'nobody'."),
        ],
    )
    def test_each_mistake_is_told(
        self, server: ServerProcess, endpoint: str, body: Any, status: int, detail: str
    ) -> None:
        """And nothing is kept."""
        assert detail in change(server, "PUT", f"schedules/{endpoint}", body, status)["detail"]
        assert "paid" not in [one["endpoint"] for one in change(server, "GET", "schedules")["items"]]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_changes_nothing(server: ServerProcess, origin: str) -> None:
    """A person who looks at it while a server runs on their machine does not notice what it asks."""
    told = change(server, "DELETE", "endpoints/paid", status=403, origin=origin)
    assert told["type"] == "urn:autopilot:origin"
    change(server, "DELETE", "endpoints/nobody", status=404, origin=server.url)
