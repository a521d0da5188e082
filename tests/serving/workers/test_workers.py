"""Servers of several workers, under load from clients that keep their connections."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import httpx
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from storage import Store
from tests import portable
from tests.portable import ROWS
from tests.serving.conftest import ROOT, ServerProcess, serving, spawn
from tests.serving.workers.load import load

#: Clients without a pause, and such that ask now and then: these wait on kept connections when a worker ends.
PAUSES_S = [0.0] * 4 + [0.002] * 8 + [0.05] * 8 + [0.3] * 8
SCALED = """
import asyncio, sys
from serving.__main__ import listen
from serving.workers.bounds import Bounds
from serving.workers.scaling import Scaling
from serving.workers.supervisor import Supervisor

bounds = Bounds(1, 2)
command = [sys.executable, "-m", "serving", "--store", sys.argv[1], "--worker"]
say = lambda text: print(text, flush=True)
supervisor = Supervisor(listen("127.0.0.1", 0), command, bounds, say=say, scaling=Scaling(bounds, cool_s=1.0))
sys.exit(asyncio.run(supervisor.run()))
"""


def wait_for(condition: Callable[[], Any], patience_s: float = 120) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.05)


def workers_of(pid: int) -> set[int]:
    """The processes of a server's workers."""
    return {child.pid for child in psutil.Process(pid).children()}


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def total(server: ServerProcess | str, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels; asked of whichever worker takes the connection."""
    url = server if isinstance(server, str) else server.url
    found = [
        sample.value
        for family in parse(urlopen(f"{url}/metrics", timeout=60).read().decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert found, name
    return sum(found)


@contextmanager
def two_workers(store: Store, *arguments: str) -> Generator[ServerProcess]:
    """A server whose two workers answer a model; ended gracefully."""
    portable.publish(store, portable.regressor(), endpoint="demo")
    with serving(store, "--workers", "2", *arguments) as server:
        wait_for(lambda: total(server, "autopilot_workers") == 2)
        yield server
        if server.process.poll() is None:
            server.process.terminate()
            assert server.process.wait(60) == 0
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_whether_workers_are_renewed_end_or_are_killed_the_others_answer(store: Store) -> None:
    """Not one request fails but those that a killed worker had under way, at most one for each connection; and no
    counter ever goes down."""
    with two_workers(store) as server:
        supervisor = server.process
        answered = 0
        with load(server.url, PAUSES_S) as seen:
            wait_for(lambda: seen.answered > 100)
            old = workers_of(supervisor.pid)
            supervisor.send_signal(signal.SIGHUP)
            wait_for(lambda: "All workers are renewed." in server.log)
            assert old.isdisjoint(workers_of(supervisor.pid))

            told_to_end = min(workers_of(supervisor.pid))
            os.kill(told_to_end, signal.SIGTERM)
            wait_for(lambda: has_ended(told_to_end) and total(server, "autopilot_workers") == 2)
            assert not seen.failed
            seen.stop()
        answered += seen.answered
        asked = {"endpoint": "demo", "status": "200"}
        wait_for(lambda: total(server, "autopilot_requests_total", **asked) == answered)
        assert total(server, "autopilot_worker_deaths_total") == 0

        with load(server.url, PAUSES_S) as seen:
            wait_for(lambda: seen.answered > 100)
            before = total(server, "autopilot_requests_total", **asked)
            killed = min(workers_of(supervisor.pid))
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda: has_ended(killed))
            assert total(server, "autopilot_requests_total", **asked) >= before
            wait_for(lambda: total(server, "autopilot_workers") == 2)
            assert total(server, "autopilot_worker_deaths_total") == 1
            now = seen.answered
            wait_for(lambda: seen.answered > now + 100)
        assert set(seen.failed) <= {"IncompleteReadError", "ConnectionResetError", "BrokenPipeError"}
        assert sum(seen.failed.values()) <= len(PAUSES_S)
        assert "was ended by SIGKILL" in server.log


@pytest.mark.slow
def test_a_server_that_ends_under_load_breaks_no_connection(store: Store) -> None:
    """Clients are refused afterwards, and nothing else happens to them. What was counted and captured is all there."""
    with two_workers(store) as server:
        with load(server.url, [0.0] * 4 + [0.05] * 12) as seen:
            wait_for(lambda: seen.answered > 100)
            server.process.terminate()
            assert server.process.wait(60) == 0
        assert set(seen.failed) <= {"ConnectionRefusedError"}
    now = datetime.now(UTC)
    captured = store.traffic.read("demo", now - timedelta(hours=1), now + timedelta(hours=1))
    assert captured.height == seen.answered


@pytest.mark.slow
def test_metrics_are_exact_sums_whichever_worker_is_asked(store: Store) -> None:
    """Requests go to both; each scrape may reach either. Times and rows are summed as well."""
    with two_workers(store) as server:
        clients = [httpx.Client(base_url=server.url) for _ in range(12)]
        for client in clients:
            for _ in range(5):
                assert client.post("/invocations", json=ROWS).status_code == 200
        for _ in range(8):
            assert total(server, "autopilot_requests_total", endpoint="demo", status="200") == 60
            assert total(server, "autopilot_predicted_rows_total", endpoint="demo") == 240
            assert total(server, "autopilot_request_duration_seconds_count", endpoint="demo") == 60
            assert total(server, "nv_inference_count", model="demo") == 240
            assert total(server, "autopilot_endpoint_info", endpoint="demo") == 1
            assert total(server, "autopilot_workers") == 2
        strict = clients[0].get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
        assert "autopilot_workers" in {family.name for family in parse_openmetrics(strict.text)}
        for client in clients:
            client.close()


@pytest.mark.slow
def test_workers_follow_the_load_and_no_request_fails(store: Store, tmp_path: Path) -> None:
    """From one to two, where clients that keep their connections reach the new one too, and back when they are gone."""
    portable.publish(store, portable.regressor(), endpoint="demo")
    with (tmp_path / "log").open("w") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCALED, str(store.root)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert supervisor.stdout is not None
    url = supervisor.stdout.readline().split()[1]
    try:
        with load(url, [0.0] * 8, rows=50) as seen:
            wait_for(lambda: total(url, "autopilot_workers") == 2)
            wait_for(lambda: seen.connections > 8)
        assert not seen.failed
        wait_for(lambda: len(workers_of(supervisor.pid)) == 1)
        with load(url, [0.05] * 8) as seen:
            wait_for(lambda: seen.answered > 50)
        assert not seen.failed
    finally:
        supervisor.terminate()
        supervisor.wait(60)
        supervisor.stdout.close()
    assert supervisor.returncode == 0


@pytest.mark.slow
def test_workers_notice_that_their_supervisor_was_killed_and_end(store: Store) -> None:
    """As if they were told to: what is under way is answered."""
    with two_workers(store) as server:
        workers = workers_of(server.process.pid)
        address = urlsplit(server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        body = json.dumps(ROWS[0]).encode()
        connection.putrequest("POST", "/invocations")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:10])
        server.process.kill()
        wait_for(lambda: server.log.count("The supervisor is gone") == 2)
        connection.send(body[10:])
        assert json.load(connection.getresponse()) == {"predictions": [{"value": 1.0}]}
        connection.close()
        wait_for(lambda: all(has_ended(worker) for worker in workers))


@pytest.mark.slow
def test_model_files_cannot_come_to_one_worker_alone(store: Store, tmp_path: Path) -> None:
    """The refusal names the way out; a file that is named at the start is served by each."""
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "own.onnx"
    file.write_bytes(portable.regressor())
    with two_workers(store, "--models", str(file.parent), "--model", str(file)) as server:
        refusal = httpx.post(f"{server.url}/models", json={"model_name": "other", "url": str(file)})
        assert (refusal.status_code, "--workers 1" in refusal.json()["detail"]) == (400, True)
        for _ in range(6):
            answer = httpx.post(f"{server.url}/endpoints/own/invocations", json=ROWS[0])
            assert answer.json() == {"predictions": [{"value": 1.0}]}


@pytest.mark.slow
def test_the_access_log_of_all_workers_is_one_stream_of_whole_lines(store: Store) -> None:
    """On the supervisor's own stdout."""
    with two_workers(store, "--access-log") as server:
        with load(server.url, [0.0] * 8) as seen:
            wait_for(lambda: seen.answered > 300)
        server.process.terminate()
        assert server.process.stdout is not None
        lines = [json.loads(line) for line in server.process.stdout]
        assert server.process.wait(60) == 0
    assert sum(line["path"] == "/invocations" for line in lines) == seen.answered


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--workers", "0"], 2, "Use 1 to 256"),
        (["--workers", "many"], 2, "Write 4, 1..8 or auto"),
        (["--workers", "2", "--host", "203.0.113.7"], 1, "Give an address of this machine with --host"),
        (["--workers", "2", "--store", "s3://bucket"], 1, "is no folder"),
    ],
)
@pytest.mark.slow
def test_a_server_that_cannot_start_says_why_and_ends(arguments: list[str], code: int, message: str) -> None:
    """With the exit code of its workers, and no traceback."""
    child = spawn("--port", "0", *arguments, stderr=subprocess.PIPE)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == code
    assert message in stderr
    assert "Traceback" not in stderr
