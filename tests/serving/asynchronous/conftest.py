"""What async invocations are tried with: a receiver of webhooks, an object store, a worker in this process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from serving.asynchronous.calm import Calm
from serving.asynchronous.policy import Policy
from serving.asynchronous.views import AsyncRequest
from serving.asynchronous.webhooks import Webhooks
from serving.asynchronous.worker import Worker
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.invocations import Invocations
from serving.requests import Request
from storage import Store
from storage.objects import Prefixes
from storage.records import AsyncInvocation
from tests import portable
from tests.buckets import Buckets, buckets
from tests.conformance.aws import fragile

SECRET = b"0123456789abcdef"
LIMIT_BYTES = 1_000_000
#: What takes seconds to answer by the slow model.
LONG = b"4,Ulm,2,\n" * 100_000
LINES = b"4,Ulm,2,2023-05-01\n1,Bonn,0,2024-01-01\n"


class Received(NamedTuple):
    """A request that came in. headers: names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A server that webhooks are sent to. statuses: of the next answers; 200 when there are none left."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self.url = ""


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver; it ends with the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("location", f"{receiver.url}/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Tests have no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    """An object store that this process is told of."""
    with buckets() as held:
        for name, value in held.environ.items():
            monkeypatch.setenv(name, value)
        yield held


def slow() -> bytes:
    """The regressor, which multiplies zeros for a while beside: a million multiplications for each row."""
    model = onnx.load_model_from_string(portable.regressor())
    graph = model.graph
    at, total = next((at, node) for at, node in enumerate(graph.node) if node.op_type == "Sum")
    total.input.append("nothing")
    arrays = {"wide": np.zeros((1, 1000)), "many": np.zeros((1000, 1000)), "last": np.array([1])}
    graph.initializer.extend([numpy_helper.from_array(array, name) for name, array in arrays.items()])
    beside = [
        onnx.helper.make_node("MatMul", ["bonus", "wide"], ["widened"]),
        onnx.helper.make_node("MatMul", ["widened", "many"], ["multiplied"]),
        onnx.helper.make_node("ReduceMax", ["multiplied", "last"], ["nothing"]),
    ]
    nodes = [*graph.node[:at], *beside, *graph.node[at:]]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class Bench:
    """A store with the endpoints `price`, `fragile` and `slow`, and workers in this process, by a clock that is moved.

    later: how far the clock is ahead.
    """

    def __init__(self, store: Store, live: LiveEndpoints, engine: Engine) -> None:
        self.store = store
        self.live = live
        self.later = timedelta()
        self._count = 0
        self.invocations = Invocations(live, engine)
        self._calm = Calm(engine)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def worker(self, **policy: Any) -> Worker:
        """A worker; policy: what is another than usual here."""
        usual = Policy(1, 100, 3, 3600, Prefixes([]), None, Webhooks([], b""), None)
        return Worker(
            self.store,
            self.live,
            self.invocations,
            usual._replace(**policy),
            "here",
            self._calm,
            LIMIT_BYTES,
            now=self.now,
        )

    def add(
        self, endpoint: str = "price", body: bytes | None = LINES, *, ttl_s: float = 3600, **request: Any
    ) -> AsyncInvocation:
        """An invocation with a CSV body, as it is accepted."""
        given: dict[str, Any] = {
            "headers": {"content-type": "text/csv", "x-amzn-sagemaker-inference-id": "mine"},
            "query": "",
            "location": None,
            "timeout_s": 900,
            "output_location": "http://here/output",
            "failure_location": "http://here/failure",
            **request,
        }
        webhook = given.pop("webhook", None)
        self._count += 1
        invocation = AsyncInvocation(
            id=f"i{self._count}",
            endpoint=endpoint,
            inference_id="mine",
            status="queued",
            request=msgspec.json.encode(AsyncRequest(**given)).decode(),
            due_at=self.now(),
            expires_at=self.now() + timedelta(seconds=ttl_s),
            created_at=self.now(),
            input_digest=None if body is None else self.store.async_invocations.blobs.put(body),
            webhook=webhook,
        )
        assert self.store.async_invocations.add(invocation, most_queued=100) == invocation
        return invocation

    def sync(self, endpoint: str = "price", body: bytes = LINES) -> bytes:
        """What InvokeEndpoint answers."""
        headers = {b"content-type": b"text/csv", b"x-amzn-sagemaker-inference-id": b"mine"}
        request = Request("POST", "", b"", headers, body, asyncio.Event().wait)  # type: ignore[arg-type]
        return asyncio.run(self.invocations.answer(endpoint, request)).body

    def run(self, worker: Worker, until: Callable[[], bool], do: Callable[[], Awaitable[None]] | None = None) -> None:
        """Have a worker work until something is so. do: is done beside, again and again."""

        async def work() -> None:
            async with worker.working(), asyncio.timeout(30):
                while not until():
                    if do is not None:
                        await do()
                    await asyncio.sleep(0.01)

        asyncio.run(work())

    def ended(self, worker: Worker, invocation: AsyncInvocation) -> AsyncInvocation:
        """The invocation, when it has ended: each time that it waits to be tried again, the clock is moved to then."""
        queue = self.store.async_invocations

        async def hurry() -> None:
            found = queue.get(invocation.id)
            if found.status == "queued" and found.due_at > self.now():
                self.later += found.due_at - self.now()
                worker.wake()

        self.run(worker, lambda: queue.get(invocation.id).ended_at is not None, hurry)
        return queue.get(invocation.id)

    def blob(self, digest: str | None) -> Any:
        assert digest is not None
        return self.store.async_invocations.blobs.get(digest)

    def failure(self, invocation: AsyncInvocation) -> dict[str, Any]:
        """The problem document of an invocation that has none."""
        return msgspec.json.decode(self.blob(invocation.failure_digest))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Nothing follows the store, and nothing is captured. Each test leaves nothing in the queue."""
    store = Store.open(tmp_path_factory.mktemp("bench") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    portable.publish(store, fragile(), name="fragile", endpoint="fragile")
    portable.publish(store, slow(), name="slow", endpoint="slow")
    live = LiveEndpoints(store)
    live.refresh()
    with Engine(Capture(store.traffic), threads=1, max_body_bytes=LIMIT_BYTES, max_rows=1_000_000) as engine:
        engine.company = lambda: 0
        yield Bench(store, live, engine)
    store.close()
