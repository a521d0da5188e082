"""`autopilot serve` ends as its servers do: nothing that is under way is dropped."""

import http.client
import json
import os
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
