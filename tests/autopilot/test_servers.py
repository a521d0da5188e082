"""`autopilot serve` ends as its servers do: nothing that is under way is dropped. Its monitor may die."""

import http.client
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from storage import Store
from tests import portable
from tests.processes import soon


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
        assert server.wait(60) == 0
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
        end = time.monotonic() + 60
        while "All workers are renewed." not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        connected(port).close()
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
    told = log.read_text()
    assert "by 1 to 2 workers" in told
    assert re.search(r"Worker 2 \(process \d+\) is ready", told)
    assert "Traceback" not in told


class Served(NamedTuple):
    """`autopilot serve`, ready. log: what it and its servers said."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def child(self, module: str) -> psutil.Process:
        """The process of a server, `serving` or `monitor`, once it is there."""
        return soon(lambda: next((one for one in self._children() if one.cmdline()[1:3] == ["-m", module]), None))

    def _children(self) -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children()
        return [one for one in found if one.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def served(tmp_path: Path, *options: str) -> Generator[Served]:
    """`autopilot serve` of a regressor, when both servers are ready."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), endpoint="demo")
    store.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "autopilot", "serve", "--port", str(port), "--store", str(tmp_path / "store")]
        process = subprocess.Popen([*command, *options], stdout=file, stderr=file, start_new_session=True)
    found = Served(process, port, log)
    try:
        connected(port).close()
        soon(lambda: "Monitoring" in log.read_text())
        yield found
    finally:
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()


def ask_again_and_again(port: int, ended: threading.Event) -> list[int]:
    """The status of each answer until the event, on new connections."""
    body = json.dumps(portable.ROWS[0])
    answered: list[int] = []
    while not ended.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/invocations", body)
        answered.append(connection.getresponse().status)
        connection.close()
    return answered


def test_a_monitor_that_dies_is_started_again_while_requests_are_answered(tmp_path: Path) -> None:
    """`kill -9`, as when memory runs out, twice: the log says so, no request fails, and the new one ends with us."""
    with served(tmp_path) as found, ThreadPoolExecutor(1) as pool:
        ended = threading.Event()
        answers = pool.submit(ask_again_and_again, found.port, ended)
        try:
            for times in (1, 2):
                before = found.child("monitor")
                before.kill()
                before.wait()
                soon(lambda times=times: found.log.read_text().count("Monitoring") == 1 + times)
        finally:
            ended.set()
        latest = found.child("monitor")
        assert set(answers.result()) == {200}
        found.process.terminate()
        assert found.process.wait(60) == 0
        assert not latest.is_running()
    told = found.log.read_text()
    assert (
        len(set(re.findall(r"The monitor \(process (\d+)\) was ended by SIGKILL, as when memory runs out, ", told)))
        == 2
    )
    assert len(re.findall(r"; it is started again (?:now|in 0\.5 s)\. Predictions go on\.", told)) == 2
    assert "Traceback" not in told


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_a_monitor_that_cannot_be_started_again_is_tried_again(tmp_path: Path) -> None:
    """As where no more files may be opened: the server goes on answering, and the monitor comes when it can."""
    with served(tmp_path) as found:
        files = resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE, (3, files[1]))
        found.child("monitor").kill()
        soon(lambda: found.log.read_text().count("The monitor cannot be started: [Errno 24] Too many open files") > 1)
        connected(found.port).close()
        resource.prlimit(found.process.pid, resource.RLIMIT_NOFILE, files)
        soon(lambda: found.log.read_text().count("Monitoring") == 2)
        found.process.terminate()
        assert found.process.wait(60) == 0


def test_a_server_that_is_killed_ends_all_with_a_sentence(tmp_path: Path) -> None:
    """Exit code 1: whatever runs us has to know. The monitor ends, too."""
    with served(tmp_path) as found:
        serving, monitor = found.child("serving"), found.child("monitor")
        serving.kill()
        assert found.process.wait(60) == 1
        assert not monitor.is_running()
    assert found.log.read_text().splitlines()[-1] == (
        f"autopilot: The server (process {serving.pid}) was ended by SIGKILL, as when memory runs out, and the monitor "
        "ends with it. Start it again, or have that done; with --workers 1..2, what answers is replaced when it dies."
    )


@pytest.mark.parametrize("workers", ["1", "1..2"])
def test_what_it_started_ends_when_it_is_killed(tmp_path: Path, workers: str) -> None:
    """`kill -9`, which nobody hears: both servers end as by SIGTERM, with the workers, and the port is free."""
    with served(tmp_path, "--workers", workers) as found:
        started = psutil.Process(found.process.pid).children(recursive=True)
        try:
            found.process.kill()
            soon(lambda: not any(is_at_work(process) for process in started))
        finally:
            for process in started:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
    assert len(started) == (2 if workers == "1" else 3)
    socket.create_server(("127.0.0.1", found.port)).close()
    told = found.log.read_text()
    assert len(re.findall(r"The process that started this one is gone: process \d+ ends, too\.", told)) == 2
    assert "Traceback" not in told


def is_at_work(process: psutil.Process) -> bool:
    """Whether it has not ended; where nobody takes note of its end, as in some containers, something of it stays."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_monitor_that_is_killed_as_it_answers_is_told(tmp_path: Path) -> None:
    """A command that asks it says by what it ended, as it can say nothing itself."""
    rows = tmp_path / "rows.csv"
    rows.write_text("x\n" + "1\n" * 100)
    command = [sys.executable, "-m", "autopilot", "monitor", "compare", str(rows), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        soon(lambda: psutil.Process(process.pid).children())[0].kill()
        out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert told == (
        "autopilot: The monitor (python -m monitor compare) was ended by SIGKILL, as when memory runs out.\n"
    )


def connected(port: int) -> http.client.HTTPConnection:
    """A connection, as soon as the server is there."""
    end = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/ping")
            connection.getresponse().read()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return connection
