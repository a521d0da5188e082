"""Roll-outs as their users have them: a real server, clients that ask it, and the command line."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest

from autopilot.__main__ import run
from storage import Store
from storage.records import Rollout
from storage.rollouts import Plan
from tests import planted, portable
from tests.serving.conftest import ROOT, ServerProcess, serving


@contextmanager
def asked(*servers: ServerProcess, share: float = 0.0) -> Generator[None]:
    """Servers that are asked all the time. share: of rows that bring out a planted fault."""
    stopping = threading.Event()

    def ask(server: ServerProcess, seed: int) -> None:
        draw = random.Random(seed)
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not stopping.is_set():
                amount = planted.AMOUNT if draw.random() < share else 4.0
                try:
                    client.post("/endpoints/demo/invocations", json=[{**portable.ROWS[0], "amount": amount}])
                except httpx.TransportError:
                    return  # it was killed

    threads = [threading.Thread(target=ask, args=(server, seed)) for seed, server in enumerate(servers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def autopilot(store: Store, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command below `autopilot endpoints` on a store."""
    command = [sys.executable, "-W", "error", "-m", "autopilot", "endpoints", *arguments, "--store", str(store.root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def wait_for(store: Store, rollout: Rollout, step: int) -> Rollout:
    """The roll-out when it has done so many steps, or has ended."""
    until = time.monotonic() + 60
    while (found := store.rollouts.get(rollout.id)).status == "running" and found.step < step:
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def test_a_faulty_version_is_taken_back_and_the_command_says_so(store: Store) -> None:
    """Exit code 1, and the reason on standard error; the metrics tell it too."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, planted.failing(), name="faulty")
    with serving(store) as server, asked(server, share=0.2):
        done = autopilot(store, "rollout", "demo", "faulty", "--canary", "30%", "--guard", "errors", "--json")
        assert done.returncode == 1, done.stderr
        assert "the new variants get 30 %" in done.stderr
        assert "failed, of the old ones'" in done.stderr
        ended = json.loads(done.stdout)
        assert (ended["status"], ended["after"][0]["model"]) == ("rolled back", "faulty")
        assert store.endpoints.get("demo").model == "demo"
        assert 'autopilot_rollouts_total{status="rolled back"} 1.0' in server.client.get("/metrics").text


@pytest.mark.slow
def test_a_sound_version_goes_through_and_comes_back_by_command(store: Store) -> None:
    """Step by step, and at once."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier(0.1))
    with serving(store) as server, asked(server):
        done = autopilot(store, "rollout", "demo", "demo:2", "--linear", "40%", "--every", "1s", "--minimum", "5")
        assert done.returncode == 0, done.stderr
        assert "Step 2 of 2: the new variants get 80 %" in done.stderr
        assert [variant.spec for variant in store.endpoints.get("demo").variants] == ["demo:2"]
        assert run(["endpoints", "rollback", "demo", "--store", str(store.root)]) == 0
        assert [variant.spec for variant in store.endpoints.get("demo").variants] == ["demo:1"]


@pytest.mark.slow
def test_a_roll_out_outlives_the_server_that_has_it(store: Store) -> None:
    """Killed in the middle of it: another goes on from there."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier(0.1))
    with serving(store) as one, serving(store) as two, asked(one, two):
        begun = store.rollouts.start("demo", Plan("demo:2", share=0.5, wait_s=1, minimum=5), datetime.now(UTC))
        owner = wait_for(store, begun, 1).owner
        pids = {server.id: server.pid for server in store.servers.list(datetime.now(UTC))}
        os.kill(pids[str(owner)], signal.SIGKILL)
        ended = wait_for(store, begun, 99)
        assert ended.status == "completed", ended.reason


def test_what_is_asked_wrongly_is_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; nothing has begun."""
    portable.publish(store, portable.classifier(), endpoint="demo")
    portable.publish(store, portable.classifier(0.1))
    for arguments, told in (
        (("rollout", "demo"), "No roll-out runs on endpoint 'demo'"),
        (("rollout", "demo", "demo:9"), "no model 'demo:9'"),
        (("rollout", "demo", "demo:2", "--guard", "speed"), "'speed' is no guard"),
        (("rollback", "demo"), "nothing to go back to"),
        (("stop", "demo"), "nothing to stop"),
    ):
        assert run(["endpoints", *arguments, "--store", str(store.root)]) == 2
        assert told in capsys.readouterr().err
    assert store.rollouts.list() == []
