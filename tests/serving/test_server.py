"""Journeys over real sockets: what a client sends and what it gets, and how a server lives and ends."""

import gzip
import html
import http.client
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest

from serving.media import MEDIA_TYPES
from storage import Predictor, Store
from storage.records import CapturePolicy
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ROOT, ServerProcess, serving, spawn

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
TABLE = "\n".join(
    ",".join("" if row[name] is None else str(row[name]) for name in ("amount", "town", "visits", "seen"))
    for row in ROWS
)

REPORTING_SERVER = """
import json, os, signal, socket, sys, threading, time, urllib.request
from serving.__main__ import main

def ask(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    row = json.dumps({"amount": 4.0, "town": "Ulm", "visits": 2, "seen": "2023-05-01"}).encode()
    url = f"http://127.0.0.1:{port}/invocations"
    request = urllib.request.Request(url, row, {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    print(json.dumps({"answer": answer, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
    os.kill(os.getpid(), signal.SIGTERM)

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
threading.Thread(target=ask, args=[port], daemon=True).start()
sys.exit(main(["--store", sys.argv[1], "--port", str(port)]))
"""


def traffic_of(store: Store, endpoint: str) -> pl.DataFrame:
    now = datetime.now(UTC)
    return store.traffic.read(endpoint, now - timedelta(hours=1), now + timedelta(hours=1))


def connection_to(server: ServerProcess) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)


