"""A request is looked at before it is accepted: what is wrong is told at once, and nothing is left of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from storage import Store
from tests import portable
from tests.buckets import Buckets, buckets
from tests.serving.asynchronous.conftest import LINES, SECRET
from tests.serving.conftest import ServerProcess, serving

PATH = "/endpoints/price/async-invocations"
CSV = {"content-type": "text/csv"}
LIMIT = 1_500_000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(tmp_path_factory.mktemp("accepted") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    yield store
    store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From which inputs may be read."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "a.csv").write_bytes(LINES)
    return folder


@pytest.fixture(scope="module")
def bucket() -> Iterator[Buckets]:
    with buckets() as held:
        held.objects["/in/a.csv"] = LINES
        yield held


@pytest.fixture(scope="module")
def server(store: Store, folder: Path, bucket: Buckets) -> Iterator[ServerProcess]:
    environ = {
        **bucket.environ,
        "AUTOPILOT_ASYNC_INPUTS": f"s3://in/ file://{folder}",
        "AUTOPILOT_ASYNC_WEBHOOKS": "https://h.invalid/done",
        "AUTOPILOT_WEBHOOK_SECRET": SECRET.decode(),
        "AUTOPILOT_MAX_BODY_BYTES": str(LIMIT),
    }
    with serving(store, environ=environ) as server:
        yield server


def answer(server: ServerProcess, accepted: httpx.Response) -> httpx.Response:
    """What an accepted request is answered in the end."""
    assert accepted.status_code == 202, accepted.text
    for _ in range(600):
        output = server.client.get(accepted.headers["x-amzn-sagemaker-outputlocation"])
        if "retry-after" not in output.headers:
            return output
        threading.Event().wait(0.05)
    raise AssertionError(output.text)


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind", "message"),
    [
        (CSV, b"", 400, "input-location", "Neither is here: send one of them."),
        ({"InputLocation": "s3://in/a.csv"}, b"1", 400, "input-location", "Both are here: send one of them."),
        ({"InputLocation": "s3://out/a"}, b"", 400, "input-location", "which may not be read. Addresses have to begin"),
        ({"InputLocation": "file:///etc/passwd"}, b"", 400, "input-location", "which may not be read."),
        ({"InputLocation": "https://h/a"}, b"", 400, "input-location", "is no address of an object."),
        ({"InputLocation": "s3://in/../a"}, b"", 400, "input-location", "is no address of an object."),
        ({"InputLocation": f"autopilot://inputs/{'0' * 64}"}, b"", 400, "input-location", "send it again."),
        ({"InputLocation": "autopilot://inputs/../../x"}, b"", 400, "input-location", "There is no input"),
        ({"RequestTTLSeconds": "59"}, LINES, 400, "sagemaker-header", "RequestTTLSeconds is '59'. Send whole seconds"),
        ({"RequestTTLSeconds": "21601"}, LINES, 400, "sagemaker-header", "from 60 to 21600"),
        ({"RequestTTLSeconds": "1e3"}, LINES, 400, "sagemaker-header", "from 60 to 21600"),
        ({"InvocationTimeoutSeconds": "0"}, LINES, 400, "sagemaker-header", "from 1 to 3600"),
        ({"InvocationTimeoutSeconds": "3601"}, LINES, 400, "sagemaker-header", "from 1 to 3600"),
        ({"Filename": "a.csv"}, LINES, 400, "sagemaker-header", "this server keeps answers itself."),
        ({"S3OutputPathExtension": "a/../b"}, LINES, 400, "sagemaker-header", "without parts such as '..'"),
        ({"Filename": "a.b.c"}, LINES, 400, "sagemaker-header", "Filename is 'a.b.c'."),
        ({"Inference-Id": "x" * 65}, LINES, 400, "inference-id", "Send 1 to 64 printable ASCII characters"),
        ({"Target-Variant": "canary"}, LINES, 400, "unknown-variant", "'price' has the variants: main, AllTraffic"),
        ({"Session-Id": "NEW"}, LINES, 400, "sagemaker-header", "no sessions are kept"),
        ({"Custom-Attributes": "autopilot:depth=3"}, LINES, 400, "option", "'depth' is no option"),
        ({"Content-Type": "text/xml"}, LINES, 415, "media-type", "Content-Type is 'text/xml'"),
        ({"Accept": "image/png"}, LINES, 406, "accept", "Accept is 'image/png'"),
        ({"x-autopilot-webhook": "https://evil/done"}, LINES, 400, "webhook", "begin with https://h.invalid/done."),
        ({"x-autopilot-webhook": "done"}, LINES, 400, "webhook", "'done' is no address of a webhook."),
        ({"idempotency-key": "x" * 256}, LINES, 400, "sagemaker-header", "Idempotency-Key has 256 characters."),
        ({}, b"1" * (LIMIT + 1), 413, "body-too-large", f"longer than {LIMIT} bytes"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    server: ServerProcess, headers: dict[str, str], body: bytes, status: int, kind: str, message: str
) -> None:
    """In the shape that AWS's SDKs read."""
    named = {
        name if name.startswith(("x-", "content", "idem")) else f"x-amzn-sagemaker-{name}": headers[name]
        for name in headers
    }
    reply = server.client.post(PATH, content=body, headers={**CSV, **named})
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    problem = reply.json()
    assert problem["type"] == f"urn:autopilot:{kind}"
    assert message in problem["detail"] == problem["Message"]
    assert reply.headers["x-amzn-errortype"] == "ValidationError"
    assert server.client.get("/api/async-invocations").json()["items"] == []


