"""InvokeEndpointWithResponseStream, read back by boto3's own event stream."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("boto3")

from botocore.exceptions import ClientError, EventStreamError

from storage import Store
from tests import portable
from tests.conformance.aws import fragile, runtime
from tests.portable import ROWS, SCORES
from tests.serving.conftest import ServerProcess, serving

ROW = b"4,Ulm,2,2023-05-01\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A regressor as `price`, a classifier as `paid`, one that fails for large values as `fragile`."""
    store = Store.open(tmp_path_factory.mktemp("streams") / "store")
    portable.publish(store, portable.regressor(), name="regressor", endpoint="price")
    portable.publish(store, portable.classifier(), name="classifier", endpoint="paid")
    portable.publish(store, fragile(), name="fragile", endpoint="fragile")
    with serving(store) as server:
        yield server
    store.close()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return runtime(server.url)


def parts_of(answer: Any) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


@pytest.mark.parametrize("accept", ["text/csv", "application/jsonlines"])
def test_parts_of_lines_are_the_whole_answer(client: Any, accept: str) -> None:
    """To the byte what InvokeEndpoint answers; 1,000 rows each."""
    body = b"".join(f"{index},Ulm,2,2023-05-01\n".encode() for index in range(3_500))
    asked = {"EndpointName": "paid", "Body": body, "ContentType": "text/csv", "Accept": accept}
    answer = client.invoke_endpoint_with_response_stream(**asked)
    parts = parts_of(answer)
    assert [part.count(b"\n") for part in parts] == [1000, 1000, 1000, 500]
    assert b"".join(parts) == client.invoke_endpoint(**asked)["Body"].read()


def test_one_document_is_cut(client: Any) -> None:
    """JSON is written whole, and comes in parts of 64 KiB."""
    rows = [ROWS[0]] * 10_000
    asked = {"EndpointName": "price", "Body": json.dumps(rows).encode(), "ContentType": "application/json"}
    parts = parts_of(client.invoke_endpoint_with_response_stream(**asked))
    assert [len(part) for part in parts[:-1]] == [65_536] * (len(parts) - 1)
    assert json.loads(b"".join(parts))["predictions"] == [{"value": 1.0}] * 10_000


def test_each_member_of_the_response_is_there(client: Any) -> None:
    """The type is that of what the stream carries."""
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName="price",
        Body=json.dumps(ROWS).encode(),
        ContentType="application/json",
        Accept="text/csv",
        CustomAttributes="trace=7",
        InferenceId="one",
    )
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "main"
    assert answer["CustomAttributes"] == "trace=7"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert headers["x-inference-id"] == "one"
    assert b"".join(parts_of(answer)) == "".join(f"{score}\n" for score in SCORES).encode()


def test_first_rows_come_before_the_last_are_predicted(client: Any) -> None:
    """Within a part of the time that all take."""
    began = time.monotonic()
    events = iter(
        client.invoke_endpoint_with_response_stream(EndpointName="price", Body=ROW * 200_000, ContentType="text/csv")[
            "Body"
        ]
    )
    next(events)
    first_s = time.monotonic() - began
    assert sum(1 for _ in events) == 199
    assert first_s < 0.9 * (time.monotonic() - began)


def test_an_error_amid_the_stream_is_raised_after_the_rows_before_it(client: Any) -> None:
    """2,000 rows are there, the next 1,000 hold one that the model fails at."""
    body = ROW * 2_500 + b"999,Ulm,2,\n" + ROW * 2_500
    answer = client.invoke_endpoint_with_response_stream(EndpointName="fragile", Body=body, ContentType="text/csv")
    events = iter(answer["Body"])
    assert [next(events)["PayloadPart"]["Bytes"].count(b"\n") for _ in range(2)] == [1000, 1000]
    with pytest.raises(EventStreamError, match="ModelStreamError") as caught:
        next(events)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "The log of the server has the traceback" in str(caught.value)


def test_the_server_goes_on_after_a_client_that_leaves_amid_the_stream(client: Any, server: ServerProcess) -> None:
    """Nobody computes what nobody reads, and nothing is logged as a defect."""
    asked = {"EndpointName": "price", "Body": ROW * 200_000, "ContentType": "text/csv"}
    logged = server.log.count("Traceback")
    for _ in range(3):
        answer = client.invoke_endpoint_with_response_stream(**asked)
        next(iter(answer["Body"]))
        answer["Body"].close()
    assert client.invoke_endpoint(EndpointName="price", Body=ROW, ContentType="text/csv")["Body"].read() == b"1.0\n"
    assert server.log.count("Traceback") == logged


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"EndpointName": "nobody"}, 404, "There is no endpoint 'nobody'"),
        ({"Body": ROW + b"x,Ulm,2,\n"}, 400, "Column 'amount' was number in training; row 1 holds 'x'"),
        ({"Body": ROW * 1_500 + b"x,Ulm,2,\n"}, 400, "row 1500 holds 'x'"),
        ({"Accept": "image/png"}, 406, "Accept is 'image/png'"),
        ({"TargetVariant": "canary"}, 400, "has the variants"),
        ({"CustomAttributes": "autopilot:interval=true"}, 400, "gives no interval"),
    ],
)
def test_what_is_wrong_with_the_request_is_told_by_the_status(
    client: Any, asked: dict[str, Any], status: int, message: str
) -> None:
    """No stream begins."""
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint_with_response_stream(
            **{"EndpointName": "price", "Body": ROW, "ContentType": "text/csv", **asked}
        )
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert message in caught.value.response["Error"]["Message"]


def test_plain_clients_can_read_it_too(server: ServerProcess) -> None:
    """By frames; other methods are told."""
    path = "/endpoints/price/invocations-response-stream"
    answer = server.client.post(path, content=ROW, headers={"content-type": "text/csv"})
    assert b"PayloadPart" in answer.content
    assert server.client.get(path).headers["allow"] == "POST"