class TestAnswers:
    def test_json_is_answered_as_the_predictor_predicts(self, server: ServerProcess) -> None:
        """The same probabilities, to the bit, as `Predictor` gives for the file."""
        answer = server.client.post("/endpoints/paid/invocations", json=ROWS)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-amzn-invoked-production-variant"] == "main"
        assert answer.headers["x-autopilot-model"] == "classifier:1"
        predictions = answer.json()["predictions"]
        expected = Predictor(portable.classifier()).predict_rows(ROWS)
        assert [row["label"] for row in predictions] == [row["label"] for row in expected]
        for name in ("no", "yes"):
            assert [row["probabilities"][name] for row in predictions] == [row[f"p_{name}"] for row in expected]
        np.testing.assert_allclose([row["probabilities"]["yes"] for row in predictions], portable.PROBABILITIES, 1e-6)

    def test_values_are_answered_as_calculated_by_hand(self, server: ServerProcess) -> None:
        """A regressor's prediction is in `value`."""
        answer = server.client.post("/endpoints/price/invocations", json={"instances": ROWS})
        assert answer.json() == {"predictions": [{"value": score} for score in portable.SCORES]}

    def test_csv_is_answered_in_csv(self, server: ServerProcess) -> None:
        """A line for each row, without a header."""
        answer = server.client.post("/endpoints/price/invocations", content=TABLE, headers=CSV)
        assert answer.headers["content-type"] == "text/csv"
        assert answer.text == "1.0\n0.5\n-3.0\n5.5\n"
        answer = server.client.post("/endpoints/paid/invocations", content=TABLE, headers=CSV)
        assert answer.text.splitlines()[0] == "yes,0.26894140243530273,0.7310585975646973"

    def test_accept_chooses_the_format(self, server: ServerProcess) -> None:
        """Whatever was sent."""
        answer = server.client.post("/endpoints/price/invocations", json=ROWS[0], headers={"accept": "text/csv"})
        assert answer.text == "1.0\n"
        headers = {**CSV, "accept": "application/json"}
        answer = server.client.post("/endpoints/price/invocations", content=TABLE, headers=headers)
        assert len(answer.json()["predictions"]) == len(ROWS)

    def test_a_batch_is_answered_in_order(self, server: ServerProcess) -> None:
        """Batches run in a thread, in the same way."""
        rows = [{**ROWS[0], "amount": float(index)} for index in range(3000)]
        answer = server.client.post("/endpoints/price/invocations", json=rows)
        expected = [row["prediction"] for row in Predictor(portable.regressor()).predict_rows(rows)]
        assert [row["value"] for row in answer.json()["predictions"]] == expected

    def test_a_gzip_body_is_unpacked(self, server: ServerProcess) -> None:
        """JSON and CSV alike."""
        body = gzip.compress(json.dumps(ROWS).encode())
        answer = server.client.post(
            "/endpoints/price/invocations", content=body, headers={**JSON, "content-encoding": "gzip"}
        )
        assert [row["value"] for row in answer.json()["predictions"]] == list(portable.SCORES)

    def test_a_body_without_content_type_is_json(self, server: ServerProcess) -> None:
        """As clients of bare HTTP libraries send it."""
        connection = connection_to(server)
        connection.request("POST", "/endpoints/price/invocations", json.dumps(ROWS[0]))
        assert json.load(connection.getresponse()) == {"predictions": [{"value": 1.0}]}
        connection.close()

    def test_the_inference_id_comes_back(self, server: ServerProcess) -> None:
        """The client's own, or one that no other request has."""
        headers = {"x-amzn-sagemaker-inference-id": "order 7/b"}
        answer = server.client.post("/endpoints/price/invocations", json=ROWS[0], headers=headers)
        assert answer.headers["x-inference-id"] == "order 7/b"
        own = {
            server.client.post("/endpoints/price/invocations", json=ROWS[0]).headers["x-inference-id"] for _ in range(5)
        }
        assert len(own) == 5

    def test_litestar_answers_another_spelling_of_the_path_alike(self, server: ServerProcess) -> None:
        """A slash at the end misses the hot path, and reaches the documented route."""
        for path in ("/endpoints/paid/invocations", "/endpoints/nobody/invocations", "/invocations"):
            for body in (json.dumps(ROWS), "[", "[{}]", "x" * 2_000_000):
                headers = {**JSON, "accept": "text/csv", "x-amzn-sagemaker-inference-id": "same", "x-request-id": "7"}
                hot = server.client.post(path, content=body, headers=headers)
                slow = server.client.post(path + "/", content=body, headers=headers)
                assert (hot.status_code, hot.content) == (slow.status_code, slow.content)
                del hot.headers["date"], slow.headers["date"]
                assert hot.headers == slow.headers


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "body", "headers", "status", "kind", "detail"),
        [
            ("POST", "/endpoints/paid/invocations", b"[{]", JSON, 400, "body", "(byte 2)"),
            ("POST", "/endpoints/paid/invocations", b"", JSON, 400, "body", "The body is empty"),
            ("POST", "/endpoints/paid/invocations", b"[]", JSON, 400, "body", "no rows"),
            ("POST", "/endpoints/paid/invocations", b"x,Ulm,1,", CSV, 400, "row", "row 0 holds 'x'"),
            ("POST", "/invocations", b"{}", JSON, 400, "unnamed-endpoint", "/endpoints/price/invocations"),
            ("POST", "/endpoints/nobody/invocations", b"{}", JSON, 404, "unknown-endpoint", "'nobody'"),
            ("POST", "/endpoints/a/b/invocations", b"{}", JSON, 404, "unknown-endpoint", "/endpoints/paid/invocations"),
            ("GET", "/endpoints/paid/invocations", b"", {}, 405, "method", "Use POST"),
            ("DELETE", "/ping", b"", {}, 405, "method", "Use GET or HEAD"),
            ("POST", "/endpoints/paid/invocations", b"{}", {"accept": "text/html"}, 406, "accept", "text/csv"),
            ("POST", "/endpoints/paid/invocations", b"x" * 1_000_001, JSON, 413, "body-too-large", "1000000 bytes"),
            ("POST", "/endpoints/paid/invocations", b"{}", {"content-type": "text/xml"}, 415, "media-type", "text/xml"),
            ("POST", "/endpoints/paid/invocations", b"{}", {"content-encoding": "br"}, 415, "media-type", "'br'"),
            (
                "POST",
                "/endpoints/paid/invocations",
                b"{}",
                {"x-amzn-sagemaker-inference-id": "x" * 65},
                400,
                "inference-id",
                "1 to 64 printable ASCII",
            ),
        ],
    )
    def test_each_refusal_is_a_problem_with_place_value_and_remedy(
        self,
        server: ServerProcess,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        status: int,
        kind: str,
        detail: str,
    ) -> None:
        """RFC 9457 bodies; the table of problems.py over a socket."""
        answer = server.client.request(method, path, content=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["status"], problem["type"]) == (status, status, f"urn:autopilot:{kind}")
        assert answer.headers["content-type"] == "application/problem+json"
        assert detail in problem["detail"]

    def test_a_wrong_row_is_told_with_row_and_column(self, server: ServerProcess) -> None:
        """For programs as numbers, for people as a sentence."""
        rows = [*ROWS[:3], {**ROWS[3], "amount": "n/a"}]
        answer = server.client.post("/endpoints/paid/invocations", json=rows)
        assert answer.json() == {
            "type": "urn:autopilot:row",
            "title": "A row cannot be predicted",
            "status": 400,
            "detail": "Column 'amount' was number in training; row 3 holds 'n/a'. Send a number or null.",
            "row": 3,
            "column": "amount",
            "cell": "[3].amount",
            "Message": "Column 'amount' was number in training; row 3 holds 'n/a'. Send a number or null.",
        }

    def test_a_wrong_method_is_told_those_allowed(self, server: ServerProcess) -> None:
        """In the header that RFC 9110 asks for."""
        assert server.client.get("/invocations").headers["allow"] == "POST"
        assert server.client.post("/ping").headers["allow"] == "GET, HEAD"

    def test_a_long_body_without_a_length_is_counted(self, server: ServerProcess) -> None:
        """Chunks are read no further than the limit, and the server goes on."""

        def chunks() -> Iterator[bytes]:
            for _ in range(30):
                yield b" " * 100_000

        answer = server.client.post("/endpoints/paid/invocations", content=chunks())
        assert answer.status_code == 413
        assert server.client.get("/ping").status_code == 200

    def test_a_small_gzip_body_that_unpacks_to_much_is_refused(self, server: ServerProcess) -> None:
        """The limit holds for what comes out."""
        body = gzip.compress(bytes(50_000_000))
        answer = server.client.post("/endpoints/paid/invocations", content=body, headers={"content-encoding": "gzip"})
        assert answer.status_code == 413

    def test_clients_that_leave_early_do_no_harm(self, server: ServerProcess) -> None:
        """Neither within the body nor before the answer; nothing is logged as a defect."""
        address = urlsplit(server.url)
        for path in (b"/endpoints/paid/invocations", b"/endpoints/paid/invocations/"):
            for sent in (b'{"amo', json.dumps(ROWS).encode() * 100):
                with socket.create_connection((str(address.hostname), address.port or 0)) as raw:
                    raw.sendall(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n")
                    raw.sendall(sent)
        time.sleep(0.1)
        assert server.client.get("/ping").status_code == 200
        assert "Traceback" not in server.log


class TestOtherPages:
    def test_ping_is_answered_with_an_empty_body(self, server: ServerProcess) -> None:
        """As container platforms expect it."""
        answer = server.client.get("/ping")
        assert (answer.status_code, answer.content) == (200, b"")
        assert server.client.head("/ping").status_code == 200

    @pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json"])
    def test_openapi_documents_each_route(self, server: ServerProcess, path: str) -> None:
        """Served from this process alone: the document names no other host."""
        document = server.client.get(path).json()
        assert document["openapi"].startswith("3.1")
        assert {path for path in document["paths"] if not path.startswith("/api/")} >= {
            "/ping",
            "/metrics",
            "/invocations",
            "/endpoints/{name}/invocations",
            "/endpoints/{name}/schema",
            "/endpoints/paid/invocations",
            "/endpoints/price/invocations",
            "/reports/{report_id}",
        }
        invocation = document["paths"]["/endpoints/{name}/invocations"]["post"]
        assert set(invocation["requestBody"]["content"]) == set(MEDIA_TYPES.values())
        assert set(invocation["responses"]) == {"200", "400", "404", "406", "413", "415", "500", "503"}
        assert "http" not in json.dumps(document["paths"])

    def test_lists_are_summaries(self, server: ServerProcess) -> None:
        """Endpoints, model versions and reports."""
        endpoints = server.client.get("/api/endpoints").json()["items"]
        assert [(e["name"], e["model"], e["version"], e["live"]) for e in endpoints] == [
            ("paid", "classifier", 1, True),
            ("price", "regressor", 1, True),
        ]
        models = server.client.get("/api/models").json()["items"]
        assert [(m["name"], m["task"], m["test_score"]) for m in models] == [
            ("classifier", "binary", 0.9),
            ("regressor", "regression", 0.9),
        ]

    def test_reports_are_listed_and_given_as_they_were_stored(self, server: ServerProcess) -> None:
        """As JSON for programs, as a page for people and as Markdown, each with its charset once."""
        (report,) = server.client.get("/api/reports").json()["items"]
        assert (report["id"], report["verdict"], report["window_start"]) == ("r1", "drift", "2024-05-01T00:00:00Z")
        assert server.client.get("/api/reports", params={"endpoint": "price"}).json()["items"] == []
        assert server.client.get(report["json_path"]).json() == {"verdict": "drift"}
        page = server.client.get(report["html_path"])
        assert (page.headers["content-type"], page.text) == ("text/html; charset=utf-8", "<!doctype html><p>drift</p>")
        told = server.client.get(report["markdown_path"])
        assert (told.headers["content-type"], told.text) == ("text/markdown; charset=utf-8", "# Drift · été\n")

    def test_the_page_links_reports_and_shows_how_to_ask(self, server: ServerProcess) -> None:
        """The command works as it stands there."""
        page = server.client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert '<a href="/reports/r1">drift</a>' in page.text
        commands = [html.unescape(command) for command in re.findall("<pre>(.*)</pre>", page.text)]
        assert len(commands) == 2
        for command in commands:
            answer = subprocess.run(shlex.split(command), capture_output=True, check=True)
            assert len(json.loads(answer.stdout)["predictions"]) == 1

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/ping",
            "/metrics",
            "/schema",
            "/api/models",
            "/nowhere",
            "/invocations",
            "/endpoints/paid/invocations",
            "/endpoints/paid/schema",
            "/v1/models/paid",
            "/v1/models/paid:predict",
        ],
    )
    def test_each_reply_has_its_requests_id_once(self, server: ServerProcess, method: str, path: str) -> None:
        """Whoever answers it, and also where it is refused."""
        answer = server.client.request(method, path, headers={"x-request-id": "trace-7"})
        assert answer.headers.get_list("x-request-id") == ["trace-7"]
        assert answer.headers.get_list("x-amzn-requestid") == ["trace-7"]

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nowhere", 404),
            ("GET", "/v2nowhere", 404),
            ("GET", "/modelsnowhere", 404),
            ("GET", "/api/reports/none", 404),
            ("GET", "/reports/none", 404),
            ("GET", "/api/reports?limit=0", 400),
            ("GET", "/api/reports?limit=many", 400),
            ("DELETE", "/api/models", 405),
            ("GET", "/%00", 404),
        ],
    )
    def test_other_refusals_are_problems_too(self, server: ServerProcess, method: str, path: str, status: int) -> None:
        """One shape of error on all routes."""
        answer = server.client.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.json()["detail"]) > 20


