"""What was accepted is answered, whatever becomes of the servers."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage import Store
from tests import portable
from tests.serving.asynchronous.conftest import LINES, LONG, SECRET, Receiver, slow
from tests.serving.conftest import ServerProcess, serving

CSV = {"content-type": "text/csv"}


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def ask(server: ServerProcess, endpoint: str, body: bytes, webhook: str) -> str:
    """The id of an accepted invocation."""
    headers = {**CSV, "x-autopilot-webhook": webhook}
    reply = server.client.post(f"/endpoints/{endpoint}/async-invocations", content=body, headers=headers)
    assert reply.status_code == 202, reply.text
    return reply.headers["x-amzn-sagemaker-outputlocation"].split("/")[-2]


@pytest.mark.slow
def test_kill_9_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """Neither what is being answered, which another server takes when the lease has ended, nor what waits behind it.

    The other server, which answers beside, leaves the first its work until then. Each is told once to its webhook.
    """
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    portable.publish(store, slow(), name="slow", endpoint="slow")
    environ = {
        "AUTOPILOT_ASYNC_WEBHOOKS": receiver.url,
        "AUTOPILOT_WEBHOOK_SECRET": SECRET.decode(),
        "AUTOPILOT_ASYNC_RUNNING": "1",
    }
    queue = store.async_invocations
    with serving(store, environ=environ) as first:
        long = ask(first, "slow", LONG[: 4 * len(LONG) // 10], f"{receiver.url}/long")
        with ThreadPoolExecutor(10) as pool:
            ids = list(pool.map(lambda _: ask(first, "price", LINES, f"{receiver.url}/short"), range(10)))
        until(lambda: queue.get(long).status == "running")
        first.kill()
    assert queue.get(long).status == "running"
    with serving(store, environ=environ) as second:
        until(lambda: all(one.webhook_status == "told" for one in queue.list()))
        answers = [second.client.get(f"/endpoints/price/async-invocations/{id_}/output").text for id_ in ids]
        assert answers == ["1.0\n0.5\n"] * 10
        assert second.client.get(f"/endpoints/slow/async-invocations/{long}/output").text == "1.0\n" * 40_000
        assert second.stop() == 0
        assert "Traceback" not in second.log
    assert (queue.get(long).attempts, {queue.get(id_).attempts for id_ in ids}) == (2, {1})
    told = [json.loads(received.body)["id"] for received in receiver.received]
    assert sorted(told) == sorted([long, *ids])
    store.close()


def test_workers_share_the_queue(tmp_path: Path) -> None:
    """Whichever of them is asked, and each invocation is answered once; the metrics of all are told."""
    store = Store.open(tmp_path / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    with serving(store, "--workers", "2") as server:
        for _ in range(10):
            reply = server.client.post("/endpoints/price/async-invocations", content=LINES, headers=CSV)
            assert reply.status_code == 202
        until(lambda: store.async_invocations.counts() == {"completed": 10})
        assert {one.attempts for one in store.async_invocations.list()} == {1}
        until(lambda: 'autopilot_async_attempts_total{endpoint="price",outcome="completed"} 10.0' in metrics(server))
        assert 'autopilot_async_invocations{status="completed"} 10.0' in metrics(server)
        assert server.stop() == 0
    store.close()


def metrics(server: ServerProcess) -> str:
    return server.client.get("/metrics").text
