"""What a server promised of capture holds when it is killed, whichever way requests came."""

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import pytest

from storage import Store
from storage.records import CapturePolicy
from tests import portable
from tests.serving.conftest import ServerProcess, serving

_CLIENTS = 4
_ANSWERS = 600
_WINDOW_S = 2.0  # ten times what is promised: this machine may be busy

BODY = json.dumps([dict(portable.ROWS[0])]).encode()


def deploy(store: Store, policy: CapturePolicy) -> None:
    version = portable.publish(store, portable.classifier())
    store.endpoints.deploy("paid", version, datetime.now(UTC), capture=policy)


def captured(store: Store) -> set[str]:
    """The inference ids that were captured in the last hour."""
    now = datetime.now(UTC)
    frame = store.traffic.read("paid", now - timedelta(hours=1), now + timedelta(hours=1))
    return set(frame.get_column("autopilot.inference_id")) if frame.width else set()


class Clients:
    """Clients that ask as fast as they are answered, until the server goes away. answered: ids, with when."""

    def __init__(self, server: ServerProcess) -> None:
        self.answered: dict[str, float] = {}
        self.refused = 0
        self.enough = threading.Event()
        self._address = urlsplit(server.url)

    def run(self, client: int) -> None:
        """Ask and note what was answered."""
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=60)
        try:
            for number in range(1_000_000):
                name = f"{client}-{number}"
                headers = {"content-type": "application/json", "x-amzn-sagemaker-inference-id": name}
                packed = client == 0  # one client in four takes the way through a thread
                body = gzip.compress(BODY) if packed else BODY
                headers |= {"content-encoding": "gzip"} if packed else {}
                connection.request("POST", "/endpoints/paid/invocations", body, headers)
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.answered[name] = time.monotonic()
                else:
                    self.refused += 1
                if len(self.answered) >= _ANSWERS:
                    self.enough.set()
        except (OSError, http.client.HTTPException):
            return  # the server is gone
        finally:
            connection.close()


@contextmanager
def under_load(server: ServerProcess) -> Iterator[Clients]:
    """Clients that ask, once they were answered for a while."""
    clients = Clients(server)
    with ThreadPoolExecutor(_CLIENTS) as pool:
        running = [pool.submit(clients.run, number) for number in range(_CLIENTS)]
        assert clients.enough.wait(30), clients.refused
        yield clients
        for each in running:
            each.result()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_killed_server_loses_what_its_mode_allows(store: Store, mode: Literal["sync", "async"]) -> None:
    """`sync`: no answer that a client got. `async`: only answers of the last moments before the kill."""
    deploy(store, CapturePolicy(mode=mode))
    with serving(store) as server, under_load(server) as clients:
        server.kill()
        killed_at = time.monotonic()
    lost = clients.answered.keys() - captured(store)
    assert len(clients.answered) >= _ANSWERS
    if mode == "sync":
        assert lost == set()
    assert all(killed_at - clients.answered[name] < _WINDOW_S for name in lost)


def test_a_server_that_is_told_to_end_loses_nothing(store: Store) -> None:
    """Of what it answered until then, in either mode."""
    deploy(store, CapturePolicy())
    with serving(store) as server, under_load(server) as clients:
        assert server.stop() == 0
    assert clients.answered.keys() <= captured(store)


def test_a_sync_answer_that_cannot_be_captured_is_an_error(store: Store) -> None:
    """503, told as what it is, and counted; it is answered again as soon as there is room.

    The folder of journals stands for a disk: a file in its place cannot be written into.
    """
    deploy(store, CapturePolicy(mode="sync"))
    journals = store.root / "traffic" / "journals"
    journals.parent.mkdir(exist_ok=True)
    journals.write_bytes(b"in the way")
    headers = {"content-type": "application/json", "x-amzn-sagemaker-inference-id": "a"}
    with serving(store) as server:
        for body, more in ((BODY, {}), (gzip.compress(BODY), {"content-encoding": "gzip"})):
            reply = server.client.post("/endpoints/paid/invocations", content=body, headers={**headers, **more})
            problem = reply.json()
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
            assert problem["type"] == "urn:autopilot:uncaptured"
            assert problem["detail"].startswith("Endpoint 'paid' answers only what is captured, and this was not: ")
            assert str(store.root) not in reply.text
        refused = 'autopilot_capture_refused_requests_total{endpoint="paid"} 2.0'
        assert refused in server.client.get("/metrics").text
        journals.unlink()
        reply = server.client.post("/endpoints/paid/invocations", content=BODY, headers=headers)
        assert reply.status_code == 200
        server.kill()
    assert captured(store) == {"a"}


def test_a_change_of_what_is_captured_is_followed_without_a_restart(store: Store) -> None:
    """Each answer is captured as its revision says, each in full."""
    deploy(store, CapturePolicy(share=0.0))
    headers = {"content-type": "application/json"}

    def ask(server: ServerProcess, name: str) -> None:
        reply = server.client.post(
            "/endpoints/paid/invocations", content=BODY, headers={**headers, "x-amzn-sagemaker-inference-id": name}
        )
        assert reply.status_code == 200

    with serving(store) as server:
        ask(server, "nothing")
        for number, policy in enumerate(
            (
                CapturePolicy(),
                CapturePolicy(redact={"town": "mask"}),
                CapturePolicy(mode="sync", redact={"amount": "drop"}),
            )
        ):
            store.endpoints.deploy("paid", store.models.get("demo"), datetime.now(UTC), capture=policy)
            revision = f'autopilot_endpoint_revision{{endpoint="paid"}} {number + 2}.0'
            end = time.monotonic() + 60
            while revision not in server.client.get("/metrics").text:
                assert time.monotonic() < end
            ask(server, f"{number}")
        assert server.stop() == 0
    now = datetime.now(UTC)
    frame = store.traffic.read("paid", now - timedelta(hours=1), now + timedelta(hours=1))
    rows = frame.select("autopilot.inference_id", "amount", "town", "autopilot.masked.town").rows()
    assert rows == [("0", 4.0, "Ulm", None), ("1", 4.0, None, True), ("2", None, "Ulm", None)]