class TestEndpoints:
    def test_versions_switch_under_load_without_a_failed_request(self, store: Store) -> None:
        """Six versions in three seconds while four clients hammer; each answer is of one of them, none is lost."""
        versions = [portable.regressor(shift=float(shift)) for shift in range(6)]
        portable.publish(store, versions[0], endpoint="demo")
        seen: list[tuple[int, float, str]] = []
        stop = threading.Event()

        def hammer(server: ServerProcess) -> None:
            connection = connection_to(server)
            while not stop.is_set():
                connection.request("POST", "/invocations", json.dumps(ROWS[0]), JSON)
                answer = connection.getresponse()
                body = json.load(answer)
                seen.append((answer.status, body["predictions"][0]["value"], answer.headers["x-autopilot-model"]))
            connection.close()

        with serving(store) as server:
            threads = [threading.Thread(target=hammer, args=(server,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for model in versions[1:]:
                portable.publish(store, model, endpoint="demo")
                time.sleep(0.5)
            wait_for(lambda: seen[-1][2] == "demo:6", timeout_s=20)
            stop.set()
            for thread in threads:
                thread.join()
        assert {status for status, _, _ in seen} == {200}
        assert {(value, model) for _, value, model in seen} <= {
            (1.0 + shift, f"demo:{shift + 1}") for shift in range(6)
        }

    def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(self, store: Store) -> None:
        """The reason is in the log; the next good version is taken."""
        portable.publish(store, portable.regressor(), endpoint="demo")
        with serving(store) as server:
            broken = portable.publish(store, portable.regressor(shift=1))
            (store.root / "blobs" / broken.digest[:2] / broken.digest).write_bytes(b"damaged")
            store.endpoints.deploy("demo", broken, datetime.now(UTC))
            wait_for(lambda: "could not switch to demo:2" in server.log)
            assert "was changed on disk" in server.log
            assert server.client.post("/invocations", json=ROWS[0]).headers["x-autopilot-model"] == "demo:1"
            assert [endpoint["live"] for endpoint in server.client.get("/api/endpoints").json()["items"]] == [False]
            portable.publish(store, portable.regressor(shift=2), endpoint="demo")
            wait_for(lambda: server.client.post("/invocations", json=ROWS[0]).json()["predictions"][0]["value"] == 3.0)

    def test_a_server_without_endpoints_is_healthy_and_takes_the_first(self, store: Store) -> None:
        """A container can start before anything is deployed."""
        with serving(store) as server:
            assert server.client.get("/ping").status_code == 200
            refusal = server.client.post("/invocations", json=ROWS[0])
            assert (refusal.status_code, refusal.json()["type"]) == (404, "urn:autopilot:unknown-endpoint")
            assert "autopilot deploy" in refusal.json()["detail"]
            portable.publish(store, portable.regressor(), endpoint="demo")
            wait_for(lambda: server.client.post("/invocations", json=ROWS[0]).status_code == 200)

    def test_a_deploy_can_end_capture_without_another_load(self, store: Store) -> None:
        """A revision of the same version changes what else the record says."""
        version = portable.publish(store, portable.regressor(), endpoint="demo")
        with serving(store) as server:
            store.endpoints.deploy("demo", version, datetime.now(UTC), capture=CapturePolicy(share=0.0))
            wait_for(lambda: server.client.get("/api/endpoints").json()["items"][0]["live"])
            server.client.post("/invocations", json=ROWS[0])
            assert server.stop() == 0
        assert traffic_of(store, "demo").height == 0


class TestCapture:
    def test_traffic_holds_what_was_asked_and_answered(self, store: Store) -> None:
        """Inputs typed as in training, outputs, ids and versions; a server that is told to stop loses nothing."""
        portable.publish(store, portable.classifier(), endpoint="demo")
        with serving(store) as server:
            answer = server.client.post(
                "/invocations", json=ROWS, headers={"x-amzn-sagemaker-inference-id": "first"}
            ).json()
            server.client.post("/invocations", content=TABLE, headers=CSV)
            server.client.post("/invocations", json=[{"amount": "refused"}])
            assert server.stop() == 0
        frame = traffic_of(store, "demo")
        assert frame.height == 2 * len(ROWS)
        first = frame.filter(pl.col("autopilot.inference_id") == "first")
        inputs = pl.DataFrame(list(ROWS)).select("amount", "town", pl.col("visits").cast(pl.Float64))
        assert first.select("amount", "town", "visits").equals(inputs)
        assert first["seen"].to_list()[:3] == [datetime(2023, 5, 1), datetime(2024, 1, 1), None]  # noqa: DTZ001 - as typed
        assert first["autopilot.label"].to_list() == [row["label"] for row in answer["predictions"]]
        assert first["autopilot.p_yes"].to_list() == [row["probabilities"]["yes"] for row in answer["predictions"]]
        assert first["autopilot.row"].to_list() == [0, 1, 2, 3]
        assert set(frame["autopilot.version"]) == {1}

    def test_a_killed_server_keeps_what_it_had_flushed(self, store: Store) -> None:
        """What was answered half a second before is in the journal, and compaction takes it."""
        portable.publish(store, portable.regressor(), endpoint="demo")
        with serving(store) as server:
            server.client.post("/invocations", json=ROWS)
            time.sleep(0.5)
            server.kill()
        assert traffic_of(store, "demo")["autopilot.prediction"].to_list() == list(portable.SCORES)


class TestProcess:
    def test_it_loads_nothing_that_trains(self, store: Store) -> None:
        """A child process serves a JSON request, then tells its modules."""
        portable.publish(store, portable.regressor(), endpoint="demo")
        child = subprocess.run(
            [sys.executable, "-W", "error", "-c", REPORTING_SERVER, str(store.root)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        report: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        assert report["answer"] == {"predictions": [{"value": 1.0}]}
        trains = {"sklearn", "lightgbm", "hyperopt", "skl2onnx", "onnx", "polars", "pandas", "autopilot", "monitor"}
        assert trains.isdisjoint(report["modules"])

    @pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
    def test_it_ends_well_when_told_to(self, store: Store, wanted: signal.Signals) -> None:
        """Exit code 0 and no traceback."""
        with serving(store) as server:
            server.process.send_signal(wanted)
            assert server.process.wait(60) == 0
            assert server.log == ""

    def test_requests_under_way_are_answered_before_it_ends(self, store: Store) -> None:
        """SIGTERM arrives while a body is still being sent."""
        portable.publish(store, portable.regressor(), endpoint="demo")
        body = json.dumps(ROWS[0]).encode()
        with serving(store) as server:
            connection = connection_to(server)
            connection.putrequest("POST", "/invocations")
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body[:10])
            time.sleep(0.2)
            server.process.terminate()
            time.sleep(0.3)
            connection.send(body[10:])
            assert json.load(connection.getresponse()) == {"predictions": [{"value": 1.0}]}
            assert server.process.wait(60) == 0

    def test_a_port_in_use_is_told_in_one_line(self, tmp_path: Path) -> None:
        """With the way out, exit code 1 and no traceback; no store is made."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            child = spawn("--store", str(tmp_path / "store"), "--port", port, stderr=subprocess.PIPE)
            _, stderr = child.communicate(timeout=60)
        assert child.returncode == 1
        assert stderr == f"Port {port} on 127.0.0.1 is in use by another program. Choose another with --port.\n"
        assert not (tmp_path / "store").exists()

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["--port", "http"], 2, "'http' is no port"),
            (["--host", "203.0.113.7", "--port", "0"], 1, "Give an address of this machine with --host"),
            (["--store", "s3://bucket", "--port", "0"], 1, "is no folder"),
        ],
    )
    def test_bad_usage_is_told_without_a_traceback(self, arguments: list[str], code: int, message: str) -> None:
        """Place, value received and remedy."""
        child = spawn(*arguments, stderr=subprocess.PIPE)
        _, stderr = child.communicate(timeout=60)
        assert child.returncode == code
        assert message in stderr
        assert "Traceback" not in stderr


def wait_for(condition: Any, timeout_s: float = 5) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.05)