def test_endpoints_and_options_that_are_unknown_are_refused(server: ServerProcess) -> None:
    """As by InvokeEndpoint; for uploads too."""
    for path in ("/endpoints/nobody/async-invocations", "/endpoints/nobody/async-inputs"):
        assert server.client.post(path, content=LINES, headers=CSV).json()["type"] == "urn:autopilot:unknown-endpoint"
    assert server.client.post(f"{PATH}?depth=3", content=LINES, headers=CSV).json()["type"] == "urn:autopilot:option"
    assert server.client.post("/endpoints/price/async-inputs").json()["type"] == "urn:autopilot:input-location"
    for path in (f"{PATH}/0", f"{PATH}/0/output", f"{PATH}/0/failure"):
        assert server.client.get(path).json()["type"] == "urn:autopilot:unknown-name"


def test_inputs_come_from_bodies_uploads_folders_and_object_stores(server: ServerProcess, folder: Path) -> None:
    """And are answered alike; an upload may be asked for again."""
    uploaded = server.client.post("/endpoints/price/async-inputs", content=LINES)
    assert uploaded.status_code == 201
    location = uploaded.json()["location"]
    for place in (None, location, location, f"file://{folder}/a.csv", "s3://in/a.csv"):
        headers = CSV if place is None else {**CSV, "x-amzn-sagemaker-inputlocation": place}
        accepted = server.client.post(PATH, content=LINES if place is None else b"", headers=headers)
        assert answer(server, accepted).text == "1.0\n0.5\n"


def test_long_inputs_go_through_a_file(server: ServerProcess, store: Store) -> None:
    """In many pieces, of which none is left when they are kept, or refused."""

    def pieces(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"4,Ulm,2,\n" * 1_000

    accepted = server.client.post(PATH, content=pieces(160), headers=CSV)
    assert answer(server, accepted).text == "1.0\n" * 160_000
    refused = server.client.post(PATH, content=pieces(200), headers=CSV)
    assert refused.json()["type"] == "urn:autopilot:body-too-large"
    assert list((store.root / "async" / "incoming").iterdir()) == []


def test_a_request_that_is_sent_again_is_accepted_once(server: ServerProcess) -> None:
    """By its key; at once, too. The same key with another input, or another header, is told."""
    headers = {**CSV, "idempotency-key": "once"}

    def ask(_: int) -> str:
        reply = server.client.post(PATH, content=LINES, headers=headers)
        assert reply.status_code == 202
        return reply.headers["x-amzn-sagemaker-outputlocation"]

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1
    for other in (
        {"content": b"4,Ulm,2,\n", "headers": headers},
        {"content": LINES, "headers": {**headers, "accept": "text/csv"}},
    ):
        refused = server.client.post(PATH, **other)  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:autopilot:key-reused")


def test_a_client_that_goes_away_leaves_nothing(server: ServerProcess, store: Store) -> None:
    """Amid its body."""
    before = len(store.async_invocations.list())

    def half() -> Iterator[bytes]:
        yield b"4,Ulm,2,\n" * 150_000
        raise OSError("pulled the plug")

    with pytest.raises(OSError, match="plug"), httpx.Client(base_url=server.url) as client:
        client.post(PATH, content=half(), headers=CSV)
    answer(server, server.client.post(PATH, content=LINES, headers=CSV))
    assert len(store.async_invocations.list()) == before + 1
    assert list((store.root / "async" / "incoming").iterdir()) == []
    assert "Traceback" not in server.log
