"""AWS's own clients, with nothing of this machine's settings, and servers to try them on."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.__main__ import Server, listen
from serving.capture import Capture
from serving.endpoints import LiveEndpoints
from serving.engine import Engine
from serving.hot import HotPath
from serving.invocations import Invocations
from serving.protocols.sagemaker.streams import PATHS, ResponseStreams
from storage import Store
from tests import portable

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

#: The environment of a client: made-up credentials, and no file or machine that could have others.
ENVIRON = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def runtime(url: str, **config: Any) -> Any:
    """boto3's client of the SageMaker runtime; config: of botocore."""
    import boto3
    from botocore.config import Config

    session = boto3.Session("none", "none", region_name="eu-central-1")
    return session.client("sagemaker-runtime", endpoint_url=url, config=Config(**config))


def send_header(client: Any, name: str, value: str) -> None:
    """Have a client send one more header."""

    def add(params: Any, **_: Any) -> None:
        params["headers"][name] = value

    client.meta.events.register("before-call.sagemaker-runtime", add)


class Overloaded:
    """A server in this process that has work for an hour waiting. requests: that reached it."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self.requests = 0
        self.url = ""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """The ASGI interface."""
        if scope["type"] == "http":
            self.requests += 1
        await self._app(scope, receive, send)


async def nowhere(scope: "Scope", receive: "Receive", send: "Send") -> None:
    """What stands behind the hot path here: nothing."""


@contextmanager
def overloaded(store: Store) -> Generator[Overloaded]:
    """The server over a store's endpoints; it answers small requests, and refuses all others."""
    live = LiveEndpoints(store)
    live.refresh()
    engine = Engine(Capture(store.traffic), threads=1, max_body_bytes=1_000_000, max_rows=1_000_000)
    invocations = Invocations(live, engine)
    counting = Overloaded(HotPath(invocations, live, nowhere, 1_000_000, {PATHS: ResponseStreams(invocations, engine)}))
    with engine, listen("127.0.0.1", 0) as listener:
        counting.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        engine.admission.queued_s = 3600.0
        server = Server(counting, "")
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield counting
        finally:
            server.should_exit = True
            thread.join()


def fragile() -> bytes:
    """The regressor, which fails as it runs where it would predict more than 100: it reads beyond the end of a list."""
    model = onnx.load_model_from_string(portable.regressor())
    last = model.graph.node.pop()
    assert last.input[0] == "score"
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.array([100.0]), "most"), numpy_helper.from_array(np.array([0.0]), "list")]
    )
    model.graph.node.extend(
        [
            helper.make_node("Greater", ["score", "most"], ["is_beyond"]),
            helper.make_node("Cast", ["is_beyond"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["list", "place"], ["nothing"]),
            helper.make_node("Add", ["score", "nothing"], list(last.output)),
        ]
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()
