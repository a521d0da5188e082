"""`autopilot serve` ends as its servers do: nothing that is under way is dropped."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage import Store
from tests import portable


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    """The monitor ends at once; the server is told once, and goes on until it has answered."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), endpoint="demo")
    store.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), "AUTOPILOT_STORE": str(tmp_path / "store")}
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "autopilot", "serve"]
        server = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        connection = connected(port)
        body = json.dumps(portable.ROWS[0]).encode()
        connection.putrequest("POST", "/invocations")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:10])
        time.sleep(0.3)
        server.send_signal(number)
        time.sleep(1.5)
        connection.send(body[10:])
        assert json.load(connection.getresponse()) == {"predictions": [{"value": 1.0}]}
        connection.close()
        assert server.wait(10) == 0
    finally:
        server.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_sighup_renews_the_workers_and_sigterm_ends_them(tmp_path: Path) -> None:
    """Others answer afterwards. They say when they come and go."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), endpoint="demo")
    store.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "AUTOPILOT_PORT": str(port), "AUTOPILOT_STORE": str(tmp_path / "store")}
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "autopilot", "serve", "--workers", "1..2"]
        server = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        connected(port).close()
        server.send_signal(signal.SIGHUP)
        end = time.monotonic() + 40
        while "All workers are renewed." not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        connected(port).close()
        server.terminate()
        assert server.wait(40) == 0
    finally:
        server.kill()
    told = log.read_text()
    assert "by 1 to 2 workers" in told
    assert re.search(r"Worker 2 \(process \d+\) is ready", told)
    assert "Traceback" not in told


def connected(port: int) -> http.client.HTTPConnection:
    """A connection, as soon as the server is there."""
    end = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/ping")
            connection.getresponse().read()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return connection
